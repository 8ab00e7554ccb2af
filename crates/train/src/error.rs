//! Errors of this crate.

use std::path::{Path, PathBuf};

use grulm_config::Invalid;

use crate::TrainConfig;

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
    /// A batch does not fit into memory.
    #[error(
        "memory ran out with train.batch_size = {batch_size} and train.sequence_length = {sequence_length}; lower one of \
         them (train.accumulate makes up for a smaller batch): {source}"
    )]
    OutOfMemory {
        /// `train.batch_size`.
        batch_size: usize,
        /// `train.sequence_length`.
        sequence_length: usize,
        /// What could not be had.
        source: Box<Error>,
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

/// What libtorch and the kernels say where there is no memory, on a CPU and on a GPU.
const OUT_OF_MEMORY: [&str; 2] = ["can't allocate memory", "out of memory"];

impl Error {
    /// An I/O error with its path, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// Says which settings to lower, where this is a lack of memory.
    pub(crate) fn with_sizes(self, config: &TrainConfig) -> Self {
        let message = self.to_string();
        if !OUT_OF_MEMORY.iter().any(|phrase| message.contains(phrase)) {
            return self;
        }
        let &TrainConfig { batch_size, sequence_length, .. } = config;
        Self::OutOfMemory { batch_size, sequence_length, source: Box::new(self) }
    }

    pub(crate) fn run_folder(path: &Path, reason: impl Into<String>) -> Self {
        Self::RunFolder { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn checkpoint(path: &Path, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_owned(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device::Cpu, Kind::Float, Tensor};

    use super::*;

    #[test]
    fn a_lack_of_memory_names_the_settings() {
        let config = TrainConfig { batch_size: 77, ..TrainConfig::default() };
        let error = Error::from(Tensor::f_zeros([1i64 << 50], (Float, Cpu)).unwrap_err()).with_sizes(&config);
        assert!(error.to_string().contains("train.batch_size = 77"), "{error}");
        let error = Error::from(Tensor::f_zeros([-1i64], (Float, Cpu)).unwrap_err()).with_sizes(&config);
        assert!(matches!(error, Error::Torch(_)), "{error}");
    }
}
