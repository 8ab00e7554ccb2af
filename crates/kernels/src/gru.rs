//! The GRU layer: the one place through which `model` reaches it.

use tch::Tensor;

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

/// One GRU layer (Cho et al., arXiv 1406.1078; the variant of cuDNN and PyTorch) over a sequence.
///
/// `x` is `[T, B, I]`, `h` the f32 state before it, `[B, H]`. Returns the outputs `[T, B, H]` and the state after the last
/// step `[B, H]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn gru(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>, precision: Precision) -> Result<(Tensor, Tensor), Error> {
    check_shapes(x, h, weights)?;
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    if x.device().is_cuda() {
        let weights = [weight_ih, weight_hh, bias_ih, bias_hh];
        let (y, last) = x
            .f_gru(&h.unsqueeze(0), &weights, true, 1, 0.0, false, false, false)
            .map_err(|error| Error(error.to_string()))?;
        return Ok((y, last.squeeze_dim(0)));
    }
    let (mut y, mut last) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the operands are live tensors borrowed for this call; on success the bridge stores two new tensors, which
    // we own from then on.
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
        Ok((Tensor::from_ptr(y), Tensor::from_ptr(last)))
    }
}

/// The bridge narrows and views without looking, so the shapes are checked here.
fn check_shapes(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>) -> Result<(), Error> {
    let (x, h) = (x.size(), h.size());
    let (&[time, batch, input], &[rows, hidden]) = (x.as_slice(), h.as_slice()) else {
        return Err(Error(format!("gru: input {x:?} and state {h:?}; expected [T, B, I] and [B, H]")));
    };
    let expected = [vec![3 * hidden, input], vec![3 * hidden, hidden], vec![3 * hidden], vec![3 * hidden]];
    let found = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh].map(Tensor::size);
    if time == 0 || rows != batch || found != expected {
        return Err(Error(format!(
            "gru: input {x:?}, state {h:?} and weights {found:?} do not fit; expected {expected:?}"
        )));
    }
    Ok(())
}
