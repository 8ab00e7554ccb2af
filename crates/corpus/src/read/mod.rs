//! Files to documents: which files there are, what encoding they are in, and what a document is in each format.
//!
//! Everything streams: a file is read, decompressed and decoded by the buffer, a Parquet file by the page.

mod decode;
mod encoding;
mod inputs;
mod lines;
mod parquet;
mod records;
mod source;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

pub use encoding::Encoding;
pub use inputs::{Compression, Format, Input, inputs, question_inputs};
pub use records::Record;
pub(crate) use {
    decode::{LineEnds, TextReader},
    inputs::inner_extension,
    lines::Lines,
    records::{JsonLines, Table, reason, string, string_of, value_of},
    source::Source,
};

use self::parquet::Column;
use crate::{Document, Error, TextFields, Unit};
use decode::Fault;

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// What a document is in plain text.
    pub unit: Unit,
    /// The fields (JSON Lines) or columns (CSV, TSV, Parquet) that hold text, each a document.
    pub text_field: TextFields,
    /// The encoding of files without a byte order mark, all but Parquet.
    pub encoding: Encoding,
}

/// Opens a file for reading its documents, in their order.
///
/// - **Encoding** (all but Parquet): a byte order mark (UTF-8, UTF-16) wins over `options.encoding`. Undecodable
///   characters become U+FFFD and are counted; more than 0.1 % of them in a file is an error, told at its end or, once
///   2^20 characters have been read, as soon as there are more than 1 %.
/// - **Plain text**: CRLF, CR and LF end a line, no other character does; in a document they are LF. As lines, blank ones
///   are documents too. Paragraphs are lines up to blank ones (nothing but white space), joined by LF. A whole file is
///   one document, at line 1. A line end at the end of the file begins no further line.
/// - **JSON Lines**: an object a row, rows ended by LF alone, blank ones skipped.
/// - **CSV, TSV**: a header row, then records of as many fields, quoted by `"` where they hold a delimiter, line end or `"`.
/// - **Parquet**: a column of strings, without nulls.
///
/// Control characters, NUL among them, pass as they are. A file of no bytes has no documents, whatever its name says of its
/// compression (Parquet aside, whose files have a footer even without rows). One document holds 256 MiB at
/// most (a Parquet value: whatever its page does).
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be opened or decompressed, [`Error::Format`] where its header lacks the text column
/// or it is a compressed Parquet file. What is wrong further on comes out of the iterator, as its last item.
///
/// # Examples
///
/// ```
/// use grulm_corpus::{Encoding, ReadOptions, Unit, documents, inputs};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a.txt"), "One line.\r\nAnother line.\r\n")?;
///
/// let options = ReadOptions { unit: Unit::Line, text_field: "text".into(), encoding: Encoding::UTF_8 };
/// let mut texts = Vec::new();
/// for input in inputs("corpus.train", &[folder.path().display().to_string()])? {
///     for document in documents(&input, &options)? {
///         texts.push(document?.text);
///     }
/// }
/// assert_eq!(texts, ["One line.", "Another line."]);
/// # Ok(())
/// # }
/// ```
pub fn documents(input: &Input, options: &ReadOptions) -> Result<Documents, Error> {
    let path = &input.path;
    let text = |line_ends| {
        Source::open(path, input.compression)
            .and_then(|source| TextReader::new(source, options.encoding, line_ends))
            .map_err(|error| failure(path, 1, error))
    };
    let table = |delimiter| {
        let table = Table::new(text(LineEnds::Keep)?, delimiter, path)?;
        let fields = options.text_field.present(|field| table.has_column(field));
        let column = |field: &&str| table.column(field, Some("text_field"), path);
        let columns = fields.iter().map(column).collect::<Result<_, _>>()?;
        Ok::<_, Error>(Reading::Table(table, columns))
    };
    let reading = match input.format {
        Format::Text => Reading::Lines(Lines::new(text(LineEnds::Fold)?, options.unit)),
        Format::JsonLines => Reading::JsonLines(JsonLines::new(text(LineEnds::Keep)?), options.text_field.clone()),
        Format::Csv => table(b',')?,
        Format::Tsv => table(b'\t')?,
        Format::Parquet if input.compression != Compression::None => {
            return Err(Error::Format {
                path: path.clone(),
                position: None,
                found: "a Parquet file that is compressed as a whole".into(),
                expected: "a .parquet file, which is compressed inside".into(),
            });
        }
        Format::Parquet => Reading::Columns(Column::open(path, &options.text_field)?),
        Format::Json => {
            return Err(Error::Format {
                path: path.clone(),
                position: None,
                found: "one JSON document".into(),
                expected: "a JSON object a line, in a file named .jsonl".into(),
            });
        }
    };
    Ok(Documents { path: path.clone(), reading: Box::new(reading), waiting: VecDeque::new(), finished: false })
}

/// The documents of a file; ends after the first error.
pub struct Documents {
    path: PathBuf,
    reading: Box<Reading>,
    /// Documents of the record that was read last.
    waiting: VecDeque<Document>,
    finished: bool,
}

enum Reading {
    Lines(Lines<Source>),
    /// With the fields that hold text.
    JsonLines(JsonLines<Source>, TextFields),
    /// With the indices of the columns that hold text.
    Table(Table<Source>, Vec<usize>),
    /// One or more, with as many records.
    Columns(Vec<Column>),
}

impl Documents {
    /// Undecodable characters that became U+FFFD so far.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.text().map_or(0, TextReader::replaced)
    }

    /// Bytes of the file on disk (as compressed) that have been read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        match &*self.reading {
            Reading::Columns(columns) => columns.first().map_or(0, Column::bytes_read),
            _ => self.text().map_or(0, |text| text.source().bytes_read()),
        }
    }

    fn text(&self) -> Option<&TextReader<Source>> {
        match &*self.reading {
            Reading::Lines(lines) => Some(lines.text()),
            Reading::JsonLines(rows, _) => Some(rows.text()),
            Reading::Table(table, _) => Some(table.text()),
            Reading::Columns(_) => None,
        }
    }
}

impl Documents {
    fn next_document(&mut self) -> Result<Option<Document>, Error> {
        let Self { path, reading, waiting, .. } = self;
        if waiting.is_empty() {
            match &mut **reading {
                Reading::Lines(lines) => return lines.next_document(path),
                Reading::JsonLines(rows, fields) => rows.next_documents(fields, path, waiting)?,
                Reading::Table(table, columns) => table.next_documents(columns, path, waiting)?,
                Reading::Columns(columns) => {
                    for column in columns {
                        waiting.extend(column.next_document(path)?);
                    }
                }
            }
        }
        Ok(waiting.pop_front())
    }
}

impl Iterator for Documents {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_document();
        self.finished = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl std::iter::FusedIterator for Documents {}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("path", &self.path).field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// What a failed read of text means: something about the text, or about the file.
pub(crate) fn failure(path: &Path, position: u64, error: io::Error) -> Error {
    match error.downcast::<Fault>() {
        Ok(fault) => Error::Format {
            path: path.to_owned(),
            position: fault.in_document.then_some(position),
            found: fault.found,
            expected: fault.expected,
        },
        Err(source) => Error::Io { path: path.to_owned(), source },
    }
}

pub(crate) fn malformed(path: &Path, position: u64, found: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), position: Some(position), found: found.into(), expected: expected.into() }
}

/// The setting that names a field, after what it names.
pub(crate) fn in_brackets(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!(" ({key})"))
}

/// Says that a field or column is missing, and which there are.
fn column_missing<'a>(field: &str, present: impl Iterator<Item = &'a str>) -> String {
    /// Names that are listed, and the characters of each.
    const LISTED: usize = 20;
    const CHARACTERS: usize = 40;
    let mut names: Vec<_> = present.take(LISTED + 1).collect();
    let more = if names.len() > LISTED { ", ..." } else { "" };
    names.truncate(LISTED);
    let names: Vec<_> =
        names.iter().map(|name| format!("`{}`", name.chars().take(CHARACTERS).collect::<String>())).collect();
    if names.is_empty() { format!("no `{field}`") } else { format!("no `{field}` beside {}{more}", names.join(", ")) }
}
