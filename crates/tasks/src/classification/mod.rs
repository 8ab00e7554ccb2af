//! Classification: a label for each text.

mod classifier;
mod config;
mod data;
mod ngram_features;
mod ngrams;
mod predict;
mod score;
mod summary_cache;

use std::path::Path;

use grulm_config::Invalid;
use grulm_corpus::{Cleaner, Tokenizer};
use grulm_kernels::{Compute, upload};
use grulm_model::{Noise, Params, Site, WeightFormat};
use serde_json::Value;
use tch::{Device, Kind, Reduction, Tensor};

pub use classifier::{Calibration, Classifier, ClassifierSettings};
pub use config::{ClassWeights, ClassificationConfig, Criterion};
pub use data::{LabelledTexts, TrainingData, number_of, read_labelled, read_text, read_training_data, text};
pub use ngrams::MOST_NGRAM_LABELS;
pub use predict::{Prediction, predict};
pub use score::{ClassificationScore, score};

use self::summary_cache::SummaryCache;
use crate::{
    Error, Loss, Scores, Step, Task, TextBatch, Unit,
    buckets::Buckets,
    bundle::{self, Provenance},
    examples::Examples,
};

/// How a classifier is trained and chosen.
#[derive(Debug, Clone, Copy)]
pub struct ClassificationOptions {
    /// Texts a batch.
    pub batch_size: usize,
    /// The run's seed.
    pub seed: u64,
    /// The stage of the run.
    pub stage: u64,
    /// How training passes and validation are computed.
    pub compute: Compute,
    /// What the examples of a label count in the loss.
    pub class_weights: ClassWeights,
    /// Whether a threshold is chosen, where there are two labels.
    pub tune_threshold: bool,
    /// The figure that chooses the best checkpoint.
    pub criterion: Criterion,
}

/// A classifier in training: the inference half and its data.
#[derive(Debug)]
pub struct Classification {
    classifier: Classifier,
    tokenizer: Tokenizer,
    cleaner: Cleaner,
    options: ClassificationOptions,
    train: LabelledTexts,
    valid: Option<LabelledTexts>,
    buckets: Buckets,
    /// What an example of each label counts, `[C]`; their mean over the training texts is 1.
    weights: Tensor,
    /// Whether the n-gram model has learned, or was loaded.
    knows_ngrams: bool,
    /// The summaries of the training and validation texts, while the encoder is frozen.
    cache: Option<Caches>,
}

#[derive(Debug)]
struct Caches {
    train: SummaryCache,
    valid: Option<SummaryCache>,
}

impl Classification {
    /// Puts `classifier`, whose labels are those of `data`, before its data.
    ///
    /// # Errors
    /// When there is no text to learn from.
    pub fn new(
        mut classifier: Classifier,
        tokenizer: Tokenizer,
        cleaner: Cleaner,
        data: TrainingData,
        options: ClassificationOptions,
    ) -> Result<Self, Error> {
        let TrainingData { labels, train, valid } = data;
        Invalid::check("the number of training texts", 0, !train.examples.is_empty(), "1 or more")?;
        let mut counts = vec![0; labels.len()];
        for &label in &train.labels {
            counts[label as usize] += 1;
        }
        let weights = class_weights(options.class_weights, &counts, classifier.params().device());
        if classifier.ngrams().is_some() {
            // Until validation data says more.
            classifier.calibrate(Calibration { ngram_share: 0.5, ..Calibration::default() });
        }
        let site = Site::new(options.seed).at(options.stage).named("batches");
        let buckets = Buckets::new(train.examples.lengths(), options.batch_size, site);
        Ok(Self {
            classifier,
            tokenizer,
            cleaner,
            options,
            train,
            valid,
            buckets,
            weights,
            knows_ngrams: false,
            cache: None,
        })
    }

    /// The inference half.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Lets the n-gram model learn, where there is one that has not: before everything else, since it does so at once.
    fn learn_ngrams(&mut self) -> Result<(), Error> {
        if let (Some(model), false) = (self.classifier.ngrams(), self.knows_ngrams) {
            tracing::info!("the n-gram model learns from {} texts", self.train.labels.len());
            let class_weights = Vec::try_from(self.weights.f_to_device(Device::Cpu)?)?;
            model.fit(&self.train, &self.tokenizer, &class_weights, self.options.seed)?;
        }
        self.knows_ngrams = true;
        Ok(())
    }

    /// Reads all texts once, where nothing about the encoder will change them, and else forgets what was read.
    fn renew_cache(&mut self) -> Result<(), Error> {
        if !self.classifier.encoder_is_frozen() {
            self.cache = None;
        } else if self.cache.is_none() {
            let Self { classifier, options, .. } = self;
            let read = |texts: &Examples| SummaryCache::new(classifier, texts, options.batch_size, options.compute);
            let train = read(&self.train.examples)?;
            let valid = self.valid.as_ref().map(|valid| read(&valid.examples)).transpose()?;
            self.cache = Some(Caches { train, valid });
        }
        Ok(())
    }

    /// The summaries of training texts, `[B, F]`.
    fn summaries(&mut self, texts: &[usize], site: Site) -> Result<Tensor, Error> {
        self.renew_cache()?;
        if let Some(cache) = &mut self.cache {
            return cache.train.read(texts, self.weights.device());
        }
        let batch = TextBatch::new(texts.iter().map(|&text| self.train.examples.tokens(text)).collect());
        let noise = Noise { site, rates: &self.classifier.config().dropout };
        self.classifier.summaries(&batch, Some(&noise), self.options.compute)
    }

    /// The logits of all validation texts.
    fn valid_logits(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let Self { classifier, options, valid: Some(valid), cache, .. } = self else { return Ok(None) };
        let cache = cache.as_mut().filter(|_| classifier.encoder_is_frozen()).and_then(|cache| cache.valid.as_mut());
        score::logits(classifier, &valid.examples, options.batch_size, options.compute, cache).map(Some)
    }
}

/// What an example of each label counts in the loss, `[C]`.
fn class_weights(setting: ClassWeights, counts: &[u64], device: Device) -> Tensor {
    let total: u64 = counts.iter().sum();
    let weight = |&count: &u64| match setting {
        ClassWeights::None => 1.0,
        ClassWeights::Balanced => total as f32 / (counts.len() as u64 * count.max(1)) as f32,
    };
    Tensor::from_slice(&counts.iter().map(weight).collect::<Vec<_>>()).to_device(device)
}

impl Task for Classification {
    fn params(&self) -> &Params {
        self.classifier.params()
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        self.learn_ngrams()?;
        let texts = self.buckets.batch(step.batch());
        let site = step.site();
        let summaries = self.summaries(&texts, site)?;
        let logits = self.classifier.logits(&summaries, Some(site))?;
        let targets: Vec<_> = texts.iter().map(|&text| i64::from(self.train.labels[text])).collect();
        let targets = upload(&targets, logits.device())?;
        let sum = logits.f_cross_entropy_loss(&targets, Some(&self.weights), Reduction::Sum, -100, 0.0)?;
        Ok(Loss { sum: sum.f_to_kind(Kind::Float)?, count: texts.len() as u64, penalty: None })
    }

    fn unit(&self) -> Unit {
        Unit::Texts
    }

    fn batches_per_epoch(&self) -> u64 {
        self.buckets.per_epoch()
    }

    fn figures(&self, _: f64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        self.learn_ngrams()?;
        let Some(network) = self.valid_logits()? else { return Ok(None) };
        let Some(valid) = &self.valid else { return Ok(None) };
        let ngrams = score::ngram_logits(&self.classifier, &self.tokenizer, &valid.examples)?;
        let (ngrams, options) = (ngrams.as_deref(), &self.options);
        let calibration = score::calibrate(&network, ngrams, &valid.labels, options.tune_threshold, options.criterion);
        self.classifier.calibrate(calibration);
        let logits = score::mixtures(&network, ngrams, &calibration);
        let score = ClassificationScore::new(&logits, &valid.labels, &calibration);
        Ok(Some(Scores { criterion: score.criterion(self.options.criterion), figures: score.figures() }))
    }

    fn weights_were_loaded(&mut self) {
        self.cache = None;
        // A checkpoint from before the first step holds a model of n-grams that has learned nothing.
        self.knows_ngrams = self.classifier.ngrams().is_some_and(ngrams::NgramModel::has_learned);
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        // Bit for bit: a checkpoint is saved with what the last evaluation chose.
        let Calibration { ngram_share, temperature, threshold } = self.classifier.settings().calibration;
        let bits = [ngram_share, temperature, threshold.unwrap_or(f64::NAN)].map(|number| number.to_bits() as i64);
        vec![(CALIBRATION.to_owned(), Tensor::from_slice(&bits))]
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        let found = match state {
            [(name, tensor)] if name == CALIBRATION && tensor.kind() == Kind::Int64 => {
                <[i64; 3]>::try_from(Vec::try_from(tensor)?).ok()
            }
            _ => None,
        };
        let Some(bits) = found else {
            let found: Vec<_> = state.iter().map(|(name, tensor)| (name, tensor.kind(), tensor.size())).collect();
            return Err(Error::State(format!("a state of {found:?}; expected `{CALIBRATION}`, three int64 numbers")));
        };
        let [ngram_share, temperature, threshold] = bits.map(|bits| f64::from_bits(bits as u64));
        let threshold = (!threshold.is_nan()).then_some(threshold);
        self.classifier.calibrate(Calibration { ngram_share, temperature, threshold });
        Ok(())
    }

    fn settings(&self) -> Result<Value, Error> {
        bundle::settings(&self.classifier)
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        bundle::save(folder, &self.classifier, &self.tokenizer, &self.cleaner, provenance, WeightFormat::Fp32)
    }
}

const CALIBRATION: &str = "calibration";
