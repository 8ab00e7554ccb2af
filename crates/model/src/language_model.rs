//! The language model: encoder and decoder together.

use std::path::Path;

use grulm_kernels::{Compute, Packing, Sequence, SequenceWeights, autocast};
use tch::{Device, Kind, Tensor, no_grad};

use crate::{
    Carry, DropoutConfig, Encoder, Error, ModelConfig, Noise, OutputPenalties, Params, Reading, Shape, Softmax,
    WEIGHTS_FILE, WeightFormat, gru::GruLayer,
};

/// A GRU language model and its weights.
#[derive(Debug)]
pub struct LanguageModel {
    shape: Shape,
    params: Params,
    encoder: Encoder,
    softmax: Softmax,
}

/// What a training pass gives.
#[derive(Debug)]
pub struct TrainingLoss {
    /// The negative log likelihood of the targets, in nats, summed: 0-dim, with its gradient.
    pub nll: Tensor,
    /// What is added to its mean, 0-dim, with its gradient; `None` where nothing is.
    pub penalty: Option<Tensor>,
    /// The state after the last target.
    pub carry: Carry,
}

impl LanguageModel {
    /// A model with random weights that are functions of `seed`.
    ///
    /// # Errors
    /// When a value of `config` is out of range, `vocab_size` is not in 1 to 2^31, or there is no memory.
    pub fn new(config: &ModelConfig, vocab_size: i64, seed: u64, device: Device) -> Result<Self, Error> {
        Self::build(Shape::new(config, vocab_size)?, Params::new(seed, device))
    }

    fn build(shape: Shape, mut params: Params) -> Result<Self, Error> {
        let encoder = Encoder::new(&mut params, &shape.model, shape.vocab_size)?;
        let softmax = Softmax::new(&mut params, &shape.model, shape.vocab_size, encoder.embedding())?;
        Ok(Self { shape, params, encoder, softmax })
    }

    /// Writes `model.json` and `model.safetensors` into `folder`, each under a temporary name first.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        self.shape.save(folder)?;
        self.params.save(&folder.join(WEIGHTS_FILE), format)
    }

    /// Opens what [`LanguageModel::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing or not readable, or the weights do not fit the sizes.
    pub fn open(folder: &Path, device: Device) -> Result<Self, Error> {
        let shape = Shape::open(folder)?;
        shape.check_weights(folder, shape.model.decoder_weight_count(shape.vocab_size))?;
        let model = Self::build(shape, Params::to_load(device))?;
        model.params.load(&folder.join(WEIGHTS_FILE))?;
        Ok(model)
    }

    /// Sizes and dropouts.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.shape.model
    }

    /// Trains with these rates from now on.
    pub fn set_dropout(&mut self, dropout: DropoutConfig) {
        self.shape.model.dropout = dropout;
    }

    /// The dropouts of training: none within an encoder that is frozen as a whole.
    #[must_use]
    pub fn training_dropout(&self) -> DropoutConfig {
        let DropoutConfig { output, .. } = self.shape.model.dropout;
        match self.params.is_frozen_below(self.shape.model.layers + 1) {
            true => DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output },
            false => self.shape.model.dropout.clone(),
        }
    }

    /// Entries of the vocabulary.
    #[must_use]
    pub fn vocab_size(&self) -> i64 {
        self.shape.vocab_size
    }

    /// The weights.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Where the weights lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.params.device()
    }

    /// The negative log likelihoods `[T, B]`, in nats, of `targets` `[T, B]`, each predicted from the tokens up to the same
    /// place of `inputs` `[T, B]` and from `carry`; and the state after the last. Without a gradient and without dropouts.
    ///
    /// # Errors
    /// When the model does not read in that direction, a shape does not fit, or memory runs out.
    pub fn nll(
        &self,
        reading: Reading,
        (inputs, targets): (&Tensor, &Tensor),
        carry: &Carry,
        compute: Compute,
    ) -> Result<(Tensor, Carry), Error> {
        no_grad(|| {
            autocast(compute.precision, self.device(), || {
                let (y, after) = self.encoder.forward(reading, inputs, carry, None, compute)?;
                let nll = self.softmax.nll(reading, &rows(&y)?, &targets.f_reshape(-1)?, compute)?;
                Ok((nll.f_reshape(targets.size())?, after))
            })?
        })
    }

    /// The sum of what [`LanguageModel::nll`] gives, 0-dim, with its gradient; with `noise`, all dropouts apply.
    ///
    /// # Errors
    /// As [`LanguageModel::nll`].
    pub fn loss(
        &self,
        reading: Reading,
        (inputs, targets): (&Tensor, &Tensor),
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Tensor, Carry), Error> {
        let none = OutputPenalties::default();
        let TrainingLoss { nll, carry, .. } =
            self.training_loss(reading, (inputs, targets), carry, noise, none, compute)?;
        Ok((nll, carry))
    }

    /// [`LanguageModel::loss`], and penalties beside it.
    ///
    /// # Errors
    /// As [`LanguageModel::nll`].
    pub fn training_loss(
        &self,
        reading: Reading,
        (inputs, targets): (&Tensor, &Tensor),
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        penalties: OutputPenalties,
        compute: Compute,
    ) -> Result<TrainingLoss, Error> {
        autocast(compute.precision, self.device(), || {
            let (before, carry) = self.encoder.forward(reading, inputs, carry, noise, compute)?;
            let y = Noise::locked(noise, "output", |rates| rates.output, before.shallow_clone())?;
            let penalty = penalties.of(&before, &y)?;
            let nll = self.softmax.nll_sum(reading, &rows(&y)?, &targets.f_reshape(-1)?, compute)?;
            Ok(TrainingLoss { nll, penalty, carry })
        })?
    }

    /// The negative log likelihood, in nats, of `targets` `[N]`, each predicted after the place in `[T * B]` that `places` `[N]`
    /// gives of `inputs` `[T, B]`, read from `carry`; summed, 0-dim, with its gradient. And the state after the last.
    ///
    /// # Errors
    /// As [`LanguageModel::nll`].
    pub fn loss_at(
        &self,
        reading: Reading,
        inputs: &Tensor,
        (places, targets): (&Tensor, &Tensor),
        carry: &Carry,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Tensor, Carry), Error> {
        autocast(compute.precision, self.device(), || {
            let (y, after) = self.encoder.forward(reading, inputs, carry, noise, compute)?;
            if targets.numel() == 0 {
                return Ok((Tensor::zeros([], (Kind::Float, self.device())), after));
            }
            let y = Noise::locked(noise, "output", |rates| rates.output, y)?;
            let y = rows(&y)?.f_index_select(0, places)?;
            Ok((self.softmax.nll_sum(reading, &y, targets, compute)?, after))
        })?
    }

    /// The logits `[T, B, V]` of what follows each place of `tokens` `[T, B]`, and the state after the last.
    ///
    /// # Errors
    /// When the model does not read in that direction or a shape does not fit.
    pub fn logits(
        &self,
        reading: Reading,
        tokens: &Tensor,
        carry: &Carry,
        compute: Compute,
    ) -> Result<(Tensor, Carry), Error> {
        autocast(compute.precision, self.device(), || {
            let (y, after) = self.encoder.forward(reading, tokens, carry, None, compute)?;
            let (time, batch, width) = y.size3()?;
            let logits = self.softmax.logits(reading, &y.f_reshape([-1, width])?)?;
            Ok((logits.f_view([time, batch, -1])?, after))
        })?
    }

    /// The model as it reads one sequence, a token at a time: on a CPU the fastest way. It has a copy of the weights, packed
    /// as they are now.
    ///
    /// # Errors
    /// When the model does not read in that direction, or does not lie on the CPU.
    pub fn sequence(&self, reading: Reading, packing: Packing) -> Result<Sequence, Error> {
        if self.device() != Device::Cpu {
            let (name, device) = (packing.name(), self.device());
            return Err(Error::Unsupported(format!(
                "packed weights ({name}) are for the CPU; the model is on {device:?}"
            )));
        }
        let weights = SequenceWeights {
            embedding: self.encoder.embedding(),
            layers: self.encoder.stack(reading)?.layers().iter().map(GruLayer::weights).collect(),
            projection: self.softmax.projection(reading),
            softmax: self.softmax.softmax(),
        };
        Ok(Sequence::new(&weights, packing)?)
    }
}

/// `[T, B, H]` as `[T * B, H]`.
fn rows(y: &Tensor) -> Result<Tensor, Error> {
    Ok(y.f_reshape([-1, y.size3()?.2])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_encoder_has_no_dropout() {
        let config = ModelConfig { embedding: 4, hidden: 6, layers: 2, tie_weights: false, ..ModelConfig::default() };
        let model = LanguageModel::new(&config, 10, 1, Device::Cpu).unwrap();
        let freeze = |below: usize| {
            model.params().iter().for_each(|param| drop(param.tensor.set_requires_grad(param.group >= below)));
            model.training_dropout()
        };
        assert_eq!(freeze(0), config.dropout);
        assert_eq!(freeze(2), config.dropout);
        let frozen = DropoutConfig { input: 0.0, hidden: 0.0, ..config.dropout };
        assert_eq!(freeze(3), frozen);
    }
}
