//! The fused AdamW update.

use tch::Tensor;

use crate::{Error, bridge};

/// The settings of one AdamW update (Loshchilov and Hutter, arXiv 1711.05101).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the running mean of the gradient.
    pub beta1: f64,
    /// Decay of the running mean of the squared gradient.
    pub beta2: f64,
    /// Decoupled weight decay: each update also multiplies the weights by `1 - learning_rate * weight_decay`.
    pub weight_decay: f64,
    /// Added to the denominator.
    pub epsilon: f64,
}

/// Updates `params` in place, in one pass over memory.
///
/// `grads`, `means` and `variances` have the shapes of `params`; `steps` hold the number of this update, counted from
/// one, as 0-dim f32 tensors; gradients are divided by `grad_scale` (0-dim f32) before use; `found_inf` is a 0-dim f32 tensor: where it is 1, nothing changes, without the host
/// having to read it.
///
/// # Errors
/// When the lists differ in length or libtorch refuses the tensors.
#[allow(clippy::too_many_arguments, reason = "the update's operands; a struct of references would only rename them")]
pub fn fused_adamw(
    params: &[Tensor],
    grads: &[Tensor],
    means: &[Tensor],
    variances: &[Tensor],
    steps: &[Tensor],
    settings: AdamWStep,
    grad_scale: &Tensor,
    found_inf: &Tensor,
) -> Result<(), Error> {
    let count = params.len();
    let lengths = [grads.len(), means.len(), variances.len(), steps.len()];
    if lengths.iter().any(|&length| length != count) {
        return Err(Error(format!(
            "fused_adamw: {count} parameters, but {lengths:?} gradients, means, variances, steps"
        )));
    }
    let AdamWStep { learning_rate, beta1, beta2, weight_decay, epsilon } = settings;
    // SAFETY: every pointer comes from a live tensor borrowed for this call, and every list has `count` entries.
    let message = unsafe {
        bridge::grulm_fused_adamw(
            bridge::pointers(params).as_ptr(),
            bridge::pointers(grads).as_ptr(),
            bridge::pointers(means).as_ptr(),
            bridge::pointers(variances).as_ptr(),
            bridge::pointers(steps).as_ptr(),
            count,
            learning_rate,
            beta1,
            beta2,
            weight_decay,
            epsilon,
            grad_scale.as_ptr().cast_mut(),
            found_inf.as_ptr().cast_mut(),
        )
    };
    bridge::check(message)
}
