//! The inference half of a classifier: encoder, head, labels.

use std::path::Path;

use grulm_corpus::labelled::Fields;
use grulm_kernels::Compute;
use grulm_model::{
    Encoder, LayerNorm, Linear, ModelConfig, Noise, Params, PooledLayers, Shape, Site, WEIGHTS_FILE, WeightFormat,
};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::{
    ngram_features::{LONGEST, NgramLengths},
    ngrams::NgramModel,
};
use crate::{Error, TextBatch, bundle::BundleModel, metrics};

/// What a classifier is beside the sizes of its encoder (`task.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierSettings {
    /// The labels, in the order of the head's outputs.
    pub labels: Vec<String>,
    /// Width of the head's hidden layer; 0 is none.
    pub hidden: i64,
    /// Dropout before each layer of the head, in `0..1`.
    pub dropout: f64,
    /// The layers that the head reads.
    #[serde(default)]
    pub pool: PooledLayers,
    /// Longest n-grams of tokens that the linear model beside the network reads; 0 is no such model.
    #[serde(default)]
    pub ngrams: usize,
    /// Longest n-grams of characters that it reads, within words; 0 is none.
    #[serde(default)]
    pub character_ngrams: usize,
    /// Tokens that are read in one pass, and through which gradients flow in training.
    pub window: i64,
    /// The names of the fields that it was trained on.
    pub fields: Fields,
    /// How logits become decisions, chosen on validation data.
    pub calibration: Calibration,
}

/// How logits become probabilities and labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What the logits of the n-gram model weigh in the mixture, in `0..=1`; those of the network weigh the rest.
    #[serde(default)]
    pub ngram_share: f64,
    /// The mixture is divided by it (Guo et al., arXiv 1706.04599).
    pub temperature: f64,
    /// Of two labels, the second one is given from this probability on; `None` is the likelier one.
    pub threshold: Option<f64>,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { ngram_share: 0.0, temperature: 1.0, threshold: None }
    }
}

impl Calibration {
    /// The logits of a text's labels, from those of the network and those of the n-gram model, where there is one.
    pub(super) fn mix(&self, network: &[f32], ngrams: Option<&[f32]>) -> Vec<f32> {
        match ngrams {
            Some(ngrams) => metrics::mixture(network, ngrams, self.ngram_share),
            None => network.to_vec(),
        }
    }

    /// The probabilities of the labels, from their logits.
    #[must_use]
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        let scaled: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) / self.temperature).collect();
        let largest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scaled.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    /// The label that these probabilities are for.
    #[must_use]
    pub fn decide(&self, probabilities: &[f64]) -> usize {
        if let (Some(threshold), &[_, second]) = (self.threshold, probabilities) {
            return usize::from(second >= threshold);
        }
        let likelier = |best: usize, (index, p): (usize, &f64)| if *p > probabilities[best] { index } else { best };
        probabilities.iter().enumerate().fold(0, likelier)
    }
}

/// An encoder with a head that reads its summaries of texts.
#[derive(Debug)]
pub struct Classifier {
    shape: Shape,
    settings: ClassifierSettings,
    params: Params,
    encoder: Encoder,
    head: Head,
    ngrams: Option<NgramModel>,
}

impl Classifier {
    /// A classifier with random weights that are functions of `seed`.
    ///
    /// # Errors
    /// When a value of `config` is out of range.
    pub fn new(
        config: &ModelConfig,
        vocab_size: i64,
        settings: ClassifierSettings,
        seed: u64,
        device: Device,
    ) -> Result<Self, Error> {
        let shape = Shape::new(config, vocab_size).map_err(grulm_model::Error::from)?;
        Self::build(shape, settings, Params::new(seed, device))
    }

    fn build(shape: Shape, settings: ClassifierSettings, mut params: Params) -> Result<Self, Error> {
        let config = &shape.model;
        let encoder = Encoder::new(&mut params, config, shape.vocab_size)?;
        let head = Head::new(&mut params, settings.pool.width(config), &settings, config.layers + 1)?;
        let labels = settings.labels.len();
        let lengths = settings.ngram_lengths();
        let ngrams = lengths.any().then(|| NgramModel::new(&mut params, lengths, labels)).transpose()?;
        Ok(Self { shape, settings, params, encoder, head, ngrams })
    }

    /// Takes over the encoder of the bundle in `folder`, of the same sizes.
    ///
    /// # Errors
    /// When its weights cannot be read or do not fit.
    pub fn load_encoder(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.params.load_part(&folder.join(WEIGHTS_FILE), "encoder.")?)
    }

    /// Labels, head and calibration.
    #[must_use]
    pub fn settings(&self) -> &ClassifierSettings {
        &self.settings
    }

    /// Chooses how logits become decisions.
    pub fn calibrate(&mut self, calibration: Calibration) {
        self.settings.calibration = calibration;
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

    /// Width of the summaries that the head reads, F.
    #[must_use]
    pub fn features(&self) -> i64 {
        self.head.features
    }

    /// Whether no weight of the encoder learns.
    #[must_use]
    pub fn encoder_is_frozen(&self) -> bool {
        self.params.is_frozen_below(self.shape.model.layers + 1)
    }

    /// The encoder's summaries of texts, `[B, F]`.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub fn summaries(&self, batch: &TextBatch, noise: Option<&Noise<'_>>, compute: Compute) -> Result<Tensor, Error> {
        let (readings, device) = (self.shape.model.direction.readings(), self.params.device());
        let of = (readings, self.settings.pool);
        Ok(batch.summaries(&self.encoder, of, noise, self.settings.window, compute, device)?)
    }

    /// The logits of the labels, `[B, C]`, from summaries `[B, F]`. In training, `site` is where dropout draws from.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn logits(&self, summaries: &Tensor, site: Option<Site>) -> Result<Tensor, Error> {
        Ok(self.head.logits(summaries, site)?)
    }

    /// The n-gram model, where there is one.
    pub(super) fn ngrams(&self) -> Option<&NgramModel> {
        self.ngrams.as_ref()
    }
}

impl BundleModel for Classifier {
    const KIND: &'static str = "classification";
    type Settings = ClassifierSettings;

    fn settings(&self) -> ClassifierSettings {
        self.settings.clone()
    }

    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        self.shape.save(folder)?;
        Ok(self.params.save(&folder.join(WEIGHTS_FILE), format)?)
    }

    fn open(folder: &Path, settings: ClassifierSettings, device: Device) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Bundle { path: folder.join("task.json"), reason };
        settings.check().map_err(refuse)?;
        let shape = Shape::open(folder)?;
        shape.check_weights(folder, settings.weight_count(&shape.model))?;
        let classifier = Self::build(shape, settings, Params::to_load(device))?;
        classifier.params.load(&folder.join(WEIGHTS_FILE))?;
        Ok(classifier)
    }

    fn vocab_size(&self) -> i64 {
        self.shape.vocab_size
    }
}

/// The widest hidden layer of a head.
pub(super) const WIDEST: i64 = 65_536;

impl ClassifierSettings {
    /// Number of weights in the matrices above an encoder of these sizes.
    fn weight_count(&self, config: &ModelConfig) -> u64 {
        let [features, hidden] = [self.pool.width(config), self.hidden].map(i64::unsigned_abs);
        let labels = self.labels.len() as u64;
        let head = if hidden == 0 { features * labels } else { hidden * (features + labels) };
        head + self.ngram_lengths().slots() as u64 * labels
    }

    pub(super) fn ngram_lengths(&self) -> NgramLengths {
        NgramLengths { tokens: self.ngrams, characters: self.character_ngrams }
    }

    /// What a file from elsewhere may hold that no classifier has.
    fn check(&self) -> Result<(), String> {
        let Calibration { ngram_share, temperature, threshold } = self.calibration;
        if self.labels.len() < 2 {
            return Err(format!("{} labels; expected 2 or more", self.labels.len()));
        }
        if !(0..=LONGEST).contains(&self.ngrams) {
            return Err(format!("ngrams {}; expected 0 to {LONGEST}", self.ngrams));
        }
        if self.character_ngrams == 1 || self.character_ngrams > LONGEST {
            return Err(format!("character_ngrams {}; expected 0, or 2 to {LONGEST}", self.character_ngrams));
        }
        if !(0..=WIDEST).contains(&self.hidden) {
            return Err(format!("hidden {}; expected 0 to {WIDEST}", self.hidden));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("dropout {}; expected 0 to below 1", self.dropout));
        }
        if self.window < 1 {
            return Err(format!("window {}; expected 1 or more", self.window));
        }
        if !(0.0..=1.0).contains(&ngram_share) {
            return Err(format!("ngram_share {ngram_share}; expected 0 to 1"));
        }
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(format!("temperature {temperature}; expected a number above 0"));
        }
        match threshold {
            Some(threshold) if !(0.0..=1.0).contains(&threshold) => {
                Err(format!("threshold {threshold}; expected 0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

/// One hidden layer, or none, and a linear layer to the labels; dropout before each. The summaries are normalised first (Ba et
/// al., arXiv 1607.06450): most of their numbers are positive, and without it one large step could silence the hidden layer.
#[derive(Debug)]
struct Head {
    features: i64,
    norm: LayerNorm,
    hidden: Option<Linear>,
    output: Linear,
    dropout: f64,
}

impl Head {
    fn new(
        params: &mut Params,
        features: i64,
        settings: &ClassifierSettings,
        group: usize,
    ) -> Result<Self, grulm_model::Error> {
        let norm = LayerNorm::new(params, "head.norm", features, group)?;
        let mut linear = |name: &str, input, output| Linear::narrow(params, name, (input, output), group);
        let hidden = (settings.hidden > 0).then(|| linear("head.hidden", features, settings.hidden)).transpose()?;
        let width = if settings.hidden > 0 { settings.hidden } else { features };
        let output = linear("head.output", width, settings.labels.len() as i64)?;
        Ok(Self { features, norm, hidden, output, dropout: settings.dropout })
    }

    fn logits(&self, summaries: &Tensor, site: Option<Site>) -> Result<Tensor, grulm_model::Error> {
        let drop = |x: Tensor, purpose: &str| match site {
            Some(site) if self.dropout > 0.0 => {
                let mask = site.named(purpose).dropout_mask(&x.size(), self.dropout, x.device())?;
                Ok(x.f_mul(&mask)?)
            }
            _ => Ok::<_, grulm_model::Error>(x),
        };
        let mut x = drop(self.norm.forward(summaries)?, "head")?;
        if let Some(hidden) = &self.hidden {
            x = drop(hidden.forward(&x)?.f_relu()?, "head hidden")?;
        }
        self.output.forward(&x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_decisions() {
        let plain = Calibration::default();
        let p = plain.probabilities(&[0.0, 3f32.ln()]);
        assert!((p[0] - 0.25).abs() < 1e-7 && (p[1] - 0.75).abs() < 1e-7, "{p:?}");
        // Halved logits: odds of sqrt(3).
        let p = Calibration { temperature: 2.0, ..plain }.probabilities(&[0.0, 3f32.ln()]);
        assert!((p[1] / p[0] - 3f64.sqrt()).abs() < 1e-6, "{p:?}");
        assert!(plain.probabilities(&[1e30, -1e30, 0.0]).iter().all(|p| p.is_finite()));
        assert_eq!(plain.decide(&[0.2, 0.5, 0.3]), 1);
        assert_eq!(plain.decide(&[0.5, 0.5]), 0, "the first of equals");
        let strict = Calibration { threshold: Some(0.9), ..plain };
        assert_eq!((strict.decide(&[0.2, 0.8]), strict.decide(&[0.1, 0.9])), (0, 1));
        assert_eq!(strict.decide(&[0.2, 0.5, 0.3]), 1, "a threshold is for two labels");
    }
}
