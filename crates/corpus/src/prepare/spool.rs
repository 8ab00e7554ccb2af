//! Cleaned documents on disk, between the two passes.
//!
//! Blocks of about a mebibyte, so that a block is a thread's piece of work: length and number of the first document, then records of
//! split, input, position, length and text. The file lives for one run and never moves, so it carries no version.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, Split};

const BLOCK: usize = 1 << 20;

/// A cleaned document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'t> {
    /// Its number in the order of reading.
    pub(super) document: u64,
    /// Where it belongs.
    pub(super) split: Split,
    /// The index of its file.
    pub(super) input: u32,
    /// Its position there.
    pub(super) position: u64,
    /// The cleaned text.
    pub(super) text: &'t str,
}

/// Writes documents.
#[derive(Debug)]
pub(super) struct SpoolWriter {
    path: PathBuf,
    file: BufWriter<File>,
    block: Vec<u8>,
    /// The number of the block's first document.
    first: u64,
    next: u64,
}

impl SpoolWriter {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let file = BufWriter::new(File::create(path).map_err(Error::io(path))?);
        Ok(Self { path: path.to_owned(), file, block: Vec::new(), first: 0, next: 0 })
    }

    /// Appends a document and returns its number.
    pub(super) fn push(&mut self, split: Split, input: u32, position: u64, text: &str) -> Result<u64, Error> {
        self.block.push(split as u8);
        self.block.extend(input.to_le_bytes());
        self.block.extend(position.to_le_bytes());
        self.block.extend((text.len() as u64).to_le_bytes());
        self.block.extend(text.as_bytes());
        self.next += 1;
        if self.block.len() >= BLOCK {
            self.write_block()?;
        }
        Ok(self.next - 1)
    }

    fn write_block(&mut self) -> Result<(), Error> {
        let length = self.block.len() as u64;
        let mut write = || -> std::io::Result<()> {
            self.file.write_all(&length.to_le_bytes())?;
            self.file.write_all(&self.first.to_le_bytes())?;
            self.file.write_all(&self.block)
        };
        write().map_err(Error::io(&self.path))?;
        // A document of a whole file may have made it large.
        self.block.clear();
        self.block.shrink_to(2 * BLOCK);
        self.first = self.next;
        Ok(())
    }

    /// Ends writing; the spool can then be read as often as needed.
    pub(super) fn finish(mut self) -> Result<Spool, Error> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        self.file.flush().map_err(Error::io(&self.path))?;
        Ok(Spool { path: self.path, documents: self.next })
    }
}

/// Documents that were written.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    documents: u64,
}

impl Spool {
    /// How many documents there are.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// Reads the blocks, in order.
    pub(super) fn blocks(&self) -> Result<impl Iterator<Item = Result<Block, Error>> + '_, Error> {
        let mut file = BufReader::new(File::open(&self.path).map_err(Error::io(&self.path))?);
        let mut read = 0;
        Ok(std::iter::from_fn(move || {
            if read == self.documents {
                return None;
            }
            let block = read_block(&mut file).map_err(Error::io(&self.path)).and_then(|block| {
                read = block.first + block.count().ok_or_else(|| self.damaged())?;
                Ok(block)
            });
            if block.is_err() {
                read = self.documents;
            }
            Some(block)
        }))
    }

    fn damaged(&self) -> Error {
        Error::Format {
            path: self.path.clone(),
            position: None,
            found: "a damaged record".into(),
            expected: "what was written there; is another program writing into this folder?".into(),
        }
    }
}

fn read_block(file: &mut impl std::io::Read) -> std::io::Result<Block> {
    let mut word = [0; 8];
    file.read_exact(&mut word)?;
    let length = u64::from_le_bytes(word);
    file.read_exact(&mut word)?;
    let first = u64::from_le_bytes(word);
    let mut bytes = Vec::new();
    if file.take(length).read_to_end(&mut bytes)? as u64 == length {
        return Ok(Block { first, bytes });
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// A run of documents.
#[derive(Debug)]
pub(super) struct Block {
    first: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Its documents, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = &self.bytes[..];
        (self.first..).map_while(move |document| {
            let (record, after) = parse(document, rest)?;
            rest = after;
            Some(record)
        })
    }

    /// How many documents it has; `None` where it is damaged.
    fn count(&self) -> Option<u64> {
        let (mut rest, mut count) = (&self.bytes[..], 0);
        while !rest.is_empty() {
            (_, rest) = parse(0, rest)?;
            count += 1;
        }
        Some(count)
    }
}

fn parse(document: u64, bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (&[split], bytes) = bytes.split_first_chunk()?;
    let (input, bytes) = bytes.split_first_chunk()?;
    let (position, bytes) = bytes.split_first_chunk()?;
    let (length, bytes) = bytes.split_first_chunk()?;
    let (text, rest) = bytes.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let record = Record {
        document,
        split: *Split::ALL.get(usize::from(split))?,
        input: u32::from_le_bytes(*input),
        position: u64::from_le_bytes(*position),
        text: std::str::from_utf8(text).ok()?,
    };
    Some((record, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::create(&folder.path().join("spool")).unwrap();
        let text = |i: u64| "é".repeat(if i == 50 { 2 << 20 } else { (i * 7919 % 40_000) as usize });
        for i in 0..100 {
            assert_eq!(writer.push(Split::ALL[i as usize % 3], 7, i + 1, &text(i)).unwrap(), i);
        }
        let spool = writer.finish().unwrap();
        let mut next = 0;
        for block in spool.blocks().unwrap() {
            for record in block.unwrap().records() {
                let text = text(next);
                let expect = Record {
                    document: next,
                    split: Split::ALL[next as usize % 3],
                    input: 7,
                    position: next + 1,
                    text: &text,
                };
                assert_eq!(record, expect);
                next += 1;
            }
        }
        assert_eq!((next, spool.documents()), (100, 100));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let mut writer = SpoolWriter::create(&path).unwrap();
        writer.push(Split::Train, 0, 1, "text").unwrap();
        let spool = writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for (damaged, what) in
            [(bytes[..bytes.len() - 1].to_vec(), "cut off"), ([&bytes[..16], &[9; 25]].concat(), "no split")]
        {
            std::fs::write(&path, damaged).unwrap();
            assert!(spool.blocks().unwrap().any(|block| block.is_err()), "{what}");
        }
    }
}
