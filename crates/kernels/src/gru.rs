//! The GRU layer: the one place through which `model` reaches it.

use tch::{Kind, Tensor};

use crate::{Error, Precision, bridge};

/// The weights of one layer and direction, as in `torch.nn.GRU`: gates in the order r, z, n, the reset gate applied
/// after the recurrent product.
#[derive(Debug)]
pub struct GruWeights<'a> {
    /// `[3H, I]`.
    pub weight_ih: &'a Tensor,
    /// `[3H, H]`.
    pub weight_hh: &'a Tensor,
    /// `[3H]`.
    pub bias_ih: &'a Tensor,
    /// `[3H]`.
    pub bias_hh: &'a Tensor,
}

const OPERANDS: [&str; 6] = ["x", "h", "weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// One GRU layer (Cho et al., arXiv 1406.1078; the variant of cuDNN and PyTorch) over a sequence.
///
/// `x` is `[T, B, I]`, `h` the f32 state before it, `[B, H]`. Returns the outputs `[T, B, H]` and the f32 state after the
/// last step `[B, H]`.
///
/// On a CUDA device this is cuDNN's GRU, and `precision` acts through [`autocast`](crate::autocast). Elsewhere it is a
/// GRU over libtorch's products with a backward pass of its own (`csrc/gru.cpp`), once differentiable, in which
/// `precision` is the type of the products and autocast does nothing.
///
/// # Errors
/// When the shapes do not fit, a size is 0, an operand is not f32 (`x`: f32 or bf16) or they lie on several devices.
pub fn gru(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>, precision: Precision) -> Result<(Tensor, Tensor), Error> {
    check_operands(x, h, weights)?;
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    if x.device().is_cuda() {
        let weights = [weight_ih, weight_hh, bias_ih, bias_hh];
        let (y, last) = x
            .f_gru(&h.unsqueeze(0), &weights, true, 1, 0.0, false, false, false)
            .map_err(|error| Error(format!("libtorch: {error}")))?;
        // Autocast makes the state bf16 as well; what is carried from window to window stays f32.
        return Ok((y, last.squeeze_dim(0).to_kind(Kind::Float)));
    }
    let (mut y, mut last) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the operands are live tensors borrowed for this call; on success the bridge stores two new tensors, which
    // we own from then on, and `check` has turned a failure into an error before they are looked at.
    unsafe {
        bridge::check(bridge::grulm_gru(
            x.as_ptr(),
            h.as_ptr(),
            weight_ih.as_ptr(),
            weight_hh.as_ptr(),
            bias_ih.as_ptr(),
            bias_hh.as_ptr(),
            precision == Precision::Bf16,
            &raw mut y,
            &raw mut last,
        ))?;
        if y.is_null() || last.is_null() {
            return Err(Error("gru: no memory for the message of an error".into()));
        }
        Ok((Tensor::from_ptr(y), Tensor::from_ptr(last)))
    }
}

/// The bridge narrows and views without looking, so the operands are checked here.
fn check_operands(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>) -> Result<(), Error> {
    let weights = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh];
    for (name, tensor) in OPERANDS.into_iter().zip([x, h].into_iter().chain(weights)) {
        crate::check_defined("gru", name, tensor)?;
        // Autocast may have made the input of a layer bf16; state and weights are f32 always.
        let allowed: &[Kind] = if name == "x" { &[Kind::Float, Kind::BFloat16] } else { &[Kind::Float] };
        let kind = tensor.f_kind().map_err(|error| Error(format!("gru: {name}: {error}")))?;
        if !allowed.contains(&kind) || tensor.device() != x.device() {
            return Err(Error(format!(
                "gru: {name} is {kind:?} on {:?}; expected {allowed:?} on {:?}, as x is",
                tensor.device(),
                x.device()
            )));
        }
    }
    let (x, h, found) = (x.size(), h.size(), weights.map(Tensor::size));
    let (&[time, batch, input], &[rows, hidden]) = (x.as_slice(), h.as_slice()) else {
        return Err(Error(format!("gru: input {x:?} and state {h:?}; expected [T, B, I] and [B, H]")));
    };
    let expected = [vec![3 * hidden, input], vec![3 * hidden, hidden], vec![3 * hidden], vec![3 * hidden]];
    if [time, batch, input, hidden].contains(&0) || rows != batch || found != expected {
        return Err(Error(format!(
            "gru: input {x:?}, state {h:?} and weights {found:?} do not fit; expected weights {expected:?}, no size 0"
        )));
    }
    Ok(())
}
