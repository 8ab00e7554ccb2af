//! Token shards: files of token ids that are mapped into memory.
//!
//! ```text
//! offset  bytes  content
//!      0      8  magic "GRULMTOK"
//!      8      4  format version, u32 little-endian: 1
//!     12      4  width of a token in bytes, u32 little-endian: 2 or 4
//!     16      8  number of tokens, u64 little-endian
//!     24         the tokens, u16 or u32 little-endian, to the end of the file
//! ```

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use grulm_durable::digest::sha256_file;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::Error;

const MAGIC: [u8; 8] = *b"GRULMTOK";
const VERSION: u32 = 1;
const HEADER: usize = 24;

/// How many bytes a token takes in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Two bytes: ids below 65,536.
    U16,
    /// Four bytes.
    U32,
}

impl Width {
    /// The smallest width that holds every id of a vocabulary.
    #[must_use]
    pub fn of_vocabulary(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// Bytes a token.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }
}

/// One shard, as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// File name inside the corpus folder.
    pub path: String,
    /// Number of tokens.
    pub tokens: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
}

/// A shard that is being written. The file is complete once [`ShardWriter::finish`] has returned.
#[derive(Debug)]
pub struct ShardWriter {
    path: PathBuf,
    file: BufWriter<File>,
    width: Width,
    tokens: u64,
}

impl ShardWriter {
    /// Creates a shard; a file of that name is overwritten.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, width: Width) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::io(path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        // A count of zero until `finish`: a shard cut short by a crash is refused for its trailing bytes.
        file.write_all(&header(width, 0)).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file, width, tokens: 0 })
    }

    /// The number of tokens so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Appends tokens.
    ///
    /// # Errors
    /// The disk is full, say, or an id does not fit the width.
    pub fn push(&mut self, tokens: &[u32]) -> Result<(), Error> {
        for &token in tokens {
            match self.width {
                Width::U16 => {
                    let narrow = u16::try_from(token).map_err(|_| Error::Mismatch {
                        path: self.path.clone(),
                        reason: format!("token id {token} does not fit the two bytes a token of this shard"),
                    })?;
                    self.file.write_all(&narrow.to_le_bytes())
                }
                Width::U32 => self.file.write_all(&token.to_le_bytes()),
            }
            .map_err(Error::io(&self.path))?;
        }
        self.tokens += tokens.len() as u64;
        Ok(())
    }

    /// Writes the count, syncs the file and hashes it.
    ///
    /// # Errors
    /// The file cannot be written or read back.
    pub fn finish(mut self) -> Result<ShardInfo, Error> {
        self.complete().map_err(Error::io(&self.path))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(ShardInfo {
            path: name,
            tokens: self.tokens,
            sha256: sha256_file(&self.path).map_err(Error::io(&self.path))?,
        })
    }

    fn complete(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.width, self.tokens))?;
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}

fn header(width: Width, tokens: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(width.bytes() as u32).to_le_bytes());
    bytes[16..].copy_from_slice(&tokens.to_le_bytes());
    bytes
}

/// What is wrong with a header: what was found, what was expected.
type Fault = (String, String);

/// Checks the header of a file of `size` bytes that begins with `start`.
fn parse_header(start: &[u8], size: u64) -> Result<(Width, usize), Fault> {
    let fault = |found: String, expected: &str| Err((found, expected.to_owned()));
    let Some(head) = start.first_chunk::<HEADER>() else {
        return fault(format!("{size} bytes"), "a token shard, which has a header of 24 bytes");
    };
    if head[..8] != MAGIC {
        return fault(
            format!("the first bytes {:?}", String::from_utf8_lossy(&head[..8])),
            "a token shard (\"GRULMTOK\")",
        );
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if word(8) != VERSION {
        return fault(format!("shard format version {}", word(8)), "version 1");
    }
    let width = match word(12) {
        2 => Width::U16,
        4 => Width::U32,
        other => return fault(format!("{other} bytes a token"), "2 or 4"),
    };
    let count = u64::from(word(16)) | u64::from(word(20)) << 32;
    let wanted = count.checked_mul(width.bytes() as u64).and_then(|bytes| bytes.checked_add(HEADER as u64));
    if wanted != Some(size) {
        let wanted =
            wanted.map_or_else(|| "more bytes than a file can have".to_owned(), |bytes| format!("{bytes} bytes"));
        return Err((format!("{size} bytes"), format!("{wanted}, since the header says {count} tokens")));
    }
    // The file has that many bytes, so the count fits the address space wherever the file can be mapped.
    usize::try_from(count).map(|count| (width, count)).or_else(|_| fault(format!("{count} tokens"), "fewer"))
}

/// A complete shard, mapped into memory.
#[derive(Debug)]
pub struct Shard {
    map: Mmap,
    width: Width,
    len: usize,
}

impl Shard {
    /// Maps a shard. Only the header is read; ids are checked by [`crate::Corpus::verify`].
    ///
    /// # Errors
    /// The file cannot be read, or is not a shard: wrong magic, version or width, or a length that does not agree with the count.
    #[allow(unsafe_code)]
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only, and shards are written once under another name and never changed in place. Any
        // bytes are valid tokens, so a file that another program changes gives other tokens, not undefined behaviour here.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let (width, len) = parse_header(&map, map.len() as u64).map_err(|(found, expected)| Error::Format {
            path: path.to_owned(),
            position: None,
            found,
            expected,
        })?;
        Ok(Self { map, width, len })
    }

    /// The number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tokens of a range.
    ///
    /// # Panics
    /// The range reaches beyond the end.
    pub fn tokens(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let width = self.width.bytes();
        let bytes = &self.map[HEADER + range.start * width..HEADER + range.end * width];
        // Little-endian: the last byte is the highest.
        bytes.chunks_exact(width).map(|token| token.iter().rev().fold(0, |id, &byte| id << 8 | u32::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(tokens: &[u32], width: Width) -> Vec<u32> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-00000.bin");
        let mut writer = ShardWriter::create(&path, width).unwrap();
        writer.push(tokens).unwrap();
        let info = writer.finish().unwrap();
        assert_eq!((info.path.as_str(), info.tokens), ("train-00000.bin", tokens.len() as u64));
        let shard = Shard::open(&path).unwrap();
        assert_eq!(shard.len(), tokens.len());
        shard.tokens(0..shard.len()).collect()
    }

    fn open(bytes: &[u8]) -> Result<Shard, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shard.bin");
        std::fs::write(&path, bytes).unwrap();
        Shard::open(&path)
    }

    fn check_refused(bytes: &[u8], says: &str) {
        let message = open(bytes).expect_err("a hostile shard was opened").to_string();
        assert!(message.contains("shard.bin: ") && message.contains(says), "{message:?} lacks {says:?}");
    }

    #[test]
    fn the_layout_is_fixed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("golden.bin");
        let mut writer = ShardWriter::create(&path, Width::U16).unwrap();
        writer.push(&[1, 0xABCD]).unwrap();
        writer.finish().unwrap();
        let expect = b"GRULMTOK\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0\x01\0\xCD\xAB";
        assert_eq!(std::fs::read(&path).unwrap(), expect);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let with = |width: u32, count: u64, rest: &[u8]| {
            let mut bytes = b"GRULMTOK\x01\0\0\0".to_vec();
            bytes.extend(width.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(rest);
            bytes
        };
        check_refused(b"", "0 bytes");
        check_refused(b"GRULMTOK", "header of 24 bytes");
        check_refused(&[b'x'; 64], "a token shard");
        check_refused(b"GRULMTOK\x02\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0", "version 2");
        check_refused(&with(3, 0, b""), "3 bytes a token");
        check_refused(&with(2, 1 << 60, b"ab"), "1152921504606846976 tokens");
        check_refused(&with(4, u64::MAX, b"abcd"), "more bytes than a file can have");
        check_refused(&with(2, 2, b"abc"), "expected 28 bytes");
        check_refused(&with(2, 1, b"abcd"), "expected 26 bytes");
        assert!(open(&with(2, 0, b"")).unwrap().is_empty());
    }

    #[test]
    fn an_id_wider_than_the_shard_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(&folder.path().join("a.bin"), Width::of_vocabulary(65_536)).unwrap();
        writer.push(&[65_535]).unwrap();
        assert!(writer.push(&[65_536]).unwrap_err().to_string().contains("65536"));
        assert_eq!(Width::of_vocabulary(65_537), Width::U32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn tokens_come_back(tokens in prop::collection::vec(any::<u32>(), 0..200)) {
            prop_assert_eq!(&round_trip(&tokens, Width::U32), &tokens);
            let narrow: Vec<u32> = tokens.iter().map(|token| token & 0xFFFF).collect();
            prop_assert_eq!(round_trip(&narrow, Width::U16), narrow);
        }

        #[test]
        fn any_bytes_are_a_shard_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..80), genuine in any::<bool>()) {
            if genuine && bytes.len() >= 16 {
                bytes[..16].copy_from_slice(b"GRULMTOK\x01\0\0\0\x02\0\0\0");
            }
            if let Ok(shard) = open(&bytes) {
                prop_assert_eq!(HEADER + shard.tokens(0..shard.len()).count() * shard.width.bytes(), bytes.len());
            }
        }
    }
}
