//! Exit status.

use std::process::ExitCode;

/// Failed at run time.
const FAILED: u8 = 1;
/// Bad usage or config.
const USAGE: u8 = 2;

/// Something on the command line, or that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A `--fail-if` condition holds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GateHolds(pub(crate) String);

/// The reader of standard output went away: no error, the rest of the output is not wanted.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct OutputClosed;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done.
    Done,
    /// Stopped by this signal, after a checkpoint was saved.
    Stopped(i32),
}

impl Ending {
    /// 0, or 128 and the signal's number, as shells have it.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Stopped(signal) => ExitCode::from(u8::try_from(signal + 128).unwrap_or(FAILED)),
        }
    }
}

/// The exit status that `error` ends the program with; `None` where it is no failure.
pub(crate) fn failure(error: &anyhow::Error) -> Option<ExitCode> {
    if error.is::<OutputClosed>() {
        return None;
    }
    Some(ExitCode::from(if is_usage(error) { USAGE } else { FAILED }))
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<Usage>()
        || error.is::<grulm_config::Error>()
        || error.is::<grulm_config::Invalid>()
        || error.downcast_ref().is_some_and(corpus_usage)
        || error.downcast_ref().is_some_and(model_usage)
        || error.downcast_ref().is_some_and(tasks_usage)
        || error.downcast_ref().is_some_and(train_usage)
}

fn corpus_usage(error: &grulm_corpus::Error) -> bool {
    matches!(error, grulm_corpus::Error::Config(_))
}

fn model_usage(error: &grulm_model::Error) -> bool {
    matches!(error, grulm_model::Error::Config(_) | grulm_model::Error::Unsupported(_))
}

fn tasks_usage(error: &grulm_tasks::Error) -> bool {
    match error {
        grulm_tasks::Error::Model(error) => model_usage(error),
        grulm_tasks::Error::Corpus(error) => corpus_usage(error),
        _ => false,
    }
}

fn train_usage(error: &grulm_train::Error) -> bool {
    match error {
        grulm_train::Error::Config(_) | grulm_train::Error::RunFolder { .. } => true,
        grulm_train::Error::Task(error) => tasks_usage(error),
        grulm_train::Error::Model(error) => model_usage(error),
        _ => false,
    }
}
