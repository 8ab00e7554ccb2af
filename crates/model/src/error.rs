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
    /// There is no room for a weight.
    #[error(
        "the weight {name} {shape:?} has {mebibytes} MiB, for which there is no memory; make the model smaller: {source}"
    )]
    NoRoom {
        /// The weight's name.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// What it takes.
        mebibytes: u64,
        /// What libtorch said.
        source: Box<Error>,
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
    /// That a weight could not be made, for `map_err`.
    pub(crate) fn no_room(name: &str, shape: &[i64]) -> impl FnOnce(Self) -> Self {
        move |source| Self::NoRoom {
            name: name.to_owned(),
            shape: shape.to_vec(),
            mebibytes: shape.iter().product::<i64>().unsigned_abs() / (1 << 18),
            source: Box::new(source),
        }
    }

    /// A file that does not fit.
    pub(crate) fn weights(path: &Path, reason: impl Into<String>) -> Self {
        Self::Weights { path: path.to_owned(), reason: reason.into() }
    }
}
