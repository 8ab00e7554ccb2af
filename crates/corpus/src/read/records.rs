//! Records of text files: JSON Lines, CSV and TSV.

use std::io::{BufRead, Read};
use std::path::Path;

use csv::{ErrorKind, StringRecord};
use serde_json::Value;

use super::decode::{BUFFER, TextReader};
use super::{column_missing, failure, malformed};
use crate::{Document, Error};

/// Rows of JSON Lines, split at LF alone: other line ends are white space or text of a row.
pub(super) struct JsonLines<R> {
    text: TextReader<R>,
    field: String,
    /// Rows read so far, blank ones too.
    read: u64,
}

impl<R: Read> JsonLines<R> {
    pub(super) fn new(text: TextReader<R>, field: String) -> Self {
        Self { text, field, read: 0 }
    }

    pub(super) fn text(&self) -> &TextReader<R> {
        &self.text
    }

    pub(super) fn next_document(&mut self, path: &Path) -> Result<Option<Document>, Error> {
        let mut row = String::new();
        loop {
            row.clear();
            self.text.next_document();
            let position = self.read + 1;
            if self.text.read_line(&mut row).map_err(|error| failure(path, position, error))? == 0 {
                return Ok(None);
            }
            self.read = position;
            if !row.trim().is_empty() {
                let text = text_of(&row, &self.field).map_err(|found| {
                    let expected = format!("an object with a string `{}` (corpus.text_field)", self.field);
                    malformed(path, position, found, expected)
                })?;
                return Ok(Some(Document { position, text }));
            }
        }
    }
}

/// The string `field` of a row, or what is there instead.
fn text_of(row: &str, field: &str) -> Result<String, String> {
    let value = serde_json::from_str(row).map_err(|error| {
        // serde_json counts lines within the row: the row's own number stands before the message.
        let message = error.to_string();
        let reason = message.split(" at line ").next().unwrap_or_default();
        format!("malformed JSON ({reason}, at byte {} of the row)", error.column())
    })?;
    let Value::Object(mut object) = value else {
        return Err(format!("{} instead of an object", kind(&value)));
    };
    match object.remove(field) {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(format!("`{field}` is {}", kind(&value))),
        None => Err(column_missing(field, object.keys().map(String::as_str))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Records of CSV or TSV under a header row. Both quote fields with `"`, which doubled stands for itself.
pub(super) struct Table<R> {
    records: csv::Reader<TextReader<R>>,
    record: StringRecord,
    column: usize,
    field: String,
    /// Records read so far, without the header.
    read: u64,
}

impl<R: Read> Table<R> {
    pub(super) fn new(text: TextReader<R>, delimiter: u8, field: &str, path: &Path) -> Result<Self, Error> {
        let mut records = csv::ReaderBuilder::new().delimiter(delimiter).buffer_capacity(BUFFER).from_reader(text);
        let header = records.headers().map_err(|error| table_error(path, 1, error))?;
        let column = match header.iter().position(|name| name == field) {
            Some(column) => column,
            // No header at all: an empty file, which has no records either.
            None if header.is_empty() => 0,
            None => {
                let expected = format!("a header row with the column `{field}` (corpus.text_field)");
                return Err(Error::Format {
                    path: path.to_owned(),
                    position: None,
                    found: column_missing(field, header.iter()),
                    expected,
                });
            }
        };
        Ok(Self { records, record: StringRecord::new(), column, field: field.to_owned(), read: 0 })
    }

    pub(super) fn text(&self) -> &TextReader<R> {
        self.records.get_ref()
    }

    pub(super) fn next_document(&mut self, path: &Path) -> Result<Option<Document>, Error> {
        self.records.get_mut().next_document();
        let position = self.read + 1;
        let more = self.records.read_record(&mut self.record).map_err(|error| table_error(path, position, error))?;
        if !more {
            return Ok(None);
        }
        self.read = position;
        match self.record.get(self.column) {
            Some(text) => Ok(Some(Document { position, text: text.to_owned() })),
            None => Err(malformed(path, position, "a short record", format!("the column `{}`", self.field))),
        }
    }
}

fn table_error(path: &Path, position: u64, error: csv::Error) -> Error {
    match error.into_kind() {
        ErrorKind::Io(error) => failure(path, position, error),
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map(|pos| format!(" on line {}", pos.line())).unwrap_or_default();
            malformed(path, position, format!("{len} fields{line}"), format!("{expected_len}, as in the header row"))
        }
        other => malformed(path, position, format!("{other:?}"), "a record of delimited fields"),
    }
}
