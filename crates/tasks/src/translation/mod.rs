//! Translation: for each text the same in another language.

mod config;
mod data;
mod files;
mod score;
mod search;
mod translate;
mod translator;

use std::path::Path;

use grulm_config::Invalid;
use grulm_corpus::{Cleaner, Tokenizer};
use grulm_kernels::Compute;
use grulm_model::{Noise, Params, Site, WeightFormat};
use serde_json::Value;
use tch::Tensor;

pub use config::{TranslationConfig, TranslationCriterion};
pub use data::{HeldOutPairs, PairExamples, TranslationData, for_each_pair, read_translation_data};
pub use files::{PairFiles, Parallel};
pub use score::{PairScorer, ScoredPair, TranslationScore, score_pairs};
pub use search::{Hypothesis, Search, search};
pub use translate::{Ensemble, Translated};
pub use translator::{PairLoss, Translator, TranslatorSettings};

use self::translator::WIDEST;
use crate::{
    Error, Loss, Scores, Step, Task, TextBatch,
    buckets::Buckets,
    bundle::{self, Provenance},
};

/// Tokens of a text of nothing: the `<eos>` at its ends.
const EMPTY: usize = 2;
/// Tokens of a source for which a batch has room in the mean, where nothing is learned: very long ones are few side by side.
const ROOM: u64 = 128;

/// How a translator is trained and chosen.
#[derive(Debug, Clone, Copy)]
pub struct TranslationOptions {
    /// Pairs a batch, in the mean.
    pub batch_size: usize,
    /// Tokens of a text, at most: pairs with a longer one are not learned from.
    pub longest: usize,
    /// The run's seed.
    pub seed: u64,
    /// The stage of the run.
    pub stage: u64,
    /// How training passes and validation are computed.
    pub compute: Compute,
    /// Share of the probability that the loss spreads over the whole vocabulary.
    pub label_smoothing: f64,
    /// The figure that chooses the best checkpoint.
    pub criterion: TranslationCriterion,
}

/// Pairs that are not learned from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// With an empty side.
    pub empty: usize,
    /// With a side that is too long.
    pub long: usize,
}

/// A translator in training: the inference half and its data.
#[derive(Debug)]
pub struct Translation {
    translator: Translator,
    tokenizer: Tokenizer,
    cleaner: Cleaner,
    options: TranslationOptions,
    data: TranslationData,
    /// The training pairs that are learned from.
    kept: Vec<usize>,
    left_out: LeftOut,
    buckets: Buckets,
}

impl Translation {
    /// Puts `translator` before its data.
    ///
    /// # Errors
    /// When there is no pair to learn from.
    pub fn new(
        translator: Translator,
        tokenizer: Tokenizer,
        cleaner: Cleaner,
        data: TranslationData,
        options: TranslationOptions,
    ) -> Result<Self, Error> {
        let mut left_out = LeftOut::default();
        let learned = |&pair: &usize| {
            let lengths = data.train.lengths(pair).map(|length| length as usize);
            let (empty, long) =
                (lengths.iter().any(|&n| n <= EMPTY), lengths.iter().any(|&n| n > EMPTY + options.longest));
            left_out.empty += usize::from(empty);
            left_out.long += usize::from(long && !empty);
            !empty && !long
        };
        let kept: Vec<usize> = (0..data.train.len()).filter(learned).collect();
        let allowed = format!(
            "files with pairs of at most {} tokens a side (train.sequence_length) to learn from",
            options.longest
        );
        Invalid::check("task.train", format!("{} pairs", data.train.len()), !kept.is_empty(), allowed)?;
        let lengths = kept.iter().map(|&pair| data.train.lengths(pair)).collect();
        let site = Site::new(options.seed).at(options.stage).named("batches");
        let buckets = Buckets::of_pairs(lengths, options.batch_size, site);
        Ok(Self { translator, tokenizer, cleaner, options, data, kept, left_out, buckets })
    }

    /// What is not learned from.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// BLEU and chrF of greedy translations.
    fn score(&self, valid: &HeldOutPairs) -> Result<TranslationScore, Error> {
        let Self { translator, tokenizer, options, .. } = self;
        let HeldOutPairs { examples, references } = valid;
        let settings = translator.settings();
        let lengths: Vec<_> = (0..examples.len()).map(|pair| examples.source.length(pair)).collect();
        let tokens = |pair: usize| examples.source.tokens(pair);
        let by = settings.search.greedy();
        let batch_size = options.batch_size;
        let translations =
            translate::translate(&[translator], tokenizer, &lengths, tokens, &by, batch_size, options.compute)?;
        let mut score = TranslationScore::new(settings.bleu_tokenizer);
        for (translation, reference) in translations.iter().zip(references) {
            score.add(&translation.text, reference);
        }
        Ok(score)
    }
}

impl Task for Translation {
    fn params(&self) -> &Params {
        self.translator.params()
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        let pairs: Vec<_> = self.buckets.batch(step.batch()).into_iter().map(|index| self.kept[index]).collect();
        let Self { translator, data: TranslationData { train, .. }, options, .. } = self;
        let sources = TextBatch::new(pairs.iter().map(|&pair| train.source.tokens(pair)).collect());
        let targets: Vec<_> = pairs.iter().map(|&pair| train.target.tokens(pair)).collect();
        let noise = Noise { site: step.site(), rates: &translator.config().dropout };
        let smoothing = options.label_smoothing;
        let PairLoss { nll, margin, count } =
            translator.loss(&sources, &targets, Some(&noise), smoothing > 0.0, options.compute)?;
        let penalty = || margin.f_mul_scalar(smoothing / count.max(1) as f64);
        Ok(Loss { sum: nll, count, penalty: (smoothing > 0.0).then(penalty).transpose()? })
    }

    fn batches_per_epoch(&self) -> u64 {
        self.buckets.per_epoch()
    }

    fn figures(&self, mean_loss: f64) -> Vec<(&'static str, f64)> {
        vec![("perplexity", mean_loss.exp())]
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        let Some(valid) = &self.data.valid else { return Ok(None) };
        let TranslationOptions { batch_size, compute, criterion, .. } = self.options;
        let likelihood = score_pairs(&self.translator, &valid.examples, batch_size, compute)?;
        let (mut figures, best) = match criterion {
            TranslationCriterion::Nll => (Vec::new(), likelihood.nll),
            TranslationCriterion::Bleu | TranslationCriterion::Chrf => {
                let score = self.score(valid)?;
                let share = if criterion == TranslationCriterion::Bleu { score.bleu() } else { score.chrf() };
                (vec![("bleu".to_owned(), score.bleu()), ("chrf".to_owned(), score.chrf())], 100.0 - share)
            }
        };
        figures.push(("nll".to_owned(), likelihood.nll));
        figures.push(("perplexity".to_owned(), likelihood.perplexity()));
        Ok(Some(Scores { criterion: best, figures }))
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        match state {
            [] => Ok(()),
            state => Err(Error::State(format!("{} carried states; expected none", state.len()))),
        }
    }

    fn settings(&self) -> Result<Value, Error> {
        bundle::settings(&self.translator)
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        bundle::save(folder, &self.translator, &self.tokenizer, &self.cleaner, provenance, WeightFormat::Fp32)
    }
}
