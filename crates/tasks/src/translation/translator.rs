//! The inference half of a translator: what reads a text and what writes another.

use std::path::Path;

use grulm_corpus::labelled::PairFields;
use grulm_kernels::{Compute, autocast, upload};
use grulm_metrics::BleuTokenizer;
use grulm_model::{
    AttentiveStack, Bidirectional, Direction, Encoder, LayerNorm, Linear, ModelConfig, Noise, Params, Progress,
    Reading, Shape, Softmax, Source, Turn, WEIGHTS_FILE, WeightFormat,
};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Search;
use crate::{Error, TextBatch, bundle::BundleModel, text_batch::side_by_side};

/// What a translator is beside the sizes of the language model that it comes from (`task.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatorSettings {
    /// Units a direction of the layer of both directions.
    pub hidden: i64,
    /// Heads of the attention.
    pub heads: i64,
    /// Dropout on what is not pretrained, in `0..1`.
    pub dropout: f64,
    /// The names of the fields that it was trained on.
    pub fields: PairFields,
    /// How translations are searched for unless the command line says otherwise.
    pub search: Search,
    /// How BLEU cuts text into words.
    pub bleu_tokenizer: BleuTokenizer,
}

/// The widest layer of both directions.
pub(super) const WIDEST: i64 = 8_192;

impl TranslatorSettings {
    /// What a file from elsewhere may hold that no translator has.
    fn check(&self) -> Result<(), String> {
        if !(1..=WIDEST).contains(&self.hidden) {
            return Err(format!("hidden {}; expected 1 to {WIDEST}", self.hidden));
        }
        if self.heads < 1 || 2 * self.hidden % self.heads != 0 {
            return Err(format!("heads {}; expected a divisor of {}", self.heads, 2 * self.hidden));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("dropout {}; expected 0 to below 1", self.dropout));
        }
        self.search.validate().map_err(|invalid| invalid.to_string())
    }
}

/// Target tokens that are read in one pass; a longer text in several, with the state carried. Bounds the memory of attention.
const WINDOW: i64 = 256;

/// The loss of a batch of pairs.
#[derive(Debug)]
pub struct PairLoss {
    /// Negative log likelihood of the target tokens, in nats, summed: 0-dim f32, with its graph.
    pub nll: Tensor,
    /// What label smoothing adds to the sum, a unit of its weight: likewise.
    pub margin: Tensor,
    /// The number of target tokens.
    pub count: u64,
}

/// An encoder and a decoder that share their embedding and softmax.
///
/// The encoder is the pretrained language model's, in every direction that it reads, with a fresh layer of both directions on
/// top, to whose outputs the embedded tokens are added: what a word is stays visible beside what its sentence makes of it
/// (after Nguyen and Chiang, arXiv 1710.01329). The decoder is the same model's forward half with weights of its own, and attention
/// after each of its layers ([`AttentiveStack`]).
#[derive(Debug)]
pub struct Translator {
    shape: Shape,
    settings: TranslatorSettings,
    params: Params,
    encoder: Encoder,
    top: Bidirectional,
    lexical: Linear,
    norm: LayerNorm,
    decoder: AttentiveStack,
    softmax: Softmax,
}

impl Translator {
    /// A translator with random weights that are functions of `seed`.
    ///
    /// # Errors
    /// When a value of `config` is out of range.
    pub fn new(
        config: &ModelConfig,
        vocab_size: i64,
        settings: TranslatorSettings,
        seed: u64,
        device: Device,
    ) -> Result<Self, Error> {
        let shape = Shape::new(config, vocab_size).map_err(grulm_model::Error::from)?;
        Self::build(shape, settings, Params::new(seed, device))
    }

    fn build(shape: Shape, settings: TranslatorSettings, mut params: Params) -> Result<Self, Error> {
        let config = &shape.model;
        let group = config.layers + 1;
        let encoder = Encoder::new(&mut params, config, shape.vocab_size)?;
        let TranslatorSettings { hidden, heads, .. } = settings;
        let width = config.embedding + config.encoder_width() * config.direction.readings().len() as i64;
        let top = Bidirectional::new(&mut params, "top", (width, hidden), group)?;
        let lexical = Linear::new(&mut params, "top.lexical", (config.embedding, 2 * hidden), group)?;
        let norm = LayerNorm::new(&mut params, "top.norm", 2 * hidden, group)?;
        let decoder = AttentiveStack::new(&mut params, DECODER, config, (2 * hidden, heads), group)?;
        let forward = ModelConfig { direction: Direction::Forward, ..config.clone() };
        let softmax = Softmax::new(&mut params, &forward, shape.vocab_size, encoder.embedding())?;
        Ok(Self { shape, settings, params, encoder, top, lexical, norm, decoder, softmax })
    }

    /// Takes over the language model of the bundle in `folder`, of the same sizes: its encoder, its forward half for the decoder,
    /// and its softmax.
    ///
    /// # Errors
    /// When its weights cannot be read or do not fit, or it does not read forward.
    pub fn load_language_model(&self, folder: &Path) -> Result<(), Error> {
        if !self.config().direction.readings().contains(&Reading::Forward) {
            let what =
                "a translator needs a language model that reads forward (model.direction \"forward\" or \"both\")";
            return Err(grulm_model::Error::Unsupported(what.into()).into());
        }
        let source = |name: &str| match name.strip_prefix(DECODER).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) if rest.starts_with("forward.") => Some(format!("encoder.{rest}")),
            Some(rest) if ["attention.", "start."].iter().any(|own| rest.starts_with(own)) => None,
            None if name.starts_with("top.") => None,
            _ => Some(name.to_owned()),
        };
        Ok(self.params.load_from(&folder.join(WEIGHTS_FILE), source)?)
    }

    /// Sizes beside those of the language model, fields, search.
    #[must_use]
    pub fn settings(&self) -> &TranslatorSettings {
        &self.settings
    }

    /// Sizes and dropouts of the language model.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.shape.model
    }

    /// The weights.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Reads what is to be translated. With `noise`, all dropouts apply.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub fn read(&self, texts: &TextBatch, noise: Option<&Noise<'_>>, compute: Compute) -> Result<Source, Error> {
        let device = self.params.device();
        let (lengths, time) = (texts.lengths(), texts.longest());
        let turn = Turn::new(&lengths, time, device)?;
        let drop = |purpose, x| self.drop(noise, purpose, x);
        let read = || {
            let tokens = texts.window(Reading::Forward, 0, time, device)?;
            // What does not learn need not be made robust.
            let learning = noise.filter(|_| !self.params.is_frozen_below(self.config().layers + 1));
            let mut parts = vec![self.encoder.embed(&tokens, learning)?];
            for (index, &reading) in self.config().direction.readings().iter().enumerate() {
                let noise = learning.map(|noise| Noise { site: noise.site.at(index as u64), ..*noise });
                let tokens = texts.window(reading, 0, time, device)?;
                let carry = self.encoder.zero_carry(reading, texts.len() as i64, device)?;
                let (y, _) = self.encoder.forward(reading, &tokens, &carry, noise.as_ref(), compute)?;
                parts.push(if reading == Reading::Backward { turn.apply(&y)? } else { y });
            }
            let x = drop("top input", Tensor::f_cat(&parts, 2)?)?;
            let lexical = self.lexical.forward(&drop("lexical", parts.swap_remove(0))?)?;
            let y = self.norm.forward(&self.top.forward(&x, &turn, compute)?.f_add(&lexical)?)?;
            Ok::<_, Error>(self.decoder.source(&drop("top output", y)?, &lengths)?)
        };
        autocast(compute.precision, device, read).map_err(grulm_model::Error::from)?
    }

    /// The loss of translations `targets`, none shorter than two tokens, of `sources`, in the same order. With `noise`, all
    /// dropouts apply; with `smooths`, the margin of label smoothing is computed.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub fn loss(
        &self,
        sources: &TextBatch,
        targets: &[Vec<i64>],
        noise: Option<&Noise<'_>>,
        smooths: bool,
        compute: Compute,
    ) -> Result<PairLoss, Error> {
        let device = self.params.device();
        let source = self.read(sources, noise, compute)?;
        let noise = noise.map(|noise| Noise { site: noise.site.named("decoder"), ..*noise });
        let steps = targets.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1) as i64;
        let zero = || Tensor::zeros([], (Kind::Float, device));
        let mut loss = PairLoss { nll: zero(), margin: zero(), count: 0 };
        let mut progress = source.start().shallow_clone();
        for start in (0..steps).step_by(WINDOW as usize) {
            let end = steps.min(start + WINDOW);
            let inputs = side_by_side(targets, Reading::Forward, start..end, device)?;
            let (places, words) = predictions(targets, start as usize, end as usize);
            loss.count += words.len() as u64;
            let (places, words) = (upload(&places, device)?, upload(&words, device)?);
            let pass = || {
                let (y, after) = self.write(&inputs, &progress, &source, noise.as_ref(), compute)?;
                let y = y.f_reshape([-1, y.size3()?.2])?.f_index_select(0, &places)?;
                let sums = if smooths {
                    self.softmax.smoothed_nll_sum(Reading::Forward, &y, &words, compute)?
                } else {
                    (self.softmax.nll_sum(Reading::Forward, &y, &words, compute)?, zero())
                };
                Ok::<_, Error>((sums, after))
            };
            let ((nll, margin), after) =
                autocast(compute.precision, device, pass).map_err(grulm_model::Error::from)??;
            loss.nll = loss.nll.f_add(&nll)?;
            loss.margin = loss.margin.f_add(&margin)?;
            progress = after;
        }
        Ok(loss)
    }

    /// The log probabilities `[N, V]`, f32, of what follows the tokens `[N]`, int64, that are read next; of N lanes as many in a row
    /// belong to each text of `source`. And how far the writing has come then.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub fn step(
        &self,
        tokens: &Tensor,
        progress: &Progress,
        source: &Source,
        compute: Compute,
    ) -> Result<(Tensor, Progress), Error> {
        let step = || {
            let (y, after) = self.write(&tokens.f_unsqueeze(0)?, progress, source, None, compute)?;
            let logits = self.softmax.logits(Reading::Forward, &y.f_squeeze_dim(0)?)?;
            Ok::<_, Error>((logits.f_log_softmax(1, Kind::Float)?, after))
        };
        autocast(compute.precision, self.params.device(), step).map_err(grulm_model::Error::from)?
    }

    /// Reads `tokens` `[T, N]` of translations; returns what the softmax reads, `[T, N, H]`, and how far the writing has come.
    fn write(
        &self,
        tokens: &Tensor,
        progress: &Progress,
        source: &Source,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Tensor, Progress), Error> {
        let x = self.encoder.embed(tokens, noise)?;
        let (y, after) = self.decoder.forward(x, progress, source, noise, self.settings.dropout, compute)?;
        Ok((Noise::locked(noise, "output", |rates| rates.output, y)?, after))
    }

    /// Drops units of what is not pretrained.
    fn drop(&self, noise: Option<&Noise<'_>>, purpose: &str, x: Tensor) -> Result<Tensor, Error> {
        Ok(Noise::locked(noise, purpose, |_| self.settings.dropout, x)?)
    }
}

/// The name of the decoder in the weights.
const DECODER: &str = "decoder";

/// What the tokens from `start` to `end` of each text are to predict: the places in `[T * B]` after which they come, and the tokens.
fn predictions(texts: &[Vec<i64>], start: usize, end: usize) -> (Vec<i64>, Vec<i64>) {
    let of_text = |(lane, text): (usize, &Vec<i64>)| {
        let places = start..end.min(text.len().saturating_sub(1));
        places.map(|at| (((at - start) * texts.len() + lane) as i64, text[at + 1])).collect::<Vec<_>>()
    };
    texts.iter().enumerate().flat_map(of_text).unzip()
}

impl BundleModel for Translator {
    const KIND: &'static str = "translation";
    type Settings = TranslatorSettings;

    fn settings(&self) -> TranslatorSettings {
        self.settings.clone()
    }

    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        self.shape.save(folder)?;
        Ok(self.params.save(&folder.join(WEIGHTS_FILE), format)?)
    }

    fn open(folder: &Path, settings: TranslatorSettings, device: Device) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Bundle { path: folder.join("task.json"), reason };
        settings.check().map_err(refuse)?;
        let shape = Shape::open(folder)?;
        // The softmax and the fresh layer of both directions: all else is no wider than these and the encoder.
        let width = (shape.model.embedding + shape.model.encoder_width()).unsigned_abs();
        let hidden = settings.hidden.unsigned_abs();
        let top = 6 * hidden * (hidden + width);
        shape.check_weights(folder, top + shape.model.decoder_weight_count(shape.vocab_size))?;
        let translator = Self::build(shape, settings, Params::to_load(device))?;
        translator.params.load(&folder.join(WEIGHTS_FILE))?;
        Ok(translator)
    }

    fn vocab_size(&self) -> i64 {
        self.shape.vocab_size
    }
}
