//! The language model: encoder and decoder together.

use std::{fs::File, io::Write, path::Path};

use grulm_config::Invalid;
use grulm_kernels::{Compute, autocast};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use crate::{Carry, Decoder, Encoder, Error, ModelConfig, Noise, Params, Reading};

/// A GRU language model and its weights.
#[derive(Debug)]
pub struct LanguageModel {
    shape: Shape,
    params: Params,
    encoder: Encoder,
    decoder: Decoder,
}

/// What `model.json` holds: everything but the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Version of this file's format.
    pub version: u32,
    /// Entries of the vocabulary.
    pub vocab_size: i64,
    /// Sizes and dropouts.
    pub model: ModelConfig,
}

const VERSION: u32 = 1;
const VOCAB_SIZES: std::ops::RangeInclusive<i64> = 1..=1 << 31;

/// The name of a bundle's file that holds a [`Shape`].
pub const SHAPE_FILE: &str = "model.json";
/// The name of a bundle's file that holds the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

impl LanguageModel {
    /// A model with random weights that are functions of `seed`.
    ///
    /// # Errors
    /// When a value of `config` is out of range, or `vocab_size` is not in 1 to 2^31.
    pub fn new(config: &ModelConfig, vocab_size: i64, seed: u64, device: Device) -> Result<Self, Error> {
        config.validate()?;
        if !VOCAB_SIZES.contains(&vocab_size) {
            return Err(Invalid::new("vocab_size", vocab_size, "1 to 2^31").into());
        }
        let mut params = Params::new(seed, device);
        let encoder = Encoder::new(&mut params, config, vocab_size)?;
        let decoder = Decoder::new(&mut params, config, vocab_size, encoder.embedding());
        let shape = Shape { version: VERSION, vocab_size, model: config.clone() };
        Ok(Self { shape, params, encoder, decoder })
    }

    /// Writes `model.json` and `model.safetensors` into `folder`, each under a temporary name first.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(SHAPE_FILE);
        let io = |source| Error::Io { path: path.clone(), source };
        let json = serde_json::to_string_pretty(&self.shape).map_err(|e| io(e.into()))?;
        let part = path.with_extension("part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(json.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().and_then(|()| std::fs::rename(&part, &path)).map_err(io)?;
        self.params.save(&folder.join(WEIGHTS_FILE))
    }

    /// Opens what [`LanguageModel::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing or not readable, or the weights do not fit the sizes.
    pub fn open(folder: &Path, device: Device) -> Result<Self, Error> {
        let path = folder.join(SHAPE_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let refuse = |reason: String| Error::Weights { path: path.clone(), reason };
        let shape: Shape = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        if shape.version != VERSION {
            return Err(refuse(format!("version {}; this program reads version {VERSION}", shape.version)));
        }
        if !VOCAB_SIZES.contains(&shape.vocab_size) {
            return Err(refuse(format!("vocab_size {}; expected 1 to 2^31", shape.vocab_size)));
        }
        shape.model.validate().map_err(|e| refuse(e.to_string()))?;
        let weights = folder.join(WEIGHTS_FILE);
        Self::check_size(&shape, &weights)?;
        let model = Self::new(&shape.model, shape.vocab_size, 0, device)?;
        model.params.load(&weights)?;
        Ok(model)
    }

    /// Refuses sizes that the file of weights cannot hold, before memory is taken for them.
    fn check_size(shape: &Shape, weights: &Path) -> Result<(), Error> {
        let file = std::fs::metadata(weights).map_err(|source| Error::Io { path: weights.to_owned(), source })?.len();
        let expected = shape.model.weight_count(shape.vocab_size).saturating_mul(4);
        if expected > file {
            let reason = format!("{file} bytes; the sizes in {SHAPE_FILE} call for at least {expected}");
            return Err(Error::Weights { path: weights.to_owned(), reason });
        }
        Ok(())
    }

    /// Sizes and dropouts.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.shape.model
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
                let nll = self.decoder.nll(reading, &rows(&y)?, &targets.f_reshape(-1)?, compute)?;
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
        autocast(compute.precision, self.device(), || {
            let (y, after) = self.encoder.forward(reading, inputs, carry, noise, compute)?;
            let y = Noise::locked(noise, "output", |rates| rates.output, y)?;
            Ok((self.decoder.nll_sum(reading, &rows(&y)?, &targets.f_reshape(-1)?, compute)?, after))
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
            let logits = self.decoder.logits(reading, &y.f_reshape([-1, width])?)?;
            Ok((logits.f_view([time, batch, -1])?, after))
        })?
    }
}

/// `[T, B, H]` as `[T * B, H]`.
fn rows(y: &Tensor) -> Result<Tensor, Error> {
    Ok(y.f_reshape([-1, y.size3()?.2])?)
}
