//! How a command ends: what a failure says, and the exit status.

use std::io::{self, Write as _};

use clap::Parser;
use grulm_config::Invalid;
use signal_hook::low_level;

use crate::{args::ConfigArgs, logging};

/// What the help of a binary ends with.
pub const EXIT_STATUS: &str = "Exit status: 0 done; 1 failed; 2 bad usage or config; \
130 or 143 stopped by SIGINT or SIGTERM, after a checkpoint was saved.";

const DONE: i32 = 0;
/// Failed at run time.
const FAILED: i32 = 1;
/// Bad usage or config.
const USAGE: i32 = 2;

/// Something on the command line, or that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A `--fail-if` condition holds.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateHolds(pub(crate) String);

/// The reader of standard output went away: no error, the rest of the output is not wanted.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub struct OutputClosed;

/// A signal came before all was done, and what was begun has been removed.
#[derive(Debug, thiserror::Error)]
#[error("stopped by signal {0}")]
pub struct Stopped(pub i32);

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Done,
    /// Stopped by this signal, after a checkpoint was saved.
    Stopped(i32),
}

impl Ending {
    /// 0, or 128 and the signal's number, as shells have it.
    fn status(self) -> i32 {
        match self {
            Self::Done => DONE,
            Self::Stopped(signal) => signal + 128,
        }
    }
}

/// Reads the command line. Ends the program where it asks for help, or cannot be understood.
#[must_use]
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        // Where nobody reads any more, nothing can be told.
        let _ = error.print();
        leave(error.exit_code())
    })
}

/// Ends the program as its command ended: says what failed, and turns it into the exit status.
pub fn finish(ended: anyhow::Result<Ending>) -> ! {
    let failed = |error| {
        let status = failure(&error)?;
        logging::fail(&message(&error));
        Some(status)
    };
    leave(ended.map_or_else(|error| failed(error).unwrap_or(DONE), Ending::status))
}

/// Ends the process at once: libtorch would take its table of operators apart first, for a tenth of a second.
fn leave(status: i32) -> ! {
    // Results were flushed, and checked, as they were written.
    let _ = io::stdout().flush();
    low_level::exit(status)
}

/// Says where in the config a setting stands that turned out not to be usable.
///
/// # Errors
/// That of `ended`.
pub fn of_config(ended: anyhow::Result<Ending>, args: &ConfigArgs) -> anyhow::Result<Ending> {
    ended.map_err(|error| match setting(&error) {
        Some(invalid) => grulm_config::locate(&args.config, &args.set, invalid).into(),
        None => error,
    })
}

/// Says in which section of the config the `[train]` stands that `error` is about, where that is not the main one.
#[must_use]
pub fn of_section(error: anyhow::Error, section: &str) -> anyhow::Error {
    match setting(&error) {
        Some(invalid) if invalid.key.starts_with("train.") => {
            Invalid { key: format!("{section}.{}", invalid.key), ..invalid.clone() }.into()
        }
        Some(_) => error,
        None => error.context(format!("with the settings of [{section}.train]")),
    }
}

/// An error and its causes in one line; a cause that the text before it holds already is not repeated, nor the call stack that
/// libtorch adds to what it says.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let whole = cause.to_string();
        let lines: Vec<_> = whole.lines().filter(|line| !line.starts_with("frame #")).collect();
        let said = lines.join("\n");
        let said = said.trim_end();
        if !message.contains(said) {
            message += if message.is_empty() { "" } else { ": " };
            message += said;
        }
    }
    message
}

/// The exit status that `error` ends the program with; `None` where it is no failure.
fn failure(error: &anyhow::Error) -> Option<i32> {
    if error.is::<OutputClosed>() {
        return None;
    }
    if let Some(&Stopped(signal)) = error.downcast_ref() {
        return Some(Ending::Stopped(signal).status());
    }
    Some(if is_usage(error) { USAGE } else { FAILED })
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<Usage>()
        || error.is::<grulm_config::Error>()
        || setting(error).is_some()
        || error.downcast_ref().is_some_and(is_unsupported)
        || matches!(error.downcast_ref(), Some(grulm_tasks::Error::Model(model)) if is_unsupported(model))
        || matches!(error.downcast_ref(), Some(grulm_train::Error::RunFolder { .. }))
        || matches!(error.downcast_ref(), Some(grulm_corpus::Error::Folder { .. }))
}

fn is_unsupported(error: &grulm_model::Error) -> bool {
    matches!(error, grulm_model::Error::Unsupported(_))
}

/// The setting that cannot be used, if that is what `error` is about, whichever crate it comes from.
fn setting(error: &anyhow::Error) -> Option<&Invalid> {
    (error.downcast_ref::<Invalid>())
        .or_else(|| error.downcast_ref().and_then(of_corpus))
        .or_else(|| error.downcast_ref().and_then(of_model))
        .or_else(|| error.downcast_ref().and_then(of_task))
        .or_else(|| error.downcast_ref().and_then(of_training))
}

fn of_corpus(error: &grulm_corpus::Error) -> Option<&Invalid> {
    match error {
        grulm_corpus::Error::Config(invalid) => Some(invalid),
        _ => None,
    }
}

fn of_model(error: &grulm_model::Error) -> Option<&Invalid> {
    match error {
        grulm_model::Error::Config(invalid) => Some(invalid),
        _ => None,
    }
}

fn of_task(error: &grulm_tasks::Error) -> Option<&Invalid> {
    match error {
        grulm_tasks::Error::Config(invalid) => Some(invalid),
        grulm_tasks::Error::Model(error) => of_model(error),
        grulm_tasks::Error::Corpus(error) => of_corpus(error),
        _ => None,
    }
}

fn of_training(error: &grulm_train::Error) -> Option<&Invalid> {
    match error {
        grulm_train::Error::Config(invalid) => Some(invalid),
        grulm_train::Error::Task(error) => of_task(error),
        grulm_train::Error::Model(error) => of_model(error),
        _ => None,
    }
}
