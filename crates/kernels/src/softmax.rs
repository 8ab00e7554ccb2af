//! Projection to the vocabulary and cross-entropy: the one place through which `model` reaches them.

use tch::{Kind, Reduction, TchError, Tensor};

use crate::{Compute, Error, bridge, native::Table};

/// The logits `[N, V]` of states `x` `[N, D]` under the softmax weights `weight` `[V, D]` and `bias` `[V]`.
///
/// # Errors
/// When the shapes do not fit, or memory runs out.
pub fn logits(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    x.f_linear(weight, Some(bias))
}

/// The negative log likelihoods, in nats, `[N]`, f32, of `targets` `[N]` (int64) under a softmax over [`logits`]; without a
/// gradient.
///
/// # Errors
/// When the shapes do not fit, a target is no word of the vocabulary, or memory runs out.
pub fn nll(x: &Tensor, weight: &Tensor, bias: &Tensor, targets: &Tensor, compute: Compute) -> Result<Tensor, Error> {
    crate::check_defined("cross-entropy", "x", x)?;
    match compute.table(x.device()) {
        Some(table) => native(x, weight, bias, targets, table, bridge::grulm_native_nll),
        None => tch::no_grad(|| plain(x, weight, bias, targets, Reduction::None)),
    }
}

/// The sum of [`nll()`], 0-dim, with its gradient. On a CPU with kernels of our own, logits exist for some hundred rows at a
/// time only, and the gradients are made with them, so that the backward pass can be run once.
///
/// # Errors
/// As [`nll()`].
pub fn nll_sum(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    targets: &Tensor,
    compute: Compute,
) -> Result<Tensor, Error> {
    crate::check_defined("cross-entropy", "x", x)?;
    match compute.table(x.device()) {
        Some(table) => native(x, weight, bias, targets, table, bridge::grulm_native_nll_sum),
        None => plain(x, weight, bias, targets, Reduction::Sum),
    }
}

fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, targets: &Tensor, by: Reduction) -> Result<Tensor, Error> {
    let loss = || {
        let logits = logits(x, weight, bias)?.f_to_kind(Kind::Float)?;
        // No target is ignored: what is no word is an error.
        logits.f_cross_entropy_loss::<Tensor>(targets, None, by, i64::MIN, 0.0)
    };
    loss().map_err(|error| Error(format!("libtorch: {error}")))
}

/// `grulm_native_nll` or `grulm_native_nll_sum`.
type Function = unsafe extern "C" fn(
    *const torch_sys::C_tensor,
    *const torch_sys::C_tensor,
    *const torch_sys::C_tensor,
    *const torch_sys::C_tensor,
    *const Table,
    *mut *mut torch_sys::C_tensor,
) -> *mut std::ffi::c_char;

fn native(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    targets: &Tensor,
    table: &'static Table,
    function: Function,
) -> Result<Tensor, Error> {
    check_operands(x, weight, bias, targets)?;
    let mut result = std::ptr::null_mut();
    // SAFETY: the operands are live tensors of the right shapes, borrowed for this call; on success the bridge stores a new
    // tensor, which we own from then on; a failure leaves null.
    unsafe {
        bridge::check(function(x.as_ptr(), weight.as_ptr(), bias.as_ptr(), targets.as_ptr(), table, &raw mut result))?;
        if result.is_null() {
            return Err(Error("cross-entropy: no memory for the message of an error".into()));
        }
        Ok(Tensor::from_ptr(result))
    }
}

/// The kernels read without looking, so the operands are checked here.
fn check_operands(x: &Tensor, weight: &Tensor, bias: &Tensor, targets: &Tensor) -> Result<(), Error> {
    for (name, tensor) in [("x", x), ("weight", weight), ("bias", bias), ("targets", targets)] {
        crate::check_defined("cross-entropy", name, tensor)?;
        let allowed: &[Kind] = match name {
            "targets" => &[Kind::Int64],
            // Autocast may have made the states bf16.
            "x" => &[Kind::Float, Kind::BFloat16],
            _ => &[Kind::Float],
        };
        let kind = tensor.f_kind().map_err(|error| Error(format!("cross-entropy: {name}: {error}")))?;
        if !allowed.contains(&kind) || tensor.device() != x.device() {
            let (device, expected) = (tensor.device(), x.device());
            return Err(Error(format!(
                "cross-entropy: {name} is {kind:?} on {device:?}; expected {allowed:?} on {expected:?}, as x is"
            )));
        }
    }
    let found = [x, weight, bias, targets].map(Tensor::size);
    let fits = match found.each_ref().map(Vec::as_slice) {
        [&[rows, width], &[words, columns], &[entries], &[count]] => {
            rows > 0 && width > 0 && words > 0 && columns == width && entries == words && count == rows
        }
        _ => false,
    };
    if !fits {
        return Err(Error(format!(
            "cross-entropy: x, weight, bias and targets are {found:?}; expected [N, D], [V, D], [V], [N], no size 0"
        )));
    }
    let range = targets.f_aminmax(None::<i64>, false).map_err(|error| Error(format!("libtorch: {error}")))?;
    let (least, most) = (range.0.int64_value(&[]), range.1.int64_value(&[]));
    let words = weight.size()[0];
    if least < 0 || most >= words {
        let target = if least < 0 { least } else { most };
        return Err(Error(format!("cross-entropy: target {target}; expected 0 to {}", words - 1)));
    }
    Ok(())
}
