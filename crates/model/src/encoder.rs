//! Embedding and stacked GRU layers.

use std::cell::RefCell;

use grulm_kernels::Compute;
use tch::{Device, Tensor};

use crate::{Error, ModelConfig, Noise, Params, Reading, stack::GruStack};

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

    /// The state of the lanes at these places, int64, which may come more than once.
    ///
    /// # Errors
    /// When there is none at one of them.
    pub fn select(&self, lanes: &Tensor) -> Result<Self, Error> {
        let select = |state: &Tensor| Ok(state.f_index_select(0, lanes)?);
        Ok(Self(self.0.iter().map(select).collect::<Result<_, Error>>()?))
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
    stacks: Vec<(Reading, GruStack)>,
}

impl Encoder {
    /// Adds the weights `encoder.embedding.weight`, `encoder.forward.rnns.0.weight_ih_l0`, ...
    ///
    /// # Errors
    /// When there is no memory for them, or libtorch refuses to lay them out for a GPU.
    pub fn new(params: &mut Params, config: &ModelConfig, vocab_size: i64) -> Result<Self, Error> {
        let embedding = params.add("encoder.embedding.weight", &[vocab_size, config.embedding], 0.1, 0)?;
        let mut stack =
            |reading: Reading| Ok((reading, GruStack::new(params, &format!("encoder.{}", reading.name()), config)?));
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
        Ok(self.stack(reading)?.zero_carry(batch, device))
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
        self.stack(reading)?.forward(self.embed(tokens, noise)?, carry, noise, compute, |_, y| Ok(y))
    }

    /// As [`Encoder::forward`], with what every layer gives, before the dropout of the next one: the embedded tokens
    /// `[T, B, E]` first, then the outputs `[T, B, H_l]` of the GRU layers.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn layers(
        &self,
        reading: Reading,
        tokens: &Tensor,
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Vec<Tensor>, Carry), Error> {
        let embedded = self.embed(tokens, noise)?;
        let layers = RefCell::new(vec![embedded.shallow_clone()]);
        let (_, after) = self.stack(reading)?.forward(embedded, carry, noise, compute, |_, y| {
            layers.borrow_mut().push(y.shallow_clone());
            Ok(y)
        })?;
        Ok((layers.into_inner(), after))
    }

    /// Embeds `tokens` `[T, B]` to `[T, B, E]`. With `noise`, embedding dropout zeroes all occurrences of a dropped word.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    pub fn embed(&self, tokens: &Tensor, noise: Option<&Noise<'_>>) -> Result<Tensor, Error> {
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
    pub(crate) fn stack(&self, reading: Reading) -> Result<&GruStack, Error> {
        let found = self.stacks.iter().find(|(own, _)| *own == reading);
        found.map(|(_, stack)| stack).ok_or_else(|| {
            Error::Unsupported(format!("this model has no {} half (model.direction says which it has)", reading.name()))
        })
    }
}
