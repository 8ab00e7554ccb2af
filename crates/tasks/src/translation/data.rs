//! Files of pairs as tokens.

use std::path::Path;

use grulm_config::Invalid;
use grulm_corpus::{Cleaner, Tokenizer, labelled::Pair};
use grulm_durable::digest::hex;
use sha2::{Digest as _, Sha256};

use super::{PairFiles, TranslationConfig};
use crate::{Error, Examples, ExamplesWriter, Framing, Text, examples::is_held_out};

/// Texts and their translations, as tokens: number n of the one belongs to number n of the other.
#[derive(Debug)]
pub struct PairExamples {
    /// What is translated.
    pub source: Examples,
    /// The translations.
    pub target: Examples,
}

impl PairExamples {
    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The lengths of both sides of pair number `index`, in tokens.
    #[must_use]
    pub fn lengths(&self, index: usize) -> [u32; 2] {
        [&self.source, &self.target].map(|side| u32::try_from(side.length(index)).unwrap_or(u32::MAX))
    }
}

/// Pairs that a translator is scored on.
#[derive(Debug)]
pub struct HeldOutPairs {
    /// As tokens.
    pub examples: PairExamples,
    /// The translations as they are written.
    pub references: Vec<String>,
}

/// What a translator learns from, and is chosen by.
#[derive(Debug)]
pub struct TranslationData {
    /// The pairs to learn from.
    pub train: PairExamples,
    /// The pairs that choose.
    pub valid: Option<HeldOutPairs>,
}

impl TranslationData {
    /// A SHA-256 of all pairs: what a resumed run must find again.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for pairs in [Some(&self.train), self.valid.as_ref().map(|valid| &valid.examples)].into_iter().flatten() {
            hasher.update(pairs.source.sha256());
            hasher.update(pairs.target.sha256());
        }
        hex(&hasher.finalize())
    }
}

/// Reads the training and validation files of `config`.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit, or no pair is left to learn from.
pub fn read_translation_data(
    config: &TranslationConfig,
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<TranslationData, Error> {
    let mut train = Writer::new(cleaner, tokenizer)?;
    let mut valid = HeldOutWriter::new(cleaner, tokenizer)?;
    for_each_pair(config, "task.train", &config.train, |_, pair| {
        if is_held_out(&pair.source, config.valid_fraction) { valid.push(pair) } else { train.push(&pair) }
    })?;
    if !config.valid.is_empty() {
        for_each_pair(config, "task.valid", &config.valid, |_, pair| valid.push(pair))?;
    }
    let (train, valid) = (train.finish()?, valid.finish()?);
    let chosen_by = config.valid.is_empty() || !valid.examples.is_empty();
    Invalid::check("task.valid", config.valid.to_string(), chosen_by, "files that hold pairs")?;
    if train.is_empty() && !valid.examples.is_empty() && config.valid.is_empty() {
        let allowed = format!("less: it leaves none of the {} pairs of task.train to learn from", valid.examples.len());
        return Err(Invalid::new("task.valid_fraction", config.valid_fraction, allowed).into());
    }
    Invalid::check("task.train", config.train.to_string(), !train.is_empty(), "files that hold pairs to learn from")?;
    Ok(TranslationData { train, valid: (!valid.examples.is_empty()).then_some(valid) })
}

/// Calls `each` with every pair of `files`, as `config` reads them, and the file that its source stands in.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit; what `each` gives.
pub fn for_each_pair(
    config: &TranslationConfig,
    key: &str,
    files: &PairFiles,
    each: impl FnMut(&Path, Pair) -> Result<(), Error>,
) -> Result<(), Error> {
    files.for_each([key, key], &config.fields(), config.encoding()?, each)
}

struct Writer<'a> {
    source: ExamplesWriter<'a>,
    target: ExamplesWriter<'a>,
}

impl<'a> Writer<'a> {
    fn new(cleaner: &'a Cleaner, tokenizer: &'a Tokenizer) -> Result<Self, Error> {
        let side = || ExamplesWriter::new(cleaner, tokenizer, Framing::Around);
        Ok(Self { source: side()?, target: side()? })
    }

    fn push(&mut self, pair: &Pair) -> Result<(), Error> {
        self.source.push(Text { text: pair.source.clone(), pair: None })?;
        self.target.push(Text { text: pair.target.clone(), pair: None })
    }

    fn finish(self) -> Result<PairExamples, Error> {
        Ok(PairExamples { source: self.source.finish()?, target: self.target.finish()? })
    }
}

struct HeldOutWriter<'a> {
    examples: Writer<'a>,
    references: Vec<String>,
}

impl<'a> HeldOutWriter<'a> {
    fn new(cleaner: &'a Cleaner, tokenizer: &'a Tokenizer) -> Result<Self, Error> {
        Ok(Self { examples: Writer::new(cleaner, tokenizer)?, references: Vec::new() })
    }

    fn push(&mut self, pair: Pair) -> Result<(), Error> {
        self.examples.push(&pair)?;
        self.references.push(pair.target);
        Ok(())
    }

    fn finish(self) -> Result<HeldOutPairs, Error> {
        Ok(HeldOutPairs { examples: self.examples.finish()?, references: self.references })
    }
}
