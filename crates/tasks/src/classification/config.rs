//! The keys of `[task]` where `kind = "classification"`.

use grulm_config::Invalid;
use grulm_corpus::{Encoding, labelled::Fields};
use grulm_model::PooledLayers;
use serde::{Deserialize, Serialize};

use super::{classifier::WIDEST, ngram_features::LONGEST};
use crate::checks::{check_field_names, check_valid_fraction};

/// `[task]`: which texts have which labels, and what reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassificationConfig {
    /// Label files to learn from: files, folders and globs (.jsonl .csv .tsv, plain or .gz/.zst).
    pub train: Vec<String>,
    /// Label files that choose the best checkpoint, temperature and threshold. Where there is none, `valid_fraction` of `train`.
    pub valid: Vec<String>,
    /// Label files that are scored at the end.
    pub test: Vec<String>,
    /// Share of the training texts that goes to validation, by a hash of the text, in `0..1`.
    pub valid_fraction: f64,
    /// The field or column of the text.
    pub text_field: String,
    /// The field of a second text, where pairs of texts are labelled.
    pub pair_field: Option<String>,
    /// The field of the label.
    pub label_field: String,
    /// Encoding of files without a byte order mark: a WHATWG label or "auto".
    pub encoding: String,
    /// The layers whose outputs the head reads: "last" or "all".
    pub pool: PooledLayers,
    /// Longest n-grams of tokens that the linear model beside the network reads, 0 to 8; 0 is no such model.
    pub ngrams: usize,
    /// Longest n-grams of characters that it reads, 2 to 8, within words in lower case; 0 is none.
    pub character_ngrams: usize,
    /// Width of the head's hidden layer; 0 is none.
    pub hidden: i64,
    /// Dropout before each layer of the head, in `0..1`.
    pub dropout: f64,
    /// What the examples of a label count in the loss.
    pub class_weights: ClassWeights,
    /// Of two labels, chooses on validation from which probability on the second one is given.
    pub tune_threshold: bool,
    /// The figure that chooses the best checkpoint.
    pub criterion: Criterion,
}

impl Default for ClassificationConfig {
    fn default() -> Self {
        Self {
            train: Vec::new(),
            valid: Vec::new(),
            test: Vec::new(),
            valid_fraction: 0.0,
            text_field: "text".into(),
            pair_field: None,
            label_field: "label".into(),
            encoding: "utf-8".into(),
            pool: PooledLayers::Last,
            ngrams: 0,
            character_ngrams: 0,
            hidden: 0,
            dropout: 0.3,
            class_weights: ClassWeights::None,
            tune_threshold: false,
            criterion: Criterion::Accuracy,
        }
    }
}

/// What the examples of a label count in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All the same.
    None,
    /// In inverse proportion to how many there are of the label.
    Balanced,
}

/// The figure that chooses the best checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Share of texts whose label is right.
    Accuracy,
    /// Mean over the labels of the harmonic mean of precision and recall.
    MacroF1,
    /// Matthews' correlation coefficient.
    Mcc,
    /// Mean negative log likelihood of the right label.
    Nll,
}

impl ClassificationConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let files = "label files (.jsonl, .csv, .tsv): files, folders or globs";
        Invalid::check("task.train", &self.train, !self.train.is_empty(), files)?;
        check_valid_fraction(self.valid_fraction, !self.valid.is_empty())?;
        Invalid::check_range("task.ngrams", self.ngrams, 0..=LONGEST)?;
        let (longest, allowed) = (self.character_ngrams, format!("0, or 2 to {LONGEST}"));
        Invalid::check("task.character_ngrams", longest, longest != 1 && longest <= LONGEST, allowed)?;
        Invalid::check_range("task.hidden", self.hidden, 0..=WIDEST)?;
        Invalid::check_range("task.dropout", self.dropout, 0.0..1.0)?;
        check_field_names([("text", &self.text_field), ("label", &self.label_field)])?;
        if let Some(pair) = &self.pair_field {
            check_field_names([("pair", pair)])?;
        }
        self.encoding()?;
        let allowed = "false, since there is no validation data (task.valid, task.valid_fraction)";
        Invalid::check("task.tune_threshold", self.tune_threshold, self.is_validated() || !self.tune_threshold, allowed)
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
    pub fn fields(&self) -> Fields {
        Fields { text: self.text_field.clone(), pair: self.pair_field.clone(), label: Some(self.label_field.clone()) }
    }
}
