//! Embedding and stacked GRU layers.

use grulm_kernels::Compute;
use tch::{Device, Kind, Tensor};

use crate::{Error, ModelConfig, Noise, Params, Reading, gru::GruLayer};

/// The recurrent state between two windows of text: one `[B, H_l]` a layer.
#[derive(Debug)]
pub struct Carry(pub Vec<Tensor>);

impl Carry {
    /// The same values without their history, which cuts the gradient at the window's border.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self(self.0.iter().map(Tensor::detach).collect())
    }

    /// The state of the first `lanes` lanes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn first(&self, lanes: i64) -> Result<Self, Error> {
        let first = |state: &Tensor| Ok(state.f_narrow(0, 0, lanes)?);
        Ok(Self(self.0.iter().map(first).collect::<Result<_, Error>>()?))
    }

    /// The same handles.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self(self.0.iter().map(Tensor::shallow_clone).collect())
    }
}

/// Embedding and one stack of GRU layers a direction. Holds no state of a batch.
#[derive(Debug)]
pub struct Encoder {
    embedding: Tensor,
    stacks: Vec<(Reading, Vec<GruLayer>)>,
}

impl Encoder {
    /// Adds the weights `encoder.embedding.weight`, `encoder.forward.rnns.0.weight_ih_l0`, ...
    ///
    /// # Errors
    /// When libtorch refuses to lay them out for a GPU.
    pub fn new(params: &mut Params, config: &ModelConfig, vocab_size: i64) -> Result<Self, Error> {
        let embedding = params.add("encoder.embedding.weight", &[vocab_size, config.embedding], 0.1, 0);
        let mut stack = |reading: Reading| {
            let layer = |l: usize| {
                let prefix = format!("encoder.{}.rnns.{l}", reading.name());
                GruLayer::new(params, &prefix, config.widths(l), l + 1)
            };
            Ok((reading, (0..config.layers).map(layer).collect::<Result<_, Error>>()?))
        };
        let stacks = config.direction.readings().iter().map(|&reading| stack(reading)).collect::<Result<_, Error>>()?;
        Ok(Self { embedding, stacks })
    }

    /// The embedding's weights, `[V, E]`.
    pub fn embedding(&self) -> &Tensor {
        &self.embedding
    }

    /// The state before any text.
    ///
    /// # Errors
    /// When the model has no stack for `reading`.
    pub fn zero_carry(&self, reading: Reading, batch: i64, device: Device) -> Result<Carry, Error> {
        let zeros = |layer: &GruLayer| Tensor::zeros([batch, layer.hidden()], (Kind::Float, device));
        Ok(Carry(self.stack(reading)?.iter().map(zeros).collect()))
    }

    /// Reads `tokens` `[T, B]` (int64, in reading order) from `carry`; returns the last layer's outputs `[T, B, H]` and the
    /// state after them. With `noise`, embedding, input, hidden and weight dropout apply.
    ///
    /// # Errors
    /// When the model has no stack for `reading`, a shape or the number of carried states does not fit, or a token is not in the
    /// vocabulary.
    pub fn forward(
        &self,
        reading: Reading,
        tokens: &Tensor,
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Tensor, Carry), Error> {
        self.read(reading, tokens, carry, noise, compute, |_| ())
    }

    /// As [`Encoder::forward`], with what every layer gives, before the dropout of the next one: the embedded tokens
    /// `[T, B, E]` first, then the outputs `[T, B, H_l]` of the GRU layers.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn forward_all(
        &self,
        reading: Reading,
        tokens: &Tensor,
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Vec<Tensor>, Carry), Error> {
        let mut layers = Vec::new();
        let (_, after) = self.read(reading, tokens, carry, noise, compute, |y| layers.push(y.shallow_clone()))?;
        Ok((layers, after))
    }

    fn read(
        &self,
        reading: Reading,
        tokens: &Tensor,
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
        mut each: impl FnMut(&Tensor),
    ) -> Result<(Tensor, Carry), Error> {
        let stack = self.stack(reading)?;
        if carry.0.len() != stack.len() {
            let (states, layers) = (carry.0.len(), stack.len());
            return Err(Error::Unsupported(format!("a carry of {states} states for a model of {layers} layers")));
        }
        let mut x = self.embed(tokens, noise)?;
        each(&x);
        x = Noise::locked(noise, "input", |rates| rates.input, x)?;
        let mut after = Vec::with_capacity(stack.len());
        for (l, (layer, state)) in stack.iter().zip(&carry.0).enumerate() {
            if l > 0 {
                x = Noise::locked(noise, &format!("hidden {l}"), |rates| rates.hidden, x)?;
            }
            let weight_dropout = noise.map(|n| (n.site.named("weight").at(l as u64), n.rates.weight));
            let (y, last) = layer.forward(&x, state, weight_dropout, compute)?;
            each(&y);
            x = y;
            after.push(last);
        }
        Ok((x, Carry(after)))
    }

    /// Embeds `tokens` `[T, B]` to `[T, B, E]`. Embedding dropout zeroes all occurrences of a dropped word.
    fn embed(&self, tokens: &Tensor, noise: Option<&Noise<'_>>) -> Result<Tensor, Error> {
        let embedded = Tensor::f_embedding(&self.embedding, tokens, -1, false, false)?;
        match noise {
            Some(Noise { site, rates }) if rates.embedding > 0.0 => {
                let (vocab, _) = self.embedding.size2()?;
                let mask = site.named("embedding").dropout_mask(&[vocab], rates.embedding, tokens.device())?;
                let mask = mask.f_index_select(0, &tokens.f_reshape(-1)?)?.f_view_as(tokens)?.f_unsqueeze(-1)?;
                Ok(embedded.f_mul(&mask)?)
            }
            _ => Ok(embedded),
        }
    }

    /// The layers that read in that direction, from the input on.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn stack(&self, reading: Reading) -> Result<&[GruLayer], Error> {
        let found = self.stacks.iter().find(|(own, _)| *own == reading);
        found.map(|(_, layers)| layers.as_slice()).ok_or_else(|| {
            Error::Unsupported(format!("this model has no {} half (model.direction says which it has)", reading.name()))
        })
    }
}
