//! Projection to the vocabulary and cross-entropy: the one place through which `model` reaches them.

use tch::{Kind, Reduction, TchError, Tensor};

/// The logits `[N, V]` of states `x` `[N, D]` under the softmax weights `weight` `[V, D]` and `bias` `[V]`.
///
/// # Errors
/// When the shapes do not fit, or memory runs out.
pub fn logits(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    x.f_linear(weight, Some(bias))
}

/// The negative log likelihoods, in nats, `[N]`, f32, of `targets` `[N]` under a softmax over [`logits`].
///
/// # Errors
/// When the shapes do not fit, or memory runs out.
pub fn cross_entropy(x: &Tensor, weight: &Tensor, bias: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    let logits = logits(x, weight, bias)?.f_to_kind(Kind::Float)?;
    logits.f_cross_entropy_loss::<Tensor>(targets, None, Reduction::None, -100, 0.0)
}
