//! The GRU layer: the one place through which `model` reaches it.

use tch::{Kind, Tensor};

use crate::Precision;

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
pub fn gru(
    x: &Tensor,
    h: &Tensor,
    weights: &GruWeights<'_>,
    precision: Precision,
) -> Result<(Tensor, Tensor), tch::TchError> {
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    // Cast once a sequence: autocast caches the casts of leaves only, and dropped-out weights are none.
    let recurrent = match precision {
        Precision::Bf16 => weight_hh.to_kind(Kind::BFloat16),
        Precision::Fp32 => weight_hh.shallow_clone(),
    };
    let (y, last) =
        x.f_gru(&h.unsqueeze(0), &[weight_ih, &recurrent, bias_ih, bias_hh], true, 1, 0.0, false, false, false)?;
    Ok((y, last.squeeze_dim(0)))
}
