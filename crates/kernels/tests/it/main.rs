//! The kernels against plain double precision, PyTorch's figures and hostile operands.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod adamw;
mod cuda;
mod gru;
mod softmax;
