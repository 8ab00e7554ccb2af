//! The kernels against plain double precision, PyTorch's figures and hostile operands.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod adamw;
mod cuda;
#[path = "../../../../tests/gpu.rs"]
mod gpu;
mod gru;
mod softmax;
