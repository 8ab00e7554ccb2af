//! The kernels against plain double precision, PyTorch's figures and hostile operands.

mod adamw;
mod gru;
mod softmax;
