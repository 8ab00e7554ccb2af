//! The string column of an Apache Parquet file, row group by row group.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::vec;

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{column_missing, malformed};
use crate::{Document, Error, TextFields};

/// Values that are decoded at a time.
const BATCH: usize = 1024;

const EXPECTED: &str = "an Apache Parquet file";

/// Records of one column.
pub(super) struct Column {
    file: SerializedFileReader<File>,
    length: u64,
    column: usize,
    field: String,
    /// The row group that is read, and its values.
    group: Option<Group>,
    /// Row groups opened so far.
    groups: usize,
    batch: vec::IntoIter<Option<ByteArray>>,
    /// Records handed out so far.
    read: u64,
}

struct Group {
    values: ColumnReaderImpl<ByteArrayType>,
    /// Rows that the metadata promises and that did not come yet.
    missing: u64,
}

impl Column {
    /// Opens those of the columns `fields` that there are (a nested one has its names joined by dots), each for itself.
    pub(super) fn open(path: &Path, fields: &TextFields) -> Result<Vec<Self>, Error> {
        let names = names(&open_file(path)?.0);
        let present = fields.present(|field| names.iter().any(|name| name == field));
        present.into_iter().map(|field| Self::open_one(path, field)).collect()
    }

    fn open_one(path: &Path, field: &str) -> Result<Self, Error> {
        let (file, length) = open_file(path)?;
        let column = find(&file, field).map_err(|found| Error::Format {
            path: path.to_owned(),
            position: None,
            found,
            expected: format!("a string column `{field}` (text_field)"),
        })?;
        let batch = Vec::new().into_iter();
        Ok(Self { file, length, column, field: field.to_owned(), group: None, groups: 0, batch, read: 0 })
    }

    /// Bytes of the file that have been read, by the share of its records.
    pub(super) fn bytes_read(&self) -> u64 {
        let records = u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0);
        if self.read >= records {
            return self.length;
        }
        let bytes = u128::from(self.length) * u128::from(self.read) / u128::from(records);
        u64::try_from(bytes).unwrap_or(self.length)
    }

    pub(super) fn next_document(&mut self, path: &Path) -> Result<Option<Document>, Error> {
        let position = self.read + 1;
        let value = loop {
            if let Some(value) = self.batch.next() {
                break value;
            }
            if !guarded(|| self.next_batch()).map_err(|error| broken(path, Some(position), &error))? {
                return Ok(None);
            }
        };
        self.read = position;
        let expected = || format!("a string `{}` (text_field)", self.field);
        let value = value.ok_or_else(|| malformed(path, position, format!("`{}` is null", self.field), expected()))?;
        let text = value.as_utf8().map_err(|error| malformed(path, position, error.to_string(), expected()))?;
        Ok(Some(Document { position, text: text.to_owned() }))
    }

    /// Decodes more values; `false` at the end of the file. A batch may come out empty.
    fn next_batch(&mut self) -> Result<bool, ParquetError> {
        let Some(group) = &mut self.group else {
            if self.groups == self.file.num_row_groups() {
                return Ok(false);
            }
            self.group = Some(open_group(&self.file, self.groups, self.column)?);
            self.groups += 1;
            return Ok(true);
        };
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (records, ..) = group.values.read_records(BATCH, Some(&mut levels), None, &mut values)?;
        group.missing = group.missing.checked_sub(records as u64).ok_or_else(|| rows("more"))?;
        if records == 0 {
            if group.missing > 0 {
                return Err(rows("fewer"));
            }
            self.group = None;
            return Ok(true);
        }
        let defined = self.file.metadata().file_metadata().schema_descr().column(self.column).max_def_level();
        self.batch = align(values, &levels, defined).ok_or_else(|| rows("fewer"))?;
        Ok(true)
    }
}

/// Turns a panic into an error: parquet asserts some of what it assumes of a file, where a damaged file proves it wrong.
/// Nothing that was used within may be used again after an error.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(ParquetError::General("damaged data that the decoder gave up on".into())))
}

fn rows(comparison: &str) -> ParquetError {
    ParquetError::General(format!("{comparison} rows than the row group's metadata says"))
}

fn open_group(file: &SerializedFileReader<File>, group: usize, column: usize) -> Result<Group, ParquetError> {
    let group = file.get_row_group(group)?;
    let missing = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
    match group.get_column_reader(column)? {
        ColumnReader::ByteArrayColumnReader(values) => Ok(Group { values, missing }),
        _ => Err(ParquetError::General("a row group whose column is not of strings".into())),
    }
}

/// Puts nulls back in between the values: a record is null where its definition level is below `defined`.
fn align(values: Vec<ByteArray>, levels: &[i16], defined: i16) -> Option<vec::IntoIter<Option<ByteArray>>> {
    if defined == 0 {
        return Some(values.into_iter().map(Some).collect::<Vec<_>>().into_iter());
    }
    let mut values = values.into_iter();
    let records = levels.iter().map(|&level| if level < defined { Some(None) } else { values.next().map(Some) });
    records.collect::<Option<Vec<_>>>().map(Vec::into_iter)
}

/// A file and its length in bytes.
fn open_file(path: &Path) -> Result<(SerializedFileReader<File>, u64), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let file = guarded(|| SerializedFileReader::new(file)).map_err(|error| broken(path, None, &error))?;
    Ok((file, length))
}

/// The names of the columns.
fn names(file: &SerializedFileReader<File>) -> Vec<String> {
    let columns = file.metadata().file_metadata().schema_descr().columns();
    columns.iter().map(|column| column.path().string()).collect()
}

/// The index of the column `field`, or what is there instead.
fn find(file: &SerializedFileReader<File>, field: &str) -> Result<usize, String> {
    let (columns, names) = (file.metadata().file_metadata().schema_descr().columns(), names(file));
    let Some(index) = names.iter().position(|name| name == field) else {
        return Err(column_missing(field, names.iter().map(String::as_str)));
    };
    if columns[index].max_rep_level() > 0 {
        return Err(format!("`{field}` is a list"));
    }
    match columns[index].physical_type() {
        Type::BYTE_ARRAY => Ok(index),
        other => Err(format!("`{field}` is of type {other}")),
    }
}

fn broken(path: &Path, position: Option<u64>, error: &ParquetError) -> Error {
    Error::Format { path: path.to_owned(), position, found: error.to_string(), expected: EXPECTED.into() }
}
