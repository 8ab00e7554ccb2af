//! How good a classifier is on labelled texts.

use grulm_corpus::Tokenizer;
use grulm_kernels::Compute;
use tch::{Device, no_grad};

use super::{Calibration, Classifier, Criterion, LabelledTexts, ngrams::NgramModel, summary_cache::SummaryCache};
use crate::{
    Error, Examples, TextBatch,
    buckets::longest_first,
    metrics::{self, Confusion},
};

/// Figures of a classifier over labelled texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassificationScore {
    /// Counts by gold and predicted label.
    pub confusion: Confusion,
    /// Mean negative log likelihood of the right labels, nats.
    pub nll: f64,
    /// The label predicted for each text.
    pub predicted: Vec<u32>,
    /// The probability of each label, for each text.
    pub probabilities: Vec<Vec<f64>>,
}

impl ClassificationScore {
    pub(super) fn new(logits: &[Vec<f32>], labels: &[u32], calibration: &Calibration) -> Self {
        let classes = logits.first().map_or(0, Vec::len);
        let probabilities: Vec<_> = logits.iter().map(|logits| calibration.probabilities(logits)).collect();
        let predicted: Vec<_> = probabilities.iter().map(|p| calibration.decide(p) as u32).collect();
        let mut confusion = Confusion::new(classes);
        let mut nll = 0.0;
        for ((&label, &predicted), p) in labels.iter().zip(&predicted).zip(&probabilities) {
            confusion.add(label as usize, predicted as usize);
            // A probability that rounds to zero is still a finite surprise.
            nll -= p[label as usize].max(f64::MIN_POSITIVE).ln();
        }
        Self { confusion, nll: nll / labels.len().max(1) as f64, predicted, probabilities }
    }

    /// What chooses the best checkpoint: lower is better.
    pub(super) fn criterion(&self, criterion: Criterion) -> f64 {
        match criterion {
            Criterion::Accuracy => 1.0 - self.confusion.accuracy(),
            Criterion::MacroF1 => 1.0 - self.confusion.macro_f1(),
            Criterion::Mcc => 1.0 - self.confusion.mcc(),
            Criterion::Nll => self.nll,
        }
    }

    /// The figures under their names in `evaluate --json`.
    #[must_use]
    pub fn figures(&self) -> Vec<(String, f64)> {
        [
            ("examples", self.predicted.len() as f64),
            ("accuracy", self.confusion.accuracy()),
            ("macro_f1", self.confusion.macro_f1()),
            ("mcc", self.confusion.mcc()),
            ("nll", self.nll),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// Scores `classifier` on labelled texts, tokens of `tokenizer`.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn score(
    classifier: &Classifier,
    tokenizer: &Tokenizer,
    texts: &LabelledTexts,
    batch_size: usize,
    compute: Compute,
) -> Result<ClassificationScore, Error> {
    let calibration = classifier.settings().calibration;
    let network = logits(classifier, &texts.examples, batch_size, compute, None)?;
    let ngrams = ngram_logits(classifier, tokenizer, &texts.examples)?;
    let logits = mixtures(&network, ngrams.as_deref(), &calibration);
    Ok(ClassificationScore::new(&logits, &texts.labels, &calibration))
}

/// The network's logits of all texts, in order; from cached summaries where there are some.
pub(super) fn logits(
    classifier: &Classifier,
    examples: &Examples,
    batch_size: usize,
    compute: Compute,
    mut cache: Option<&mut SummaryCache>,
) -> Result<Vec<Vec<f32>>, Error> {
    let mut all = vec![Vec::new(); examples.len()];
    for batch in longest_first(&examples.lengths(), batch_size) {
        let summaries = match &mut cache {
            Some(cache) => cache.read(&batch, classifier.params().device())?,
            None => {
                let texts = TextBatch::new(batch.iter().map(|&text| examples.tokens(text)).collect());
                no_grad(|| classifier.summaries(&texts, None, compute))?
            }
        };
        let logits = no_grad(|| classifier.logits(&summaries, None))?.f_to_device(Device::Cpu)?;
        for (text, logits) in batch.into_iter().zip(Vec::<Vec<f32>>::try_from(logits)?) {
            all[text] = logits;
        }
    }
    Ok(all)
}

/// The n-gram model's logits of all texts, in order, where there is one.
pub(super) fn ngram_logits(
    classifier: &Classifier,
    tokenizer: &Tokenizer,
    examples: &Examples,
) -> Result<Option<Vec<Vec<f32>>>, Error> {
    let of = |model: &NgramModel, text| model.logits(&examples.tokens(text), tokenizer);
    classifier.ngrams().map(|model| (0..examples.len()).map(|text| of(model, text)).collect()).transpose()
}

/// The logits of all texts, from those of the network and those of the n-gram model.
pub(super) fn mixtures(network: &[Vec<f32>], ngrams: Option<&[Vec<f32>]>, calibration: &Calibration) -> Vec<Vec<f32>> {
    let of = |text: usize| ngrams.map(|ngrams| ngrams[text].as_slice());
    network.iter().enumerate().map(|(text, network)| calibration.mix(network, of(text))).collect()
}

/// Chooses mixture, temperature and threshold by the labels of held-out texts: the threshold that is best by `criterion`.
pub(super) fn calibrate(
    network: &[Vec<f32>],
    ngrams: Option<&[Vec<f32>]>,
    labels: &[u32],
    tune_threshold: bool,
    criterion: Criterion,
) -> Calibration {
    let gold: Vec<_> = labels.iter().map(|&label| label as usize).collect();
    let ngram_share = ngrams.map_or(0.0, |ngrams| metrics::mixture_share(&network.concat(), &ngrams.concat(), &gold));
    let mixture = Calibration { ngram_share, ..Calibration::default() };
    let logits = mixtures(network, ngrams, &mixture);
    let calibration = Calibration { temperature: metrics::temperature(&logits.concat(), &gold), ..mixture };
    let second = |logits: &Vec<f32>| match calibration.probabilities(logits).as_slice() {
        &[_, second] => Some(second as f32),
        _ => None,
    };
    let score = |confusion: &Confusion| match criterion {
        Criterion::Accuracy | Criterion::Nll => confusion.accuracy(),
        Criterion::MacroF1 => confusion.macro_f1(),
        Criterion::Mcc => confusion.mcc(),
    };
    let threshold = match logits.iter().map(second).collect::<Option<Vec<_>>>() {
        Some(seconds) if tune_threshold => {
            let gold: Vec<_> = labels.iter().map(|&label| label == 1).collect();
            Some(metrics::threshold(&seconds, &gold, score))
        }
        _ => None,
    };
    Calibration { threshold, ..calibration }
}
