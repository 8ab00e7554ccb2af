//! A corpus folder that is complete.

use std::path::{Path, PathBuf};

use grulm_durable::digest::sha256_file;

use crate::shard::Shard;
use crate::{Cleaner, Error, Manifest, Split, TokenStream, Tokenizer};

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const CLEANING: &str = "cleaning.json";
pub(crate) const REJECTS: &str = "rejects.jsonl";

/// A corpus folder: token shards, and the tokenizer and cleaning that made them.
#[derive(Debug)]
pub struct Corpus {
    /// The folder.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// The tokenizer that made the tokens.
    pub tokenizer: Tokenizer,
    /// The cleaning that the text had.
    pub cleaner: Cleaner,
}

impl Corpus {
    /// Opens a folder that [`crate::prepare`] wrote.
    ///
    /// # Errors
    /// A file is missing or is not what it should be; [`Error::Mismatch`] where tokenizer, cleaning or shards are others than the manifest
    /// says. Of the shards only the headers are read here: see [`Corpus::verify`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let manifest = Manifest::open(&dir.join(MANIFEST))?;
        let path = dir.join(TOKENIZER);
        let tokenizer = Tokenizer::open(&path)?;
        same(&path, "hash", tokenizer.hash(), &manifest.tokenizer_sha256)?;
        same(&path, "vocabulary size", &tokenizer.vocab_size(), &manifest.vocab_size)?;
        let path = dir.join(CLEANING);
        let cleaner = Cleaner::open(&path)?;
        same(&path, "hash", &cleaner.hash(), &manifest.cleaning_sha256)?;
        for info in manifest.splits.values() {
            TokenStream::open(dir, &info.shards)?;
        }
        Ok(Self { dir: dir.to_owned(), manifest, tokenizer, cleaner })
    }

    /// The tokens of a split; `None` where the corpus has none.
    ///
    /// # Errors
    /// A shard cannot be mapped, or was changed since the corpus was opened.
    pub fn stream(&self, split: Split) -> Result<Option<TokenStream>, Error> {
        match self.manifest.splits.get(&split) {
            Some(info) if info.tokens > 0 => TokenStream::open(&self.dir, &info.shards).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads every shard: its hash is that of the manifest, and its ids are in the vocabulary.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with the first shard that is not as it should be.
    pub fn verify(&self) -> Result<(), Error> {
        for info in self.manifest.splits.values().flat_map(|split| &split.shards) {
            let path = self.dir.join(&info.path);
            same(&path, "SHA-256", &sha256_file(&path).map_err(Error::io(&path))?, &info.sha256)?;
            let shard = Shard::open(&path)?;
            if let Some(id) = shard.tokens(0..shard.len()).find(|&id| id as usize >= self.manifest.vocab_size) {
                let reason =
                    format!("holds token id {id}, but the vocabulary has {} entries", self.manifest.vocab_size);
                return Err(Error::Mismatch { path, reason });
            }
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Display + ?Sized>(
    path: &Path,
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let reason = format!("{what} {found}, but the corpus was made with {expected} (manifest.json); prepare it again");
    Err(Error::Mismatch { path: path.to_owned(), reason })
}
