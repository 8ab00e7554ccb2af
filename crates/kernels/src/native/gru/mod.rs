//! The GRU layer over a sequence. What the gates are is said in `csrc/gru.cpp`, the same structure over libtorch's products.

mod backward;
mod forward;

pub(crate) use self::{
    backward::{GruBackward, backward},
    forward::{GruForward, forward},
};

/// The sizes of a layer and its input.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    time: usize,
    batch: usize,
    input: usize,
    hidden: usize,
}
