//! The inference half of a question answerer: a language model's encoder, and what reads over it.

use std::path::Path;

use grulm_kernels::{Compute, autocast};
use grulm_model::{
    Encoder, LayeredTexts, ModelConfig, Noise, Params, Shape, SpanReader, SpanReaderSizes, SpanScores, Turn,
    WEIGHTS_FILE, WeightFormat,
};
use serde::{Deserialize, Serialize};
use tch::{Device, no_grad};

use super::{
    AnswerUnits,
    matching::MATCH_FEATURES,
    passage::TOKEN_FEATURES,
    rows::{Rows, Side},
    windows::Windows,
};
use crate::{Error, bundle::BundleModel, text_batch::side_by_side};

/// What an answerer is beside the sizes of its encoder (`task.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswererSettings {
    /// Units of each direction of the reader's GRU layers.
    pub hidden: i64,
    /// Dropout before each layer of the reader, in `0..1`.
    pub dropout: f64,
    /// Tokens of a context that are read together.
    pub window: usize,
    /// Tokens from the beginning of one window to that of the next.
    pub stride: usize,
    /// Tokens of an answer, at most.
    pub longest_answer: usize,
    /// Whether it was taught that there may be no answer.
    pub unanswerable: bool,
    /// By how much, in nats, there being no answer must be likelier than the best answer for none to be given; chosen on
    /// validation data.
    pub threshold: f64,
    /// What is compared in answers.
    pub units: AnswerUnits,
}

/// The widest reader.
pub(super) const WIDEST: i64 = 8_192;

impl AnswererSettings {
    /// What a file from elsewhere may hold that no answerer has.
    fn check(&self) -> Result<(), String> {
        let Self { hidden, dropout, window, stride, longest_answer, threshold, .. } = self;
        if !(1..=WIDEST).contains(hidden) {
            return Err(format!("hidden {hidden}; expected 1 to {WIDEST}"));
        }
        if !(0.0..1.0).contains(dropout) {
            return Err(format!("dropout {dropout}; expected 0 to below 1"));
        }
        if *window < 1 || !(1..=*window).contains(stride) {
            return Err(format!("window {window} and stride {stride}; expected 1 or more, and a stride of 1 to that"));
        }
        if *longest_answer < 1 {
            return Err("longest_answer 0; expected 1 or more".into());
        }
        if !threshold.is_finite() {
            return Err(format!("threshold {threshold}; expected a number"));
        }
        Ok(())
    }

    pub(super) fn windows(&self) -> Windows {
        Windows { length: self.window, stride: self.stride }
    }
}

/// An encoder and a reader over all its layers, which points at answers.
#[derive(Debug)]
pub struct Answerer {
    shape: Shape,
    settings: AnswererSettings,
    params: Params,
    encoder: Encoder,
    reader: SpanReader,
}

impl Answerer {
    /// An answerer with random weights that are functions of `seed`.
    ///
    /// # Errors
    /// When a value of `config` is out of range.
    pub fn new(
        config: &ModelConfig,
        vocab_size: i64,
        settings: AnswererSettings,
        seed: u64,
        device: Device,
    ) -> Result<Self, Error> {
        let shape = Shape::new(config, vocab_size).map_err(grulm_model::Error::from)?;
        Self::build(shape, settings, Params::new(seed, device))
    }

    fn build(shape: Shape, settings: AnswererSettings, mut params: Params) -> Result<Self, Error> {
        let config = &shape.model;
        let encoder = Encoder::new(&mut params, config, shape.vocab_size)?;
        let widths = (0..config.layers).map(|layer| config.widths(layer).1);
        let readings = config.direction.readings();
        let layers = readings.iter().flat_map(|_| widths.clone());
        let sizes = SpanReaderSizes {
            layers: std::iter::once(config.embedding).chain(layers).collect(),
            hidden: settings.hidden,
            token_features: TOKEN_FEATURES as i64,
            match_features: MATCH_FEATURES as i64,
        };
        let reader = SpanReader::new(&mut params, "head", &sizes, settings.dropout, config.layers + 1)?;
        Ok(Self { shape, settings, params, encoder, reader })
    }

    /// Takes over the encoder of the bundle in `folder`, of the same sizes.
    ///
    /// # Errors
    /// When its weights cannot be read or do not fit.
    pub fn load_encoder(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.params.load_part(&folder.join(WEIGHTS_FILE), "encoder.")?)
    }

    /// Sizes of the reader, and how answers are chosen.
    #[must_use]
    pub fn settings(&self) -> &AnswererSettings {
        &self.settings
    }

    /// Chooses when no answer is given.
    pub(super) fn set_threshold(&mut self, threshold: f64) {
        self.settings.threshold = threshold;
    }

    /// Sizes and dropouts of the encoder.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.shape.model
    }

    /// The weights.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether no weight of the encoder learns.
    fn encoder_is_frozen(&self) -> bool {
        self.params.is_frozen_below(self.shape.model.layers + 1)
    }

    /// Where the answers of rows may be. With `noise`, all dropouts apply; those of the encoder only where it learns.
    pub(super) fn scores(
        &self,
        rows: &Rows<'_>,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<SpanScores, Error> {
        let device = self.params.device();
        let noise_of = |part: &str| noise.map(|noise| Noise { site: noise.site.named(part), ..*noise });
        let layers = |side: &Side<'_>, part: &str| self.layers(side, noise_of(part).as_ref(), compute);
        let (contexts, questions) = (layers(rows.contexts(), "contexts")?, layers(rows.questions(), "questions")?);
        let tensors = rows.tensors(device)?;
        Ok(self.reader.read(&contexts, &questions, &tensors, noise_of("reader").as_ref(), compute)?)
    }

    /// What each layer of the encoder says of texts.
    fn layers(&self, side: &Side<'_>, noise: Option<&Noise<'_>>, compute: Compute) -> Result<LayeredTexts, Error> {
        let device = self.params.device();
        let ids = side.ids();
        let lengths: Vec<i64> = ids.iter().map(|ids| ids.len() as i64).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let frozen = self.encoder_is_frozen();
        let turn = Turn::new(&lengths, time, device)?;
        let mut layers = Vec::new();
        for (index, &reading) in self.shape.model.direction.readings().iter().enumerate() {
            let tokens = side_by_side(&ids, reading, 0..time, device)?;
            let noise = noise.filter(|_| !frozen).map(|noise| Noise { site: noise.site.at(index as u64), ..*noise });
            let carry = self.encoder.zero_carry(reading, ids.len() as i64, device)?;
            let read = || self.encoder.layers(reading, &tokens, &carry, noise.as_ref(), compute);
            let pass = || autocast(compute.precision, device, read);
            let (own, _) = if frozen { no_grad(pass) } else { pass() }.map_err(grulm_model::Error::from)??;
            // The embedding is the same in both directions.
            for layer in own.into_iter().skip(usize::from(index > 0)) {
                layers.push(match reading {
                    grulm_model::Reading::Forward => layer,
                    grulm_model::Reading::Backward => turn.apply(&layer)?,
                });
            }
        }
        Ok(LayeredTexts { layers, features: side.features(device)?, lengths })
    }
}

impl BundleModel for Answerer {
    const KIND: &'static str = "question_answering";
    type Settings = AnswererSettings;

    fn settings(&self) -> AnswererSettings {
        self.settings.clone()
    }

    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        self.shape.save(folder)?;
        Ok(self.params.save(&folder.join(WEIGHTS_FILE), format)?)
    }

    fn open(folder: &Path, settings: AnswererSettings, device: Device) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Bundle { path: folder.join("task.json"), reason };
        settings.check().map_err(refuse)?;
        let shape = Shape::open(folder)?;
        // The recurrent weights of the reader, and what it reads of every layer.
        let read =
            (0..shape.model.layers).map(|layer| shape.model.widths(layer).1).sum::<i64>() + shape.model.embedding;
        let hidden = settings.hidden.unsigned_abs();
        shape.check_weights(folder, 18 * hidden * hidden + 2 * hidden * read.unsigned_abs())?;
        let answerer = Self::build(shape, settings, Params::to_load(device))?;
        answerer.params.load(&folder.join(WEIGHTS_FILE))?;
        Ok(answerer)
    }

    fn vocab_size(&self) -> i64 {
        self.shape.vocab_size
    }
}
