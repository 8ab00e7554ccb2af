//! Texts, or pairs of texts, and their labels.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::records::Records;
use crate::read::{Record, in_brackets, malformed, string, string_of, value_of};
use crate::{Encoding, Error};

/// Which fields (JSON Lines) or columns (CSV, TSV) of a label file hold what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The text.
    pub text: String,
    /// A second text, where a pair of texts is labelled.
    pub pair: Option<String>,
    /// The label; `None` where none is read.
    pub label: Option<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { text: "text".into(), pair: None, label: Some("label".into()) }
    }
}

impl Fields {
    /// The setting that names a field of a label file. Other files, those without labels, have settings of their own, or the
    /// model says how their fields are named.
    fn key(&self, key: &'static str) -> Option<&'static str> {
        self.label.as_ref().map(|_| key)
    }
}

/// Whether every row must have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// A row without one is an error.
    Required,
    /// A row may lack it: no such field, null, or nothing but white space.
    Optional,
}

/// An example of a label file.
#[derive(Debug, Clone)]
pub struct Row {
    /// Where it stands, from 1: the line (JSON Lines) or the record under the header (CSV, TSV).
    pub number: u64,
    /// The text, as read; may be empty.
    pub text: String,
    /// The second text, where [`Fields::pair`] names one.
    pub pair: Option<String>,
    /// The label, without white space at its ends. Numbers and booleans are as they are written: `1`, `true`.
    pub label: Option<String>,
    /// All fields of the row, those above too.
    pub record: Record,
}

/// Opens a label file: `.jsonl`, `.ndjson`, `.csv` or `.tsv`, also with `.gz` or `.zst` behind.
///
/// Rows are read as [`documents`](crate::documents) reads them; a byte order mark wins over `encoding`.
///
/// # Errors
/// The file cannot be opened, has another name, or is a table that lacks a column. What is wrong with a row comes out of
/// the iterator, as its last item.
pub fn open(path: &Path, fields: &Fields, labels: Labels, encoding: Encoding) -> Result<Rows, Error> {
    let records = Records::open(path, encoding)?;
    records.check_column(&fields.text, fields.key(TEXT_KEY))?;
    if let Some(pair) = &fields.pair {
        records.check_column(pair, fields.key(PAIR_KEY))?;
    }
    if let (Some(label), Labels::Required) = (&fields.label, labels) {
        records.check_column(label, fields.key(LABEL_KEY))?;
    }
    Ok(Rows { records, fields: fields.clone(), labels, finished: false })
}

/// Rows of JSON Lines from `source` (standard input, say), which errors call `name`.
///
/// # Errors
/// The beginning cannot be read.
pub fn from_reader(
    source: impl Read + Send + 'static,
    name: &Path,
    fields: &Fields,
    labels: Labels,
    encoding: Encoding,
) -> Result<Rows, Error> {
    let records = Records::from_reader(source, name, encoding)?;
    Ok(Rows { records, fields: fields.clone(), labels, finished: false })
}

/// Opens a file of plain text, whatever it is named, also with `.gz` or `.zst` behind: each line, blank ones too, is a row with
/// its text in the field `text`, and nothing else.
///
/// # Errors
/// The file cannot be opened. What is wrong further on comes out of the iterator, as its last item.
pub fn open_lines(path: &Path, text: &str, encoding: Encoding) -> Result<Rows, Error> {
    Ok(Rows::of_lines(Records::open_lines(path, text, encoding)?, text))
}

/// The same from `source` (standard input, say), which errors call `name`.
///
/// # Errors
/// The beginning cannot be read.
pub fn lines_from_reader(
    source: impl Read + Send + 'static,
    name: &Path,
    text: &str,
    encoding: Encoding,
) -> Result<Rows, Error> {
    Ok(Rows::of_lines(Records::lines_from_reader(source, name, text, encoding)?, text))
}

/// The settings that name the fields.
const TEXT_KEY: &str = "task.text_field";
const PAIR_KEY: &str = "task.pair_field";
const LABEL_KEY: &str = "task.label_field";

/// The rows of a label file, in their order; ends after the first error.
#[derive(Debug)]
pub struct Rows {
    records: Records,
    fields: Fields,
    labels: Labels,
    finished: bool,
}

impl Rows {
    fn of_lines(records: Records, text: &str) -> Self {
        let fields = Fields { text: text.to_owned(), pair: None, label: None };
        Self { records, fields, labels: Labels::Optional, finished: false }
    }

    fn next_row(&mut self) -> Result<Option<Row>, Error> {
        let Some((number, record)) = self.records.next_record()? else { return Ok(None) };
        let refuse = |expected: String| {
            let path = self.records.path();
            move |found: String| malformed(path, number, found, expected)
        };
        let text_of = |field: &str, key| {
            let key = in_brackets(self.fields.key(key));
            string_of(&record, field).map_err(refuse(format!("a string `{field}`{key}")))
        };
        let text = text_of(&self.fields.text, TEXT_KEY)?;
        let pair = self.fields.pair.as_deref().map(|field| text_of(field, PAIR_KEY)).transpose()?;
        let label = match &self.fields.label {
            None => None,
            Some(field) => label_of(&record, field, self.labels)
                .map_err(refuse(format!("a label that is a string, number or boolean in `{field}` ({LABEL_KEY})")))?,
        };
        Ok(Some(Row { number, text, pair, label, record }))
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_row();
        self.finished = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl std::iter::FusedIterator for Rows {}

/// The label in `field`, or what is there instead.
fn label_of(record: &Record, field: &str, labels: Labels) -> Result<Option<String>, String> {
    let optional = labels == Labels::Optional;
    if optional && record.get(field).is_none_or(|value| value.get() == "null") {
        return Ok(None);
    }
    let value = value_of(record, field)?;
    if value.starts_with(['t', 'f', '-']) || value.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(Some(value.to_owned()));
    }
    let label = string(value).map_err(|found| format!("`{field}` is {found}"))?;
    match (label.trim().is_empty(), optional) {
        (false, _) => Ok(Some(label.trim().to_owned())),
        (true, true) => Ok(None),
        (true, false) => Err(format!("`{field}` is empty")),
    }
}
