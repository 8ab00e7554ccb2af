//! Files of text, and of prompts with completions, as tokens.

use grulm_config::Invalid;
use grulm_corpus::{
    Cleaner, Encoding, ReadOptions, Special, Tokenizer, documents, inputs,
    labelled::{self, Labels},
};
use grulm_durable::digest::hex;
use sha2::{Digest as _, Sha256};

use super::config::{GenerationConfig, GenerationFormat};
use crate::{Error, Examples, ExamplesWriter, Framing, Text, examples::is_held_out};

/// What is learned from, and what chooses the best checkpoint.
#[derive(Debug)]
pub struct GenerationData {
    /// Documents one after the other, or a prompt with its completion each.
    pub train: Examples,
    /// Of the same kind.
    pub valid: Option<Examples>,
}

impl GenerationData {
    /// A SHA-256 of the texts: what a resumed run must find again.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for text in [Some(&self.train), self.valid.as_ref()].into_iter().flatten() {
            hasher.update(text.sha256());
        }
        hex(&hasher.finalize())
    }
}

/// Reads the training and validation files of `config`.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit, or no text is left to learn from.
pub fn read_generation_data(
    config: &GenerationConfig,
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<GenerationData, Error> {
    let writer = || ExamplesWriter::new(cleaner, tokenizer, framing(config.format));
    let (mut train, mut valid) = (writer()?, writer()?);
    for_each_text(config, "task.train", &config.train, |text| {
        if is_held_out(&text.text, config.valid_fraction) { &mut valid } else { &mut train }.push(text)
    })?;
    if !config.valid.is_empty() {
        for_each_text(config, "task.valid", &config.valid, |text| valid.push(text))?;
    }
    let (train, valid) = (train.finish()?, valid.finish()?);
    let chosen_by = config.valid.is_empty() || !valid.is_empty();
    Invalid::check("task.valid", &config.valid, chosen_by, "files that hold text")?;
    if train.is_empty() && !valid.is_empty() && config.valid.is_empty() {
        let allowed = format!("less: it leaves none of the {} texts of task.train to learn from", valid.len());
        return Err(Invalid::new("task.valid_fraction", config.valid_fraction, allowed).into());
    }
    Invalid::check("task.train", &config.train, !train.is_empty(), "files that hold text to learn from")?;
    Ok(GenerationData { train, valid: (!valid.is_empty()).then_some(valid) })
}

/// Reads files of the kind that `config` says. `key` is what errors call the patterns.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit.
pub fn read_generation_files(
    config: &GenerationConfig,
    key: &str,
    patterns: &[String],
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<Examples, Error> {
    let mut writer = ExamplesWriter::new(cleaner, tokenizer, framing(config.format))?;
    for_each_text(config, key, patterns, |text| writer.push(text))?;
    writer.finish()
}

fn framing(format: GenerationFormat) -> Framing {
    match format {
        GenerationFormat::Text => Framing::After,
        GenerationFormat::Completion => Framing::Around,
    }
}

fn for_each_text(
    config: &GenerationConfig,
    key: &str,
    patterns: &[String],
    mut each: impl FnMut(Text) -> Result<(), Error>,
) -> Result<(), Error> {
    let encoding = Encoding::parse("task.encoding", &config.encoding)?;
    for input in inputs(key, patterns)? {
        match config.format {
            GenerationFormat::Text => {
                let options =
                    ReadOptions { unit: config.unit, text_field: config.text_field.as_str().into(), encoding };
                let mut documents = documents(&input, &options)?;
                for document in documents.by_ref() {
                    each(Text { text: document?.text, pair: None })?;
                }
                labelled::warn_of_replaced(&input.path, documents.replaced());
            }
            GenerationFormat::Completion => {
                let pair = Some(config.completion_field.clone());
                let fields = labelled::Fields { text: config.prompt_field.clone(), pair, label: None };
                for row in labelled::open(&input.path, &fields, Labels::Optional, encoding)? {
                    let row = row?;
                    each(Text { text: row.text, pair: row.pair })?;
                }
            }
        }
    }
    Ok(())
}

/// Where the completion begins in the tokens of a prompt with its completion: after the `<sep>`, which only the program writes.
pub(super) fn completion_start(tokens: &[i64], tokenizer: &Tokenizer) -> usize {
    let separator = i64::from(tokenizer.special(Special::Sep));
    tokens.iter().position(|&token| token == separator).map_or(tokens.len(), |place| place + 1)
}
