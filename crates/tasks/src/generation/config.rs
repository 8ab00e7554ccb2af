//! The keys of `[task]` where `kind = "generation"`.

use grulm_config::Invalid;
use grulm_corpus::Unit;
use serde::{Deserialize, Serialize};

use crate::checks::{check_field_names, check_valid_fraction};

/// `[task]`: which texts, or pairs of prompt and completion, are learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationConfig {
    /// What the files hold.
    pub format: GenerationFormat,
    /// Files to learn from: files, folders and globs. Text: .txt .jsonl .csv .tsv .parquet; completions: .jsonl .csv .tsv.
    pub train: Vec<String>,
    /// Files that choose the best checkpoint. Where there is none, `valid_fraction` of `train`.
    pub valid: Vec<String>,
    /// Files that are scored at the end.
    pub test: Vec<String>,
    /// Share of the training documents that goes to validation, by a hash, in `0..1`.
    pub valid_fraction: f64,
    /// Text: what one document is in a plain text file.
    pub unit: Unit,
    /// Text: the field or column that holds it.
    pub text_field: String,
    /// Completions: the field of the prompt.
    pub prompt_field: String,
    /// Completions: the field of what follows.
    pub completion_field: String,
    /// Encoding of files without a byte order mark: a WHATWG label or "auto".
    pub encoding: String,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            format: GenerationFormat::Text,
            train: Vec::new(),
            valid: Vec::new(),
            test: Vec::new(),
            valid_fraction: 0.0,
            unit: Unit::Line,
            text_field: "text".into(),
            prompt_field: "prompt".into(),
            completion_field: "completion".into(),
            encoding: "utf-8".into(),
        }
    }
}

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerationFormat {
    /// Text, as in pretraining: every token is predicted.
    Text,
    /// Prompts with completions: only the completions are predicted.
    Completion,
}

impl GenerationConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check("task.train", &self.train, !self.train.is_empty(), "files, folders or globs")?;
        check_valid_fraction(self.valid_fraction, !self.valid.is_empty())?;
        check_field_names([
            ("text", &self.text_field),
            ("prompt", &self.prompt_field),
            ("completion", &self.completion_field),
        ])?;
        grulm_corpus::Encoding::parse("task.encoding", &self.encoding)?;
        self.check_format()
    }

    /// Refuses what is set for the other format.
    fn check_format(&self) -> Result<(), Invalid> {
        let default = Self::default();
        let (format, names) = match self.format {
            GenerationFormat::Text => {
                let prompt = ("prompt_field", &self.prompt_field, &default.prompt_field);
                ("text", vec![prompt, ("completion_field", &self.completion_field, &default.completion_field)])
            }
            GenerationFormat::Completion => {
                let allowed = "nothing: with task.format = \"completion\" a document is a row";
                Invalid::check(
                    "task.unit",
                    format!("{:?}", self.unit).to_lowercase(),
                    self.unit == default.unit,
                    allowed,
                )?;
                ("completion", vec![("text_field", &self.text_field, &default.text_field)])
            }
        };
        names.into_iter().try_for_each(|(key, name, default)| {
            let allowed = format!("nothing: it is not read with task.format = {format:?}");
            Invalid::check(format!("task.{key}"), name, name == default, allowed)
        })
    }

    /// Whether there is validation data.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        !self.valid.is_empty() || self.valid_fraction > 0.0
    }
}
