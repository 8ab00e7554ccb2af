//! The keys of `[task]` where `kind = "translation"`.

use grulm_config::Invalid;
use grulm_corpus::{Encoding, labelled::PairFields};
use grulm_metrics::BleuTokenizer;
use serde::{Deserialize, Serialize};

use super::{PairFiles, Search};
use crate::checks::{check_field_names, check_valid_fraction};

/// `[task]`: which sentences have which translations, and what translates them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslationConfig {
    /// Pairs to learn from.
    pub train: PairFiles,
    /// Pairs that choose the best checkpoint. Where there are none, `valid_fraction` of `train`.
    pub valid: PairFiles,
    /// Pairs that are scored at the end.
    pub test: PairFiles,
    /// Share of the training pairs that goes to validation, by a hash of the source, in `0..1`.
    pub valid_fraction: f64,
    /// The field or column of what is translated.
    pub source_field: String,
    /// The field or column of its translation.
    pub target_field: String,
    /// Encoding of files without a byte order mark: a WHATWG label or "auto".
    pub encoding: String,
    /// Units a direction of the layer that reads the pretrained layers' outputs from both ends.
    pub hidden: i64,
    /// Heads of the attention; twice `hidden` is a multiple of it.
    pub heads: i64,
    /// Dropout on what the layer of both directions reads and gives, and on what attention adds, in `0..1`.
    pub dropout: f64,
    /// Share of the probability that the loss spreads over the whole vocabulary, in `0..1`.
    pub label_smoothing: f64,
    /// The figure that chooses the best checkpoint.
    pub criterion: TranslationCriterion,
    /// How BLEU cuts text into words.
    pub bleu_tokenizer: BleuTokenizer,
    /// Translations that are kept at each step of the search; 1 is greedy.
    pub beam: usize,
    /// A translation's log probability is divided by its length to this power.
    pub length_penalty: f64,
    /// Tokens of a translation for each of the source, at most, and some more.
    pub max_length_ratio: f64,
    /// Tokens of a translation, at most.
    pub max_length: usize,
}

impl Default for TranslationConfig {
    fn default() -> Self {
        let PairFields { source, target } = PairFields::default();
        let Search { beam, length_penalty, max_length_ratio, max_length } = Search::default();
        Self {
            train: PairFiles::default(),
            valid: PairFiles::default(),
            test: PairFiles::default(),
            valid_fraction: 0.0,
            source_field: source,
            target_field: target,
            encoding: "utf-8".into(),
            hidden: 256,
            heads: 8,
            dropout: 0.3,
            label_smoothing: 0.1,
            criterion: TranslationCriterion::Bleu,
            bleu_tokenizer: BleuTokenizer::default(),
            beam,
            length_penalty,
            max_length_ratio,
            max_length,
        }
    }
}

/// The figure of greedy translations of the validation data that chooses the best checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranslationCriterion {
    /// BLEU.
    Bleu,
    /// chrF.
    Chrf,
    /// Mean negative log likelihood of a target token; nothing is translated for it.
    Nll,
}

impl TranslationConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let files = "files with both sides (.jsonl, .csv, .tsv), or { source = [..], target = [..] } of plain text";
        Invalid::check("task.train", self.train.to_string(), !self.train.is_empty(), files)?;
        for (key, files) in [("task.train", &self.train), ("task.valid", &self.valid), ("task.test", &self.test)] {
            files.check_sides(key)?;
        }
        check_valid_fraction(self.valid_fraction, !self.valid.is_empty())?;
        check_field_names([("source", &self.source_field), ("target", &self.target_field)])?;
        self.encoding()?;
        Invalid::check_range("task.hidden", self.hidden, 1..=super::WIDEST)?;
        let allowed = format!("a divisor of twice task.hidden: of {}", 2 * self.hidden);
        let fits = self.heads >= 1 && 2 * self.hidden % self.heads == 0;
        Invalid::check("task.heads", self.heads, fits, allowed)?;
        Invalid::check_range("task.dropout", self.dropout, 0.0..1.0)?;
        Invalid::check_range("task.label_smoothing", self.label_smoothing, 0.0..1.0)?;
        let nested = |invalid: Invalid| Invalid { key: format!("task.{}", invalid.key), ..invalid };
        self.search().validate().map_err(nested)
    }

    /// Whether there is validation data.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        !self.valid.is_empty() || self.valid_fraction > 0.0
    }

    /// The encoding of the files.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn encoding(&self) -> Result<Encoding, Invalid> {
        Encoding::parse("task.encoding", &self.encoding)
    }

    /// The names of the fields.
    #[must_use]
    pub fn fields(&self) -> PairFields {
        PairFields { source: self.source_field.clone(), target: self.target_field.clone() }
    }

    /// How translations are searched for.
    #[must_use]
    pub fn search(&self) -> Search {
        let &Self { beam, length_penalty, max_length_ratio, max_length, .. } = self;
        Search { beam, length_penalty, max_length_ratio, max_length }
    }
}
