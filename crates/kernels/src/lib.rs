//! Fast paths beside libtorch.
//!
//! [`gru()`], [`nll`] and [`nll_sum`] are the places through which the model reaches its recurrent layer and its loss. On a
//! CPU they are Rust over `std::arch` (`native`, `simd`), chosen by what the processor has ([`Kernels::best`]); elsewhere
//! libtorch's products in the same structure (`csrc/gru.cpp`), or cuDNN. What tch lacks besides, the fused AdamW update and
//! bf16 autocast on a CPU, comes through the same thin C++ bridge (`csrc/bridge.cpp`).
//!
//! ```
//! use grulm_kernels::{Compute, GruWeights, gru};
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
//! let (y, last) = gru(&x, &h, &weights, Compute::fp32())?;
//! assert_eq!(y.size(), [time, batch, hidden]);
//! assert!(y.get(-1).equal(&last));
//! # Ok::<(), grulm_kernels::Error>(())
//! ```

mod adamw;
mod bridge;
mod compute;
mod gru;
mod native;
mod precision;
mod random;
mod sequence;
mod simd;
mod softmax;
mod upload;

pub use adamw::{AdamWStep, fused_adamw};
pub use compute::{Compute, Kernels, product_speed};
pub use gru::{GruWeights, flatten, gru};
pub use precision::{Precision, autocast};
pub use random::{GOLDEN, dropout_mask, mix, random_bits};
pub use sequence::{Packing, Sequence, SequenceWeights};
pub use simd::Isa;
pub use softmax::{logits, nll, nll_sum};
pub use upload::upload;

/// What an operand is and should be, or libtorch's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// Leaves `tensor` without a gradient. The next one is then kept as it comes; after tch's `zero_grad` it would be added to zeros.
///
/// # Errors
/// When libtorch refuses.
pub fn clear_grad(tensor: &tch::Tensor) -> Result<(), Error> {
    check_defined("clear_grad", "the tensor", tensor)?;
    // SAFETY: a live tensor, borrowed for this call.
    bridge::check(unsafe { bridge::grulm_clear_grad(tensor.as_ptr()) })
}

/// tch panics where the sizes of an undefined tensor (a gradient that was never computed, say) are asked for.
fn check_defined(function: &str, name: &str, tensor: &tch::Tensor) -> Result<(), Error> {
    if tensor.defined() { Ok(()) } else { Err(Error(format!("{function}: {name} is undefined"))) }
}
