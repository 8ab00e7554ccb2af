//! Fast paths beside libtorch.
//!
//! What tch lacks comes through a thin C++ bridge (`csrc/bridge.cpp`): the fused AdamW update and bf16 autocast on a
//! CPU. [`gru()`] is the one place through which the model reaches its recurrent layer.

mod adamw;
mod bridge;
mod gru;
mod precision;

pub use adamw::{AdamWStep, fused_adamw};
pub use gru::{GruWeights, gru};
pub use precision::{Precision, autocast};

/// libtorch's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libtorch: {0}")]
pub struct Error(pub String);
