//! Errors of this crate.

use std::path::{Path, PathBuf};

/// What can go wrong with a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] grulm_config::Invalid),
    /// From the model.
    #[error(transparent)]
    Model(#[from] grulm_model::Error),
    /// From the corpus.
    #[error(transparent)]
    Corpus(#[from] grulm_corpus::Error),
    /// A file system operation failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a bundle does not hold what it should, or does not belong to the others.
    #[error("{path}: {reason}", path = path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint's state does not fit this task.
    #[error("{0}")]
    State(String),
}

impl Error {
    /// An I/O error with its path, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::Model(error.into())
    }
}
