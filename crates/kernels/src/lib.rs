//! Fast paths beside libtorch.
//!
//! What tch lacks comes through a thin C++ bridge (`csrc/bridge.cpp`): the fused AdamW update and bf16 autocast on a
//! CPU. [`gru()`] and [`cross_entropy`] are the places through which the model reaches
//! its recurrent layer and its loss.

mod adamw;
mod bridge;
mod gru;
mod precision;
mod softmax;

pub use adamw::{AdamWStep, fused_adamw};
pub use gru::{GruWeights, gru};
pub use precision::{Precision, autocast};
pub use softmax::{cross_entropy, logits};

/// libtorch's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libtorch: {0}")]
pub struct Error(pub String);
