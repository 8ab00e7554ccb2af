//! Fast paths beside libtorch.
//!
//! What tch lacks comes through a thin C++ bridge (`csrc/bridge.cpp`): the fused AdamW update and bf16 autocast on a
//! CPU. [`gru()`] and [`cross_entropy`] are the places through which the model reaches its recurrent layer and its loss.

mod adamw;
mod bridge;
mod gru;
mod precision;
mod softmax;

pub use adamw::{AdamWStep, fused_adamw};
pub use gru::{GruWeights, gru};
pub use precision::{Precision, autocast};
pub use softmax::{cross_entropy, logits};

/// What an operand is and should be, or libtorch's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// tch panics where the sizes of an undefined tensor (a gradient that was never computed, say) are asked for.
fn check_defined(function: &str, name: &str, tensor: &tch::Tensor) -> Result<(), Error> {
    if tensor.defined() { Ok(()) } else { Err(Error(format!("{function}: {name} is undefined"))) }
}
