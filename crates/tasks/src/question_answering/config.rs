//! The keys of `[task]` where `kind = "question_answering"`.

use grulm_config::Invalid;
use grulm_corpus::Encoding;
use grulm_metrics::Units;
use serde::{Deserialize, Serialize};

use super::answerer::WIDEST;
use crate::checks::check_valid_fraction;

/// `[task]`: which questions about which contexts have which answers, and what finds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuestionAnsweringConfig {
    /// Questions to learn from: files, folders and globs (SQuAD's .json, or .jsonl; plain or .gz/.zst).
    pub train: Vec<String>,
    /// Questions that choose the best checkpoint. Where there are none, `valid_fraction` or `valid_last` of `train`.
    pub valid: Vec<String>,
    /// Questions that are scored at the end.
    pub test: Vec<String>,
    /// Share of the contexts of `train` that goes to validation, by a hash of the context, in `0..1`.
    pub valid_fraction: f64,
    /// So many of the last questions of `train` go to validation.
    pub valid_last: usize,
    /// Encoding of files without a byte order mark: a WHATWG label or "auto".
    pub encoding: String,
    /// Units of each direction of the reader's GRU layers.
    pub hidden: i64,
    /// Dropout before each layer of the reader, in `0..1`.
    pub dropout: f64,
    /// Tokens from the beginning of one window to that of the next, where a context is longer than `train.sequence_length`; 0 is
    /// half of that.
    pub stride: usize,
    /// Tokens of an answer, at most, where one is searched for.
    pub longest_answer: usize,
    /// Whether there are questions without an answer in their context. They are then learned, and from what probability on none
    /// is given is chosen on validation.
    pub unanswerable: bool,
    /// What F1 is counted over, and exact match compared by.
    pub units: AnswerUnits,
    /// The figure that chooses the best checkpoint.
    pub criterion: AnswerCriterion,
}

impl Default for QuestionAnsweringConfig {
    fn default() -> Self {
        Self {
            train: Vec::new(),
            valid: Vec::new(),
            test: Vec::new(),
            valid_fraction: 0.0,
            valid_last: 0,
            encoding: "utf-8".into(),
            hidden: 128,
            dropout: 0.2,
            stride: 0,
            longest_answer: 30,
            unanswerable: false,
            units: AnswerUnits::Auto,
            criterion: AnswerCriterion::F1,
        }
    }
}

/// What is compared in answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerUnits {
    /// Characters where the right answers are Chinese or Japanese for a third or more, words elsewhere.
    #[default]
    Auto,
    /// Words, as SQuAD compares them.
    Words,
    /// Characters of Chinese and Japanese, and words in between.
    Characters,
}

impl AnswerUnits {
    /// What they are for these right answers.
    #[must_use]
    pub fn resolve<'a>(self, gold: impl IntoIterator<Item = &'a str>) -> Units {
        match self {
            Self::Auto => Units::of(gold),
            Self::Words => Units::Words,
            Self::Characters => Units::Characters,
        }
    }
}

/// The figure that chooses the best checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerCriterion {
    /// Mean F1 of the answers.
    F1,
    /// Share of answers that are right to the letter.
    ExactMatch,
}

impl QuestionAnsweringConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let files = "files of questions (.json, .jsonl): files, folders or globs";
        Invalid::check("task.train", &self.train, !self.train.is_empty(), files)?;
        let given = !self.valid.is_empty();
        check_valid_fraction(self.valid_fraction, given)?;
        let fits = self.valid_last == 0 || (!given && self.valid_fraction == 0.0);
        let allowed = "0, since task.valid or task.valid_fraction says what validation data is";
        Invalid::check("task.valid_last", self.valid_last, fits, allowed)?;
        self.encoding()?;
        Invalid::check_range("task.hidden", self.hidden, 1..=WIDEST)?;
        Invalid::check_range("task.dropout", self.dropout, 0.0..1.0)?;
        Invalid::check("task.longest_answer", self.longest_answer, self.longest_answer > 0, "1 or more")?;
        let allowed = "false, since there is no validation data (task.valid, task.valid_fraction, task.valid_last)";
        Invalid::check("task.unanswerable", self.unanswerable, self.is_validated() || !self.unanswerable, allowed)
    }

    /// Whether there is validation data.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        !self.valid.is_empty() || self.valid_fraction > 0.0 || self.valid_last > 0
    }

    /// The encoding of the files.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn encoding(&self) -> Result<Encoding, Invalid> {
        Encoding::parse("task.encoding", &self.encoding)
    }
}
