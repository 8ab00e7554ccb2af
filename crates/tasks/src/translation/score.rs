//! How good translations are.

use std::path::{Path, PathBuf};

use grulm_corpus::labelled::Pair;
use grulm_kernels::Compute;
use tch::no_grad;

use super::{Ensemble, PairExamples, ROOM, Search, Translated, Translator};
use crate::{
    Error, SORTED_TOGETHER, TextBatch, TextScore,
    buckets::longest_first_within,
    metrics::{Bleu, BleuTokenizer, ChrF},
};

/// BLEU and chrF of translations.
#[derive(Debug, Clone)]
pub struct TranslationScore {
    bleu: Bleu,
    chrf: ChrF,
    examples: u64,
}

impl TranslationScore {
    /// No translations yet.
    #[must_use]
    pub fn new(tokenizer: BleuTokenizer) -> Self {
        Self { bleu: Bleu::new(tokenizer), chrf: ChrF::new(), examples: 0 }
    }

    /// Counts a translation.
    pub fn add(&mut self, translation: &str, reference: &str) {
        self.bleu.add(translation, reference);
        self.chrf.add(translation, reference);
        self.examples += 1;
    }

    /// Translations counted.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// BLEU, in percent.
    #[must_use]
    pub fn bleu(&self) -> f64 {
        self.bleu.score()
    }

    /// chrF, in percent.
    #[must_use]
    pub fn chrf(&self) -> f64 {
        self.chrf.score()
    }

    /// The figures under their names in `evaluate --json`.
    #[must_use]
    pub fn figures(&self) -> Vec<(String, f64)> {
        [("examples", self.examples as f64), ("bleu", self.bleu()), ("chrf", self.chrf())]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
    }

    /// How BLEU was counted, as sacreBLEU writes it.
    #[must_use]
    pub fn signature(&self) -> String {
        self.bleu.signature()
    }

    /// How chrF was counted, as sacreBLEU writes it.
    #[must_use]
    pub fn chrf_signature(&self) -> String {
        self.chrf.signature()
    }
}

/// What the translator thinks of the right translations: of each of their tokens, given those before it.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn score_pairs(
    translator: &Translator,
    pairs: &PairExamples,
    batch_size: usize,
    compute: Compute,
) -> Result<TextScore, Error> {
    let (mut nll, mut tokens) = (0.0, 0);
    for batch in longest_first_within(&pairs.source.lengths(), batch_size, ROOM * batch_size as u64) {
        let sources = TextBatch::new(batch.iter().map(|&pair| pairs.source.tokens(pair)).collect());
        let targets: Vec<_> = batch.iter().map(|&pair| pairs.target.tokens(pair)).collect();
        let loss = no_grad(|| translator.loss(&sources, &targets, None, false, compute))?;
        nll += f64::try_from(loss.nll)?;
        tokens += loss.count;
    }
    Ok(TextScore { tokens, nll: nll / tokens.max(1) as f64, bytes: 0 })
}

/// A pair, and how it was translated.
#[derive(Debug)]
pub struct ScoredPair {
    /// The file that the source stands in.
    pub path: PathBuf,
    /// The pair.
    pub pair: Pair,
    /// The translation.
    pub translation: Translated,
}

/// Translates pairs as they come, many together, and counts: memory holds some batches of them.
pub struct PairScorer<'a, F> {
    ensemble: &'a Ensemble,
    search: Search,
    batch_size: usize,
    compute: Compute,
    /// Told of each pair, in order.
    each: F,
    waiting: Vec<(PathBuf, Pair)>,
    score: TranslationScore,
}

impl<'a, F: FnMut(ScoredPair) -> Result<(), Error>> PairScorer<'a, F> {
    /// No pairs yet; `each` will be told of every one.
    pub fn new(ensemble: &'a Ensemble, search: Search, batch_size: usize, compute: Compute, each: F) -> Self {
        let score = TranslationScore::new(ensemble.settings().bleu_tokenizer);
        Self { ensemble, search, batch_size, compute, each, waiting: Vec::new(), score }
    }

    /// Takes a pair of a file.
    ///
    /// # Errors
    /// When the tokenizer refuses, or memory runs out; what `each` gives.
    pub fn push(&mut self, path: &Path, pair: Pair) -> Result<(), Error> {
        self.waiting.push((path.to_owned(), pair));
        if self.waiting.len() < self.batch_size * SORTED_TOGETHER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let sources: Vec<_> = self.waiting.iter().map(|(_, pair)| pair.source.clone()).collect();
        let translations = self.ensemble.translate(&sources, &self.search, self.batch_size, self.compute)?;
        for ((path, pair), translation) in self.waiting.drain(..).zip(translations) {
            self.score.add(&translation.text, &pair.target);
            (self.each)(ScoredPair { path, pair, translation })?;
        }
        Ok(())
    }

    /// The figures.
    ///
    /// # Errors
    /// As [`PairScorer::push`].
    pub fn finish(mut self) -> Result<TranslationScore, Error> {
        self.flush()?;
        Ok(self.score)
    }
}
