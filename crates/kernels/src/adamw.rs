//! The fused AdamW update.

use tch::{Kind, Tensor};

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
/// `grads`, `means` and `variances` have the shapes of `params`, and all are contiguous f32 tensors; `steps` hold the number of
/// this update, counted from one, as 0-dim f32 tensors; gradients are divided by `grad_scale` (0-dim f32) before use, in
/// place; `found_inf` is a 0-dim f32 tensor: where it is 1, nothing changes, without the host having to read it.
///
/// # Errors
/// When the lists differ in length, a tensor is not as said above, or libtorch refuses.
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
    // libtorch's kernels read and write as many numbers as the parameter has, in memory order, wherever the others end.
    for (param, rest) in params.iter().zip(grads.iter().zip(means).zip(variances)) {
        crate::check_defined("fused_adamw", "a parameter", param)?;
        let ((grad, mean), variance) = rest;
        let named = [("a parameter", param), ("its gradient", grad), ("its mean", mean), ("its variance", variance)];
        for (name, tensor) in named {
            check_operand(name, tensor, &param.size(), param.device())?;
        }
    }
    if let Some(param) = params.first() {
        for step in steps {
            check_operand("a number of updates", step, &[], param.device())?;
        }
        check_operand("grad_scale", grad_scale, &[], param.device())?;
        check_operand("found_inf", found_inf, &[], param.device())?;
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

fn check_operand(name: &str, tensor: &Tensor, shape: &[i64], device: tch::Device) -> Result<(), Error> {
    crate::check_defined("fused_adamw", name, tensor)?;
    let kind = tensor.f_kind().map_err(|error| Error(format!("fused_adamw: {name}: {error}")))?;
    if tensor.size() == shape && kind == Kind::Float && tensor.device() == device && tensor.is_contiguous() {
        return Ok(());
    }
    let order = if tensor.is_contiguous() { "contiguous" } else { "not contiguous" };
    Err(Error(format!(
        "fused_adamw: {name} is {kind:?} {:?} on {:?}, {order}; expected contiguous Float {shape:?} on {device:?}",
        tensor.size(),
        tensor.device()
    )))
}
