//! Sentences and their translations.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::records::{Records, warn_of_replaced};
use crate::read::{malformed, string_of};
use crate::{Documents, Encoding, Error, Format, Input, ReadOptions, Unit, documents};

/// Which fields (JSON Lines) or columns (CSV, TSV) hold the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairFields {
    /// What is translated.
    pub source: String,
    /// Its translation.
    pub target: String,
}

impl Default for PairFields {
    fn default() -> Self {
        Self { source: "source".into(), target: "target".into() }
    }
}

/// A sentence and its translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Where it stands, from 1: the line, or the record under the header (CSV, TSV).
    pub number: u64,
    /// What is translated; may be empty.
    pub source: String,
    /// Its translation; may be empty.
    pub target: String,
}

/// Opens a file of pairs: `.jsonl`, `.ndjson`, `.csv` or `.tsv`, also with `.gz` or `.zst` behind.
///
/// # Errors
/// The file cannot be opened, has another name, or is a table that lacks a column. What is wrong with a row comes out of
/// the iterator, as its last item.
pub fn open_pairs(path: &Path, fields: &PairFields, encoding: Encoding) -> Result<Pairs, Error> {
    let records = Records::open(path, encoding)?;
    records.check_column(&fields.source, Some(SOURCE_KEY))?;
    records.check_column(&fields.target, Some(TARGET_KEY))?;
    Ok(Pairs { reading: Reading::Records(records, fields.clone()), finished: false })
}

/// Opens two files of plain text (also with `.gz` or `.zst` behind), in which a line of one translates the same line of the
/// other.
///
/// # Errors
/// A file cannot be opened. What is wrong further on comes out of the iterator, as its last item; that one file has more
/// lines than the other, after the last line of the shorter one.
pub fn open_parallel(source: &Path, target: &Path, encoding: Encoding) -> Result<Pairs, Error> {
    let options = ReadOptions { unit: Unit::Line, text_field: "".into(), encoding };
    let open = |path: &Path| {
        let input = Input { format: Format::Text, ..Input::named(path) };
        Ok::<_, Error>(Side { path: path.to_owned(), lines: documents(&input, &options)? })
    };
    Ok(Pairs { reading: Reading::Parallel(open(source)?, open(target)?), finished: false })
}

/// The settings that name the fields.
const SOURCE_KEY: &str = "task.source_field";
const TARGET_KEY: &str = "task.target_field";

/// Pairs, in the order of their file; ends after the first error.
#[derive(Debug)]
pub struct Pairs {
    reading: Reading,
    finished: bool,
}

#[derive(Debug)]
enum Reading {
    Records(Records, PairFields),
    Parallel(Side, Side),
}

/// One of two parallel files.
#[derive(Debug)]
struct Side {
    path: PathBuf,
    lines: Documents,
}

impl Pairs {
    fn next_pair(&mut self) -> Result<Option<Pair>, Error> {
        match &mut self.reading {
            Reading::Records(records, fields) => {
                let Some((number, record)) = records.next_record()? else { return Ok(None) };
                let text = |field: &str, key: &str| {
                    string_of(&record, field).map_err(|found| {
                        malformed(records.path(), number, found, format!("a string `{field}` ({key})"))
                    })
                };
                let (source, target) = (text(&fields.source, SOURCE_KEY)?, text(&fields.target, TARGET_KEY)?);
                Ok(Some(Pair { number, source, target }))
            }
            Reading::Parallel(source, target) => {
                match (source.lines.next().transpose()?, target.lines.next().transpose()?) {
                    (Some(first), Some(second)) => {
                        Ok(Some(Pair { number: first.position, source: first.text, target: second.text }))
                    }
                    (None, None) => {
                        for side in [source, target] {
                            warn_of_replaced(&side.path, side.lines.replaced());
                        }
                        Ok(None)
                    }
                    (Some(first), None) => Err(unequal(source, first.position, target)?),
                    (None, Some(second)) => Err(unequal(target, second.position, source)?),
                }
            }
        }
    }
}

/// What to say where `longer` has line `number` and `shorter` has not.
fn unequal(longer: &mut Side, number: u64, shorter: &Side) -> Result<Error, Error> {
    let mut lines = number;
    for line in &mut longer.lines {
        lines = line?.position;
    }
    Ok(Error::Format {
        path: longer.path.clone(),
        position: None,
        found: format!("{lines} lines"),
        expected: format!("{}, as many as {} has", number - 1, shorter.path.display()),
    })
}

impl Iterator for Pairs {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_pair();
        self.finished = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl std::iter::FusedIterator for Pairs {}
