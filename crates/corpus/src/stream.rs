//! One split as one long stream of tokens.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::shard::{Shard, ShardInfo};

/// The tokens of one split, over all its shards. The shards are mapped into memory: a stream is cheap to clone, can be
/// sent to other threads, and takes no memory of its own.
#[derive(Debug, Clone)]
pub struct TokenStream(Arc<Pieces>);

#[derive(Debug)]
struct Pieces {
    pieces: Vec<Piece>,
    /// Where each piece ends in the stream.
    ends: Vec<u64>,
}

#[derive(Debug)]
enum Piece {
    Mapped(Shard),
    Memory(Vec<u32>),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Mapped(shard) => shard.len() as u64,
            Self::Memory(tokens) => tokens.len() as u64,
        }
    }

    fn copy(&self, range: Range<usize>, out: &mut [i64]) {
        match self {
            Self::Mapped(shard) => fill(out, shard.tokens(range)),
            Self::Memory(tokens) => fill(out, tokens[range].iter().copied()),
        }
    }
}

fn fill(out: &mut [i64], tokens: impl Iterator<Item = u32>) {
    for (to, token) in out.iter_mut().zip(tokens) {
        *to = i64::from(token);
    }
}

impl TokenStream {
    /// Maps shards of a folder, in order.
    ///
    /// # Errors
    /// A shard cannot be opened, or holds another number of tokens than `shards` says.
    pub fn open(dir: &Path, shards: &[ShardInfo]) -> Result<Self, Error> {
        let open = |info: &ShardInfo| {
            let path = dir.join(&info.path);
            let shard = Shard::open(&path)?;
            if shard.len() as u64 == info.tokens {
                return Ok(Piece::Mapped(shard));
            }
            let reason = format!("holds {} tokens, but manifest.json says {}", shard.len(), info.tokens);
            Err(Error::Mismatch { path, reason })
        };
        Ok(Self::of(shards.iter().map(open).collect::<Result<_, _>>()?))
    }

    /// A stream over tokens in memory.
    #[must_use]
    pub fn from_tokens(tokens: Vec<u32>) -> Self {
        Self::of(vec![Piece::Memory(tokens)])
    }

    fn of(mut pieces: Vec<Piece>) -> Self {
        pieces.retain(|piece| piece.len() > 0);
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.len();
            Some(*end)
        });
        let ends = ends.collect();
        Self(Arc::new(Pieces { pieces, ends }))
    }

    /// The number of tokens.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.ends.last().copied().unwrap_or(0)
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token at an index.
    ///
    /// # Panics
    /// The index is not below [`TokenStream::len`].
    #[must_use]
    pub fn get(&self, index: u64) -> u32 {
        let mut token = [0];
        self.copy(index..index + 1, &mut token);
        // Every token came from a u32.
        token[0] as u32
    }

    /// Copies the tokens of a range into `out`, as libtorch indexes embeddings.
    ///
    /// # Panics
    /// The range reaches beyond the end, or `out` is of another length.
    pub fn copy(&self, range: Range<u64>, out: &mut [i64]) {
        assert!(range.end <= self.len(), "tokens {range:?} of a stream of {}", self.len());
        assert_eq!(range.end.saturating_sub(range.start), out.len() as u64, "a buffer for tokens {range:?}");
        let mut out = out;
        let mut at = range.start;
        while at < range.end {
            let piece = self.0.ends.partition_point(|&end| end <= at);
            let start = if piece == 0 { 0 } else { self.0.ends[piece - 1] };
            let end = range.end.min(self.0.ends[piece]);
            let (now, later) = out.split_at_mut((end - at) as usize);
            self.0.pieces[piece].copy((at - start) as usize..(end - start) as usize, now);
            (out, at) = (later, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{ShardWriter, Width};

    fn shards(parts: &[&[u32]]) -> (tempfile::TempDir, Vec<ShardInfo>) {
        let folder = tempfile::tempdir().unwrap();
        let write = |(i, tokens): (usize, &&[u32])| {
            let mut writer = ShardWriter::create(&folder.path().join(format!("{i}.bin")), Width::U16).unwrap();
            writer.push(tokens).unwrap();
            writer.finish().unwrap()
        };
        let infos = parts.iter().enumerate().map(write).collect();
        (folder, infos)
    }

    #[test]
    fn ranges_cross_shards() {
        let (folder, infos) = shards(&[&[0, 1, 2], &[], &[3], &[4, 5, 6, 7]]);
        let stream = TokenStream::open(folder.path(), &infos).unwrap();
        assert_eq!(stream.len(), 8);
        for start in 0..=8 {
            for end in start..=8 {
                let mut out = vec![-1; (end - start) as usize];
                stream.copy(start..end, &mut out);
                assert_eq!(out, (start as i64..end as i64).collect::<Vec<_>>());
            }
        }
        assert_eq!((0..8).map(|i| stream.get(i)).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_of_another_length_is_refused() {
        let (folder, mut infos) = shards(&[&[0, 1, 2]]);
        infos[0].tokens = 4;
        let message = TokenStream::open(folder.path(), &infos).unwrap_err().to_string();
        assert!(message.ends_with("0.bin: holds 3 tokens, but manifest.json says 4"), "{message}");
        infos[0].path = "1.bin".into();
        assert!(matches!(TokenStream::open(folder.path(), &infos), Err(Error::Io { .. })));
    }

    #[test]
    fn an_empty_stream_is_empty() {
        assert!(TokenStream::from_tokens(Vec::new()).is_empty());
        TokenStream::from_tokens(Vec::new()).copy(0..0, &mut []);
    }
}
