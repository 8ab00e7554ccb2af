//! The softmax over the vocabulary.

use grulm_kernels::Compute;
use tch::{Kind, Tensor};

use crate::{Error, ModelConfig, Params, Reading};

/// An optional projection a direction, then the softmax, tied to the embedding or with weights of its own.
#[derive(Debug)]
pub struct Softmax {
    projections: Vec<(Reading, Tensor, Tensor)>,
    weight: Tensor,
    bias: Tensor,
}

impl Softmax {
    /// Adds the weights `decoder.projection.forward.weight`, `decoder.weight` (unless tied to `embedding`), `decoder.bias`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn new(params: &mut Params, config: &ModelConfig, vocab_size: i64, embedding: &Tensor) -> Result<Self, Error> {
        let group = config.layers + 1;
        let mut projections = Vec::new();
        if config.projection {
            let bound = 1.0 / (config.hidden as f64).sqrt();
            for &reading in config.direction.readings() {
                let prefix = format!("decoder.projection.{}", reading.name());
                let weight =
                    params.add(format!("{prefix}.weight"), &[config.embedding, config.hidden], bound, group)?;
                let bias = params.add(format!("{prefix}.bias"), &[config.embedding], 0.0, group)?;
                projections.push((reading, weight, bias));
            }
        }
        let weight = if config.tie_weights {
            embedding.shallow_clone()
        } else {
            let width = config.output_width();
            params.add("decoder.weight", &[vocab_size, width], 1.0 / (width as f64).sqrt(), group)?
        };
        let bias = params.add("decoder.bias", &[vocab_size], 0.0, group)?;
        Ok(Self { projections, weight, bias })
    }

    /// The logits `[N, V]` after states `x` `[N, H]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn logits(&self, reading: Reading, x: &Tensor) -> Result<Tensor, Error> {
        Ok(grulm_kernels::logits(&self.project(reading, x)?, &self.weight, &self.bias)?)
    }

    /// The negative log likelihoods, in nats, `[N]`, of `targets` `[N]` after states `x` `[N, H]`; without a gradient.
    ///
    /// # Errors
    /// When the shapes do not fit or a target is not in the vocabulary.
    pub fn nll(&self, reading: Reading, x: &Tensor, targets: &Tensor, compute: Compute) -> Result<Tensor, Error> {
        Ok(grulm_kernels::nll(&self.project(reading, x)?, &self.weight, &self.bias, targets, compute)?)
    }

    /// Their sum, 0-dim, with its gradient.
    ///
    /// # Errors
    /// As [`Softmax::nll`].
    pub fn nll_sum(&self, reading: Reading, x: &Tensor, targets: &Tensor, compute: Compute) -> Result<Tensor, Error> {
        Ok(grulm_kernels::nll_sum(&self.project(reading, x)?, &self.weight, &self.bias, targets, compute)?)
    }

    /// [`Softmax::nll_sum`], and what label smoothing (Szegedy et al., arXiv 1512.00567) adds to it a unit of its weight: the
    /// targets' logits less the mean logits, summed. For, with z the logits, -(1 - e) log p(y) - e mean(log p) is
    /// -log p(y) + e (z(y) - mean(z)), and the mean logit is the logit of the mean word.
    ///
    /// # Errors
    /// As [`Softmax::nll`].
    pub fn smoothed_nll_sum(
        &self,
        reading: Reading,
        x: &Tensor,
        targets: &Tensor,
        compute: Compute,
    ) -> Result<(Tensor, Tensor), Error> {
        let x = self.project(reading, x)?;
        let nll = grulm_kernels::nll_sum(&x, &self.weight, &self.bias, targets, compute)?;
        let above = |weight: &Tensor| {
            weight.f_index_select(0, targets)?.f_sub(&weight.f_mean_dim([0i64].as_slice(), true, Kind::Float)?)
        };
        let margins = x.f_to_kind(Kind::Float)?.f_mul(&above(&self.weight)?)?.f_sum(Kind::Float)?;
        Ok((nll, margins.f_add(&above(&self.bias)?.f_sum(Kind::Float)?)?))
    }

    fn project(&self, reading: Reading, x: &Tensor) -> Result<Tensor, Error> {
        match self.projection(reading) {
            Some((weight, bias)) => Ok(x.f_linear(weight, Some(bias))?),
            None => Ok(x.shallow_clone()),
        }
    }

    /// Weight `[E, H]` and bias `[E]` of the projection, where there is one.
    pub(crate) fn projection(&self, reading: Reading) -> Option<(&Tensor, &Tensor)> {
        self.projections.iter().find(|(own, ..)| *own == reading).map(|(_, weight, bias)| (weight, bias))
    }

    /// Weight `[V, E]` or `[V, H]` and bias `[V]` of the softmax.
    pub(crate) fn softmax(&self) -> (&Tensor, &Tensor) {
        (&self.weight, &self.bias)
    }
}
