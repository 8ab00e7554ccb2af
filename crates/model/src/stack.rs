//! GRU layers, one on top of the other.

use grulm_kernels::Compute;
use tch::{Device, Kind, Tensor};

use crate::{Carry, Error, ModelConfig, Noise, Params, gru::GruLayer};

/// The layers of one reading direction. Holds no state of a batch.
#[derive(Debug)]
pub(crate) struct GruStack {
    layers: Vec<GruLayer>,
}

impl GruStack {
    /// Adds the weights `{prefix}.rnns.0.weight_ih_l0`, ...; layer `l` is of group `l + 1`.
    pub(crate) fn new(params: &mut Params, prefix: &str, config: &ModelConfig) -> Result<Self, Error> {
        let layer = |l: usize| GruLayer::new(params, &format!("{prefix}.rnns.{l}"), config.widths(l), l + 1);
        Ok(Self { layers: (0..config.layers).map(layer).collect::<Result<_, Error>>()? })
    }

    /// The layers, from the input on.
    pub(crate) fn layers(&self) -> &[GruLayer] {
        &self.layers
    }

    /// The state before any text.
    pub(crate) fn zero_carry(&self, batch: i64, device: Device) -> Carry {
        let zeros = |layer: &GruLayer| Tensor::zeros([batch, layer.hidden()], (Kind::Float, device));
        Carry(self.layers.iter().map(zeros).collect())
    }

    /// Reads `x` `[T, B, E]` from `carry`, with input, hidden and weight dropout; `above` says what the next layer reads of the
    /// outputs `[T, B, H]` of layer `l`. Returns that of the last layer, and the state after the last step.
    pub(crate) fn forward(
        &self,
        x: Tensor,
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
        above: impl Fn(usize, Tensor) -> Result<Tensor, Error>,
    ) -> Result<(Tensor, Carry), Error> {
        if carry.0.len() != self.layers.len() {
            let (states, layers) = (carry.0.len(), self.layers.len());
            return Err(Error::Unsupported(format!("a carry of {states} states for a model of {layers} layers")));
        }
        let mut x = Noise::locked(noise, "input", |rates| rates.input, x)?;
        let mut after = Vec::with_capacity(self.layers.len());
        for (l, (layer, state)) in self.layers.iter().zip(&carry.0).enumerate() {
            if l > 0 {
                x = Noise::locked(noise, &format!("hidden {l}"), |rates| rates.hidden, x)?;
            }
            let weight_dropout = noise.map(|n| (n.site.named("weight").at(l as u64), n.rates.weight));
            let (y, last) = layer.forward(&x, state, weight_dropout, compute)?;
            x = above(l, y)?;
            after.push(last);
        }
        Ok((x, Carry(after)))
    }
}
