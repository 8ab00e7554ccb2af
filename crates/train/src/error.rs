//! Errors of this crate.

use std::path::{Path, PathBuf};

use grulm_config::Invalid;

/// What can go wrong with a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] Invalid),
    /// From the task: its data, model or bundle.
    #[error(transparent)]
    Task(#[from] grulm_tasks::Error),
    /// From weights and their files.
    #[error(transparent)]
    Model(#[from] grulm_model::Error),
    /// A kernel refused.
    #[error(transparent)]
    Kernel(#[from] grulm_kernels::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A file system operation failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run folder is not in the state that the command needs.
    #[error("{path}: {reason}", path = path.display())]
    RunFolder {
        /// The run folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A checkpoint is damaged or does not belong to this run.
    #[error("{path}: {reason}", path = path.display())]
    Checkpoint {
        /// The checkpoint's folder or one of its files.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The loss or the gradient was not finite.
    #[error("the loss or its gradient was not finite at step {step}; {kept}. {advice}")]
    Diverged {
        /// The update that was skipped, counted from one.
        step: u64,
        /// Which checkpoint is there to go on from.
        kept: String,
        /// Settings that help.
        advice: String,
    },
}

impl Error {
    /// An I/O error with its path, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn run_folder(path: &Path, reason: impl Into<String>) -> Self {
        Self::RunFolder { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn checkpoint(path: &Path, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_owned(), reason: reason.into() }
    }
}
