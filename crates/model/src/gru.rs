//! One GRU layer of one direction.

use grulm_kernels::{Compute, GruWeights};
use tch::Tensor;

use crate::{Error, Params, Site};

/// One GRU layer. Its weights load into a one-layer `torch.nn.GRU`.
#[derive(Debug)]
pub(crate) struct GruLayer {
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden: i64,
}

impl GruLayer {
    /// Adds the weights `{prefix}.weight_ih_l0`, ... of layer group `group`, drawn from U(-1/sqrt(H), 1/sqrt(H)) as
    /// `torch.nn.GRU` draws them.
    pub(crate) fn new(
        params: &mut Params,
        prefix: &str,
        (input, hidden): (i64, i64),
        group: usize,
    ) -> Result<Self, Error> {
        let bound = 1.0 / (hidden as f64).sqrt();
        let mut add = |name: &str, shape: &[i64]| params.add(format!("{prefix}.{name}_l0"), shape, bound, group);
        let layer = Self {
            weight_ih: add("weight_ih", &[3 * hidden, input])?,
            weight_hh: add("weight_hh", &[3 * hidden, hidden])?,
            bias_ih: add("bias_ih", &[3 * hidden])?,
            bias_hh: add("bias_hh", &[3 * hidden])?,
            hidden,
        };
        grulm_kernels::flatten(&layer.weights())?;
        Ok(layer)
    }

    /// The weights.
    pub(crate) fn weights(&self) -> GruWeights<'_> {
        let Self { weight_ih, weight_hh, bias_ih, bias_hh, .. } = self;
        GruWeights { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    /// Width of the output.
    pub(crate) fn hidden(&self) -> i64 {
        self.hidden
    }

    /// Runs over `x` `[T, B, I]` from state `h` `[B, H]`; returns `[T, B, H]` and the state after the last step. With
    /// `weight_dropout`, units of the recurrent matrix are dropped for the whole sequence.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        h: &Tensor,
        weight_dropout: Option<(Site, f64)>,
        compute: Compute,
    ) -> Result<(Tensor, Tensor), Error> {
        let dropped = match weight_dropout {
            Some((site, rate)) if rate > 0.0 => {
                self.weight_hh.f_mul(&site.dropout_mask(&self.weight_hh.size(), rate, x.device())?)?
            }
            _ => self.weight_hh.shallow_clone(),
        };
        Ok(grulm_kernels::gru(x, h, &GruWeights { weight_hh: &dropped, ..self.weights() }, compute)?)
    }
}
