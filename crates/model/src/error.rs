//! Errors of this crate.

use std::path::{Path, PathBuf};

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] grulm_config::Invalid),
    /// A file system operation failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of weights does not fit the model.
    #[error("{path}: {reason}", path = path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A kernel refused.
    #[error(transparent)]
    Kernel(#[from] grulm_kernels::Error),
    /// The model cannot do what is asked of it.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// A file that does not fit.
    pub(crate) fn weights(path: &Path, reason: impl Into<String>) -> Self {
        Self::Weights { path: path.to_owned(), reason: reason.into() }
    }
}
