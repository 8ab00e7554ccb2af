//! The second pass: documents become tokens, tokens become shards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use rayon::ThreadPool;

use super::ordered::ordered;
use super::spool::{Block, Spool};
use crate::dedup::Removal;
use crate::shard::{ShardInfo, ShardWriter, Width};
use crate::{Error, Special, Split, SplitInfo, Tokenizer};

/// Tokens of a full shard.
const SHARD_TOKENS: u64 = 64 << 20;

/// Writes the shards of all splits into `dir`.
pub(super) fn encode(
    pool: &ThreadPool,
    spool: &Spool,
    removal: &Removal,
    tokenizer: &Tokenizer,
    dir: &Path,
    progress: &ProgressBar,
) -> Result<BTreeMap<Split, SplitInfo>, Error> {
    let width = Width::of_vocabulary(tokenizer.vocab_size());
    let mut splits = Split::ALL.map(|split| Shards::new(dir, split, width, SHARD_TOKENS));
    let blocks = spool.blocks()?.map(|block| block.map(|block| (block.size(), block)));
    ordered(
        pool,
        blocks,
        |block| encode_block(&block, removal, tokenizer),
        |encoded| {
            for (shards, part) in splits.iter_mut().zip(&encoded.parts) {
                shards.push(part)?;
            }
            progress.inc(encoded.documents);
            Ok(())
        },
    )?;
    let mut infos = BTreeMap::new();
    for (split, shards) in Split::ALL.into_iter().zip(splits) {
        let info = shards.finish()?;
        if info.documents > 0 {
            infos.insert(split, info);
        }
    }
    Ok(infos)
}

struct Encoded {
    parts: [Part; Split::ALL.len()],
    /// Documents of the block, removed ones too.
    documents: u64,
}

#[derive(Default)]
struct Part {
    tokens: Vec<u32>,
    documents: u64,
    words: u64,
    bytes: u64,
}

fn encode_block(block: &Block, removal: &Removal, tokenizer: &Tokenizer) -> Result<Encoded, Error> {
    let eos = tokenizer.special(Special::Eos);
    let mut encoded = Encoded { parts: Default::default(), documents: 0 };
    for record in block.records() {
        encoded.documents += 1;
        if removal.contains(record.document) {
            continue;
        }
        let part = &mut encoded.parts[record.split as usize];
        tokenizer.encode(record.text, &mut part.tokens)?;
        part.tokens.push(eos);
        part.documents += 1;
        part.words += record.text.split_whitespace().count() as u64;
        part.bytes += record.text.len() as u64 + 1;
    }
    Ok(encoded)
}

/// The shards of one split.
struct Shards {
    dir: PathBuf,
    split: Split,
    width: Width,
    full: u64,
    open: Option<ShardWriter>,
    info: SplitInfo,
}

impl Shards {
    fn new(dir: &Path, split: Split, width: Width, full: u64) -> Self {
        Self { dir: dir.to_owned(), split, width, full, open: None, info: SplitInfo::default() }
    }

    fn push(&mut self, part: &Part) -> Result<(), Error> {
        let mut rest = &part.tokens[..];
        while !rest.is_empty() {
            let mut shard = match self.open.take() {
                Some(shard) => shard,
                None => ShardWriter::create(&self.dir.join(self.next_name()), self.width)?,
            };
            let room = usize::try_from(self.full - shard.tokens()).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            shard.push(now)?;
            if shard.tokens() == self.full {
                self.info.shards.push(shard.finish()?);
            } else {
                self.open = Some(shard);
            }
            rest = later;
        }
        self.info.documents += part.documents;
        self.info.words += part.words;
        self.info.bytes += part.bytes;
        Ok(())
    }

    fn next_name(&self) -> String {
        format!("{}-{:05}.bin", self.split.name(), self.info.shards.len())
    }

    fn finish(mut self) -> Result<SplitInfo, Error> {
        if let Some(shard) = self.open.take() {
            self.info.shards.push(shard.finish()?);
        }
        let tokens = |shard: &ShardInfo| shard.tokens;
        self.info.tokens = self.info.shards.iter().map(tokens).sum();
        Ok(self.info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenStream;

    #[test]
    fn shards_are_cut_at_their_full_size() {
        let folder = tempfile::tempdir().unwrap();
        let mut shards = Shards::new(folder.path(), Split::Valid, Width::U16, 10);
        for tokens in [vec![], (0..4).collect(), (4..27).collect(), (27..30).collect(), vec![30]] {
            shards.push(&Part { tokens, documents: 1, ..Part::default() }).unwrap();
        }
        let info = shards.finish().unwrap();
        let sizes: Vec<_> = info.shards.iter().map(|shard| (shard.path.as_str(), shard.tokens)).collect();
        assert_eq!(
            sizes,
            [("valid-00000.bin", 10), ("valid-00001.bin", 10), ("valid-00002.bin", 10), ("valid-00003.bin", 1)]
        );
        assert_eq!((info.tokens, info.documents), (31, 5));
        let stream = TokenStream::open(folder.path(), &info.shards).unwrap();
        assert!((0..31).all(|i| stream.get(i) == i as u32));
    }
}
