//! Files of named fields, whichever way they are written.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::value::to_raw_value;

use crate::read::{JsonLines, LineEnds, Lines, Record, Source, Table, TextReader, failure, malformed};
use crate::{Encoding, Error, Format, Input, Unit};

type Bytes = Box<dyn Read + Send>;

/// The records of JSON Lines, CSV or TSV, or the lines of plain text.
pub(super) struct Records {
    path: PathBuf,
    reading: Box<Reading>,
    /// Its end has been reached.
    ended: bool,
}

enum Reading {
    JsonLines(JsonLines<Bytes>),
    Table(Table<Bytes>),
    /// With the field that a line is.
    Lines(Lines<Bytes>, String),
}

/// Whether a file is named as one of rows with fields, so that its lines are not texts.
#[must_use]
pub fn is_named_as_rows(path: &Path) -> bool {
    matches!(Input::named(path).format, Format::JsonLines | Format::Csv | Format::Tsv)
}

impl Records {
    /// Opens a file that is named as one of these formats.
    pub(super) fn open(path: &Path, encoding: Encoding) -> Result<Self, Error> {
        let input = Input::named(path);
        let text = || text(&input, encoding, LineEnds::Keep);
        let reading = match input.format {
            Format::JsonLines => Reading::JsonLines(JsonLines::new(text()?)),
            Format::Csv => Reading::Table(Table::new(text()?, b',', path)?),
            Format::Tsv => Reading::Table(Table::new(text()?, b'\t', path)?),
            Format::Text | Format::Parquet | Format::Json => {
                return Err(Error::Format {
                    path: path.to_owned(),
                    position: None,
                    found: "the name of another kind of file".into(),
                    expected: "a file named .jsonl, .ndjson, .csv or .tsv, also with .gz or .zst behind; of a folder with others, name \
                               those of these kinds (plain lines are read by `predict --lines` and as the two sides of translations)"
                        .into(),
                });
            }
        };
        Ok(Self::new(path, reading))
    }

    fn new(path: &Path, reading: Reading) -> Self {
        Self { path: path.to_owned(), reading: Box::new(reading), ended: false }
    }

    /// Reads JSON Lines from `source`, which errors call `name`.
    pub(super) fn from_reader(
        source: impl Read + Send + 'static,
        name: &Path,
        encoding: Encoding,
    ) -> Result<Self, Error> {
        let text = TextReader::new(Box::new(source) as Bytes, encoding, LineEnds::Keep)
            .map_err(|error| failure(name, 1, error))?;
        Ok(Self::new(name, Reading::JsonLines(JsonLines::new(text))))
    }

    /// Opens a file of plain text, whatever it is named: each line is a record with the one field `field`.
    pub(super) fn open_lines(path: &Path, field: &str, encoding: Encoding) -> Result<Self, Error> {
        let text = text(&Input::named(path), encoding, LineEnds::Fold)?;
        Ok(Self::lines(text, path, field))
    }

    /// The same from `source`, which errors call `name`.
    pub(super) fn lines_from_reader(
        source: impl Read + Send + 'static,
        name: &Path,
        field: &str,
        encoding: Encoding,
    ) -> Result<Self, Error> {
        let text = TextReader::new(Box::new(source) as Bytes, encoding, LineEnds::Fold)
            .map_err(|error| failure(name, 1, error))?;
        Ok(Self::lines(text, name, field))
    }

    fn lines(text: TextReader<Bytes>, path: &Path, field: &str) -> Self {
        Self::new(path, Reading::Lines(Lines::new(text, Unit::Line), field.to_owned()))
    }

    /// The next record, under its 1-based number. At the end of the file it is said how much of it could not be decoded.
    pub(super) fn next_record(&mut self) -> Result<Option<(u64, Record)>, Error> {
        let record = self.read()?;
        if record.is_none() && !self.ended {
            self.ended = true;
            warn_of_replaced(&self.path, self.replaced());
        }
        Ok(record)
    }

    fn read(&mut self) -> Result<Option<(u64, Record)>, Error> {
        match &mut *self.reading {
            Reading::JsonLines(rows) => rows.next_record(&self.path),
            Reading::Table(table) => table.next_record(&self.path),
            Reading::Lines(lines, field) => {
                let Some(line) = lines.next_document(&self.path)? else { return Ok(None) };
                let refused =
                    |error: serde_json::Error| malformed(&self.path, line.position, error.to_string(), "text");
                let value = to_raw_value(&line.text).map_err(refused)?;
                Ok(Some((line.position, Record::from_iter([(field.clone(), value)]))))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that a table has the column `field`, which a setting may name; JSON Lines may have it row by row.
    pub(super) fn check_column(&self, field: &str, key: Option<&str>) -> Result<(), Error> {
        match &*self.reading {
            Reading::JsonLines(_) | Reading::Lines(..) => Ok(()),
            Reading::Table(table) => table.column(field, key, &self.path).map(drop),
        }
    }

    /// Undecodable characters that became U+FFFD so far.
    fn replaced(&self) -> u64 {
        match &*self.reading {
            Reading::JsonLines(rows) => rows.text().replaced(),
            Reading::Table(table) => table.text().replaced(),
            Reading::Lines(lines, _) => lines.text().replaced(),
        }
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Says how many characters of a file could not be decoded, where there are any.
pub fn warn_of_replaced(path: &Path, replaced: u64) {
    if replaced > 0 {
        tracing::warn!(
            "{}: {replaced} undecodable characters became U+FFFD: is it in another encoding (task.encoding, --encoding)?",
            path.display()
        );
    }
}

fn text(input: &Input, encoding: Encoding, line_ends: LineEnds) -> Result<TextReader<Bytes>, Error> {
    Source::open(&input.path, input.compression)
        .and_then(|source| TextReader::new(Box::new(source) as Bytes, encoding, line_ends))
        .map_err(|error| failure(&input.path, 1, error))
}
