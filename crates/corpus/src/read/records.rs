//! Records of text files: JSON Lines, CSV and TSV.

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::path::Path;

use csv::{ErrorKind, StringRecord};
use indexmap::IndexMap;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};

use super::decode::{BUFFER, TextReader};
use super::{column_missing, failure, in_brackets, malformed};
use crate::{Document, Error, TextFields};

/// The fields of a record by name, in their order, each as JSON that keeps what was written: `1.50` and numbers of any
/// length stay as they are. Fields of CSV and TSV are strings. Of fields of one name, the last counts in JSON, the first
/// in a table.
pub type Record = IndexMap<String, Box<RawValue>>;

/// Rows of JSON Lines, split at LF alone: other line ends are white space or text of a row.
pub(crate) struct JsonLines<R> {
    text: TextReader<R>,
    row: String,
    /// Rows read so far, blank ones too.
    read: u64,
}

impl<R: Read> JsonLines<R> {
    pub(crate) fn new(text: TextReader<R>) -> Self {
        Self { text, row: String::new(), read: 0 }
    }

    pub(crate) fn text(&self) -> &TextReader<R> {
        &self.text
    }

    /// The next row that is not blank, under its 1-based number, in which blank ones count.
    pub(crate) fn next_record(&mut self, path: &Path) -> Result<Option<(u64, Record)>, Error> {
        loop {
            self.row.clear();
            self.text.next_document();
            let position = self.read + 1;
            if self.text.read_line(&mut self.row).map_err(|error| failure(path, position, error))? == 0 {
                return Ok(None);
            }
            self.read = position;
            if !self.row.trim().is_empty() {
                let row = self.row.trim_end_matches('\n');
                let record = record_of(row).map_err(|found| malformed(path, position, found, "a JSON object"))?;
                return Ok(Some((position, record)));
            }
        }
    }

    /// The strings `fields` of the next row, those of them that it has.
    pub(super) fn next_documents(
        &mut self,
        fields: &TextFields,
        path: &Path,
        documents: &mut VecDeque<Document>,
    ) -> Result<(), Error> {
        let Some((position, record)) = self.next_record(path)? else { return Ok(()) };
        for field in fields.present(|field| record.contains_key(field)) {
            let text = string_of(&record, field)
                .map_err(|found| malformed(path, position, found, format!("a string {fields} (text_field)")))?;
            documents.push_back(Document { position, text });
        }
        Ok(())
    }
}

/// The object that a row is, or what is there instead.
fn record_of(row: &str) -> Result<Record, String> {
    let broken = |error: serde_json::Error| {
        // The row's number stands before the message.
        format!("malformed JSON ({}, at byte {} of the row)", reason(&error), error.column())
    };
    let start = row.trim_start();
    if start.starts_with('{') {
        return serde_json::from_str(row).map_err(broken);
    }
    serde_json::from_str::<IgnoredAny>(row).map_err(broken)?;
    Err(format!("{} instead of an object", kind(start)))
}

/// What serde_json says, without where.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The value of `field`, or what is there instead.
pub(crate) fn value_of<'a>(record: &'a Record, field: &str) -> Result<&'a str, String> {
    record.get(field).map(|value| value.get()).ok_or_else(|| column_missing(field, record.keys().map(String::as_str)))
}

/// The string that `field` is, or what is there instead.
pub(crate) fn string_of(record: &Record, field: &str) -> Result<String, String> {
    string(value_of(record, field)?).map_err(|found| format!("`{field}` is {found}"))
}

/// The string that a JSON value is, or what it is instead.
pub(crate) fn string(value: &str) -> Result<String, String> {
    if value.starts_with('"') {
        serde_json::from_str(value).map_err(|error| format!("malformed JSON ({})", reason(&error)))
    } else {
        Err(kind(value).into())
    }
}

/// What a JSON value is, by its first character.
fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Records of CSV or TSV under a header row. Both quote fields with `"`, which doubled stands for itself. Programs that write TSV
/// without quoting leave quotation marks that nothing closes, where many rows would become one: hence a field of TSV does not hold
/// tabs and line ends together.
pub(crate) struct Table<R> {
    records: csv::Reader<TextReader<R>>,
    is_tsv: bool,
    header: StringRecord,
    record: StringRecord,
    /// Records read so far, without the header.
    read: u64,
}

impl<R: Read> Table<R> {
    pub(crate) fn new(text: TextReader<R>, delimiter: u8, path: &Path) -> Result<Self, Error> {
        let mut records = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true) // what is wrong with a length is said here
            .buffer_capacity(BUFFER)
            .from_reader(text);
        let header = records.headers().map_err(|error| table_error(path, 1, error))?.clone();
        Ok(Self { records, is_tsv: delimiter == b'\t', header, record: StringRecord::new(), read: 0 })
    }

    pub(crate) fn text(&self) -> &TextReader<R> {
        self.records.get_ref()
    }

    /// Whether there is a column `field`.
    pub(super) fn has_column(&self, field: &str) -> bool {
        self.header.iter().any(|name| name == field)
    }

    /// The index of the column `field`, which a setting may name. An empty file has every column, and no record.
    pub(crate) fn column(&self, field: &str, key: Option<&str>, path: &Path) -> Result<usize, Error> {
        match self.header.iter().position(|name| name == field) {
            Some(column) => Ok(column),
            None if self.header.is_empty() => Ok(0),
            None => {
                let parted = if self.header.len() == 1 && self.header[0].contains(';') {
                    "; columns are parted by commas in .csv files and by tabs in .tsv files, not by semicolons"
                } else {
                    ""
                };
                Err(Error::Format {
                    path: path.to_owned(),
                    position: None,
                    found: column_missing(field, self.header.iter()),
                    expected: format!("a header row with the column `{field}`{}{parted}", in_brackets(key)),
                })
            }
        }
    }

    /// The next record, under its 1-based number.
    fn next_row(&mut self, path: &Path) -> Result<Option<(u64, &StringRecord)>, Error> {
        self.records.get_mut().next_document();
        let position = self.read + 1;
        let more = self.records.read_record(&mut self.record).map_err(|error| table_error(path, position, error))?;
        self.read = position;
        if !more {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        let runs_on = |field: &str| field.contains('\t') && field.contains('\n');
        if self.is_tsv && self.record.iter().any(runs_on) {
            return Err(malformed(
                path,
                position,
                format!("a field in quotation marks, on line {line}, that goes on over tabs and line ends"),
                "a field that begins with a quotation mark to stand in quotation marks, its own doubled: \"\"\"Yes\"\", he said\"",
            ));
        }
        let (fields, expected) = (self.record.len(), self.header.len());
        if fields != expected {
            let found = format!("{fields} fields on line {line}");
            return Err(malformed(path, position, found, format!("{expected}, as in the header row")));
        }
        Ok(Some((position, &self.record)))
    }

    /// The next record, under its 1-based number, by the names in the header.
    pub(crate) fn next_record(&mut self, path: &Path) -> Result<Option<(u64, Record)>, Error> {
        let Some((position, _)) = self.next_row(path)? else { return Ok(None) };
        let mut record = Record::with_capacity(self.header.len());
        for (name, field) in self.header.iter().zip(&self.record) {
            let value = to_raw_value(field).map_err(|error| malformed(path, position, error.to_string(), "text"))?;
            record.entry(name.to_owned()).or_insert(value);
        }
        Ok(Some((position, record)))
    }

    /// The texts of `columns` of the next record.
    pub(super) fn next_documents(
        &mut self,
        columns: &[usize],
        path: &Path,
        documents: &mut VecDeque<Document>,
    ) -> Result<(), Error> {
        let Some((position, record)) = self.next_row(path)? else { return Ok(()) };
        for &column in columns {
            let text = record.get(column).unwrap_or_default().to_owned();
            documents.push_back(Document { position, text });
        }
        Ok(())
    }
}

fn table_error(path: &Path, position: u64, error: csv::Error) -> Error {
    match error.into_kind() {
        ErrorKind::Io(error) => failure(path, position, error),
        other => malformed(path, position, format!("{other:?}"), "a record of delimited fields"),
    }
}
