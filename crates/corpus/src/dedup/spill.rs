//! Keys on disk, in partitions by key, each in the order in which they came.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// A power of two. Few enough for the open files of two spills, enough that a partition of a corpus of any sensible size fits into memory.
const PARTITIONS: usize = 64;
/// Key, document with flags.
const RECORD: usize = 24;
const HELD_OUT: u64 = 1 << 63;
const FIXED: u64 = 1 << 62;

/// A key of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What equal or similar documents share.
    pub(crate) key: u128,
    /// The number of the document, below 2^62.
    pub(crate) document: u64,
    /// It is in valid or test.
    pub(crate) held_out: bool,
    /// It comes from a file that is taken as it is.
    pub(crate) fixed: bool,
}

impl Entry {
    fn to_bytes(self) -> [u8; RECORD] {
        let flags = if self.held_out { HELD_OUT } else { 0 } | if self.fixed { FIXED } else { 0 };
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..].copy_from_slice(&(self.document | flags).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; RECORD]) -> Self {
        let word = |at: usize| (0..8).rev().fold(0_u64, |word, i| word << 8 | u64::from(bytes[at + i]));
        let document = word(16);
        Self {
            key: u128::from(word(8)) << 64 | u128::from(word(0)),
            document: document & !(HELD_OUT | FIXED),
            held_out: document & HELD_OUT != 0,
            fixed: document & FIXED != 0,
        }
    }
}

/// Takes keys.
#[derive(Debug)]
pub(crate) struct Spill {
    files: Vec<(PathBuf, BufWriter<File>)>,
}

impl Spill {
    /// Creates the files `<name>-<partition>` in a folder.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, Error> {
        let create = |partition: usize| {
            let path = folder.join(format!("{name}-{partition}"));
            let file = File::create(&path).map_err(Error::io(&path))?;
            Ok((path, BufWriter::with_capacity(1 << 15, file)))
        };
        Ok(Self { files: (0..PARTITIONS).map(create).collect::<Result<_, Error>>()? })
    }

    /// Appends a key.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), Error> {
        let (path, file) = &mut self.files[(entry.key >> 64) as usize % PARTITIONS];
        file.write_all(&entry.to_bytes()).map_err(Error::io(path))
    }

    /// Ends writing.
    pub(crate) fn finish(self) -> Result<Spilled, Error> {
        let finish = |(path, mut file): (PathBuf, BufWriter<File>)| {
            file.flush().map_err(Error::io(&path))?;
            Ok(path)
        };
        Ok(Spilled { paths: self.files.into_iter().map(finish).collect::<Result<_, Error>>()? })
    }
}

/// Keys that were spilled. The files go with the value.
#[derive(Debug)]
pub(crate) struct Spilled {
    paths: Vec<PathBuf>,
}

impl Spilled {
    /// The number of partitions; equal keys are in the same one.
    pub(crate) fn partitions(&self) -> usize {
        self.paths.len()
    }

    /// Calls `take` with the keys of a partition, in order.
    pub(crate) fn read(&self, partition: usize, mut take: impl FnMut(Entry)) -> Result<(), Error> {
        let path = &self.paths[partition];
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(Error::io(path))?);
        let mut bytes = [0; RECORD];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => take(Entry::from_bytes(bytes)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(Error::io(path)(error)),
            }
        }
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        for path in &self.paths {
            // What stays goes with the folder of temporary files.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn keys_come_back_in_order(keys in prop::collection::vec((any::<u128>(), 0_u64..1 << 62, any::<bool>(), any::<bool>()), 0..100)) {
            let folder = tempfile::tempdir().unwrap();
            let mut spill = Spill::create(folder.path(), "keys").unwrap();
            let entries: Vec<Entry> =
                keys.into_iter().map(|(key, document, held_out, fixed)| Entry { key, document, held_out, fixed }).collect();
            entries.iter().for_each(|&entry| spill.push(entry).unwrap());
            let spilled = spill.finish().unwrap();
            for partition in 0..spilled.partitions() {
                let mut found = Vec::new();
                spilled.read(partition, |entry| found.push(entry)).unwrap();
                let expect: Vec<Entry> = entries.iter().copied().filter(|entry| (entry.key >> 64) as usize % PARTITIONS == partition).collect();
                prop_assert_eq!(found, expect);
            }
            drop(spilled);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
