//! Errors of this crate.

use std::path::{Path, PathBuf};

use grulm_config::Invalid;

/// What can go wrong with a corpus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] Invalid),
    /// A file system operation failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}{at}: {found}; expected {expected}", path = path.display(), at = At(*position))]
    Format {
        /// The file.
        path: PathBuf,
        /// The 1-based line or record, where one is at fault.
        position: Option<u64>,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Two things that do not belong together (a tokenizer and shards, say).
    #[error("{path}: {reason}", path = path.display())]
    Mismatch {
        /// The file that does not fit.
        path: PathBuf,
        /// Which and why.
        reason: String,
    },
    /// The corpus folder cannot be written to now: another process does so, or it holds what is no corpus.
    #[error("{path}: {reason}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The tokenizer library refused.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

impl Error {
    /// An I/O error with its path, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }
}

struct At(Option<u64>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |position| write!(f, ":{position}"))
    }
}
