//! Fast paths beside libtorch.
//!
//! What tch lacks comes through a thin C++ bridge (`csrc/bridge.cpp`): the fused AdamW update and bf16 autocast on a
//! CPU. [`gru()`] and [`cross_entropy`] are the places through which the model reaches its recurrent layer and its loss.
//!
//! ```
//! use grulm_kernels::{GruWeights, Precision, gru};
//! use tch::{Device::Cpu, Kind::Float, Tensor};
//!
//! let (time, batch, input, hidden) = (5, 2, 3, 4);
//! let random = |shape: &[i64]| Tensor::randn(shape, (Float, Cpu));
//! let weights = GruWeights {
//!     weight_ih: &random(&[3 * hidden, input]),
//!     weight_hh: &random(&[3 * hidden, hidden]),
//!     bias_ih: &random(&[3 * hidden]),
//!     bias_hh: &random(&[3 * hidden]),
//! };
//! let (x, h) = (random(&[time, batch, input]), Tensor::zeros([batch, hidden], (Float, Cpu)));
//! let (y, last) = gru(&x, &h, &weights, Precision::Fp32)?;
//! assert_eq!(y.size(), [time, batch, hidden]);
//! assert!(y.get(-1).equal(&last));
//! # Ok::<(), grulm_kernels::Error>(())
//! ```

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
