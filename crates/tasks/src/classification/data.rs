//! Label files as tokens and numbers of labels.

use std::{collections::BTreeMap, path::Path};

use grulm_config::Invalid;
use grulm_corpus::{
    Cleaner, Encoding, ReadOptions, Tokenizer, documents, inputs,
    labelled::{self, Fields, Labels, Row},
};
use grulm_durable::digest::hex;
use sha2::{Digest as _, Sha256};

use super::config::ClassificationConfig;
use crate::{Error, Examples, ExamplesWriter, Framing, Text, examples::is_held_out};

/// Texts with their labels.
#[derive(Debug)]
pub struct LabelledTexts {
    /// The texts.
    pub examples: Examples,
    /// The label of each, as its place in the list of labels.
    pub labels: Vec<u32>,
}

/// What a classifier learns from, and is chosen by.
#[derive(Debug)]
pub struct TrainingData {
    /// The labels of the training texts, sorted.
    pub labels: Vec<String>,
    /// The texts to learn from.
    pub train: LabelledTexts,
    /// The texts that choose.
    pub valid: Option<LabelledTexts>,
}

impl TrainingData {
    /// A SHA-256 of texts, labels and their names: what a resumed run must find again.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for label in &self.labels {
            hasher.update((label.len() as u64).to_le_bytes());
            hasher.update(label);
        }
        for texts in [Some(&self.train), self.valid.as_ref()].into_iter().flatten() {
            hasher.update(texts.examples.sha256());
            for label in &texts.labels {
                hasher.update(label.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }
}

/// Reads the training and validation files of `config`.
///
/// # Errors
/// When a file cannot be found or read or has a row that does not fit, there are fewer than two labels, or a label has no text
/// left to learn from.
pub fn read_training_data(
    config: &ClassificationConfig,
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<TrainingData, Error> {
    let mut names = Names::default();
    let (mut train, mut valid) = (Writer::new(cleaner, tokenizer)?, Writer::new(cleaner, tokenizer)?);
    for_each_row("task.train", &config.train, &config.fields(), config.encoding()?, |_, row| {
        let label = names.number(row.label.as_deref().unwrap_or_default());
        if is_held_out(&row.text, config.valid_fraction) { &mut valid } else { &mut train }.push(text(&row), label)
    })?;
    let (labels, places) = names.sorted();
    if labels.len() < 2 {
        let allowed =
            format!("label files with at least two labels (field `{}`); found {labels:?}", config.label_field);
        return Err(Invalid::new("task.train", &config.train, allowed).into());
    }
    let (mut train, mut valid) = (train.finish()?, valid.finish()?);
    let allowed = "a share that leaves texts to learn from";
    Invalid::check("task.valid_fraction", config.valid_fraction, !train.examples.is_empty(), allowed)?;
    for label in train.labels.iter_mut().chain(&mut valid.labels) {
        *label = places[*label as usize];
    }
    let mut taught = vec![false; labels.len()];
    train.labels.iter().for_each(|&label| taught[label as usize] = true);
    if let Some((label, _)) = labels.iter().zip(taught).find(|(_, taught)| !taught) {
        let allowed = format!("a share that leaves texts of every label to learn from; of {label:?} it leaves none");
        return Err(Invalid::new("task.valid_fraction", config.valid_fraction, allowed).into());
    }
    if !config.valid.is_empty() {
        let (fields, encoding) = (config.fields(), config.encoding()?);
        valid = read_labelled("task.valid", &config.valid, &fields, encoding, &labels, cleaner, tokenizer)?;
        Invalid::check("task.valid", &config.valid, !valid.examples.is_empty(), "files that hold rows")?;
    }
    Ok(TrainingData { labels, train, valid: (!valid.examples.is_empty()).then_some(valid) })
}

/// The text of the training files and of more files, as one stream for language modelling; and, where there is validation data,
/// its text, which is no part of the first.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit.
pub fn read_text(
    config: &ClassificationConfig,
    more: (&str, &[String]),
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<(Examples, Option<Examples>), Error> {
    let writer = || ExamplesWriter::new(cleaner, tokenizer, Framing::After);
    let (mut train, mut valid) = (writer()?, writer()?);
    let push = |writer: &mut ExamplesWriter<'_>, row: &Row| {
        let texts = [Some(&row.text), row.pair.as_ref()].into_iter().flatten();
        texts.map(|text| Text { text: text.clone(), pair: None }).try_for_each(|text| writer.push(text))
    };
    let (fields, encoding) = (config.fields(), config.encoding()?);
    for_each_row("task.train", &config.train, &fields, encoding, |_, row| {
        push(if is_held_out(&row.text, config.valid_fraction) { &mut valid } else { &mut train }, &row)
    })?;
    if !config.valid.is_empty() {
        for_each_row("task.valid", &config.valid, &fields, encoding, |_, row| push(&mut valid, &row))?;
    }
    let (key, patterns) = more;
    if !patterns.is_empty() {
        let options = ReadOptions { unit: cleaner.unit(), text_field: config.text_field.as_str().into(), encoding };
        for input in inputs(key, patterns)? {
            let mut documents = documents(&input, &options)?;
            for document in documents.by_ref() {
                train.push(Text { text: document?.text, pair: None })?;
            }
            labelled::warn_of_replaced(&input.path, documents.replaced());
        }
    }
    let valid = valid.finish()?;
    Ok((train.finish()?, (!valid.is_empty()).then_some(valid)))
}

/// Reads label files whose labels all stand in `labels`. `key` is what errors call the patterns.
///
/// # Errors
/// When a file cannot be found or read, or has a row that does not fit.
pub fn read_labelled(
    key: &str,
    patterns: &[String],
    fields: &Fields,
    encoding: Encoding,
    labels: &[String],
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<LabelledTexts, Error> {
    let mut writer = Writer::new(cleaner, tokenizer)?;
    for_each_row(key, patterns, fields, encoding, |path, row| {
        let label = number_of(labels, path, &row)?;
        writer.push(text(&row), label)
    })?;
    writer.finish()
}

/// The place of a row's label in `labels`.
///
/// # Errors
/// When it is not among them.
pub fn number_of(labels: &[String], path: &Path, row: &Row) -> Result<u32, Error> {
    let label = row.label.as_deref().unwrap_or_default();
    let place = labels.iter().position(|own| own == label).ok_or_else(|| grulm_corpus::Error::Format {
        path: path.to_owned(),
        position: Some(row.number),
        found: format!("label {label:?}"),
        expected: format!("a label of the training data: {}", list(labels)),
    })?;
    Ok(place as u32)
}

/// A few of many labels.
fn list(labels: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = labels.iter().take(SHOWN).map(|label| format!("{label:?}")).collect::<Vec<_>>().join(", ");
    match labels.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// The text, or two, of a row.
#[must_use]
pub fn text(row: &Row) -> Text {
    Text { text: row.text.clone(), pair: row.pair.clone() }
}

fn for_each_row(
    key: &str,
    patterns: &[String],
    fields: &Fields,
    encoding: Encoding,
    mut each: impl FnMut(&Path, Row) -> Result<(), Error>,
) -> Result<(), Error> {
    for input in inputs(key, patterns)? {
        for row in labelled::open(&input.path, fields, Labels::Required, encoding)? {
            each(&input.path, row?)?;
        }
    }
    Ok(())
}

/// Labels by number, in the order in which they come.
#[derive(Default)]
struct Names(BTreeMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        match self.0.get(name) {
            Some(&number) => number,
            None => *self.0.entry(name.to_owned()).or_insert(next),
        }
    }

    /// The names, sorted, and for each number its place among them.
    fn sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut places = vec![0; self.0.len()];
        for (place, &number) in self.0.values().enumerate() {
            places[number as usize] = place as u32;
        }
        (self.0.into_keys().collect(), places)
    }
}

struct Writer<'a> {
    examples: ExamplesWriter<'a>,
    labels: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(cleaner: &'a Cleaner, tokenizer: &'a Tokenizer) -> Result<Self, Error> {
        Ok(Self { examples: ExamplesWriter::new(cleaner, tokenizer, Framing::Around)?, labels: Vec::new() })
    }

    fn push(&mut self, text: Text, label: u32) -> Result<(), Error> {
        self.labels.push(label);
        self.examples.push(text)
    }

    fn finish(self) -> Result<LabelledTexts, Error> {
        Ok(LabelledTexts { examples: self.examples.finish()?, labels: self.labels })
    }
}
