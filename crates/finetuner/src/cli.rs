//! The command line: what can be typed, and the help for it.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use grulm_cli::{
    args::{ModelArgs, SamplingArgs, TrainArgs},
    exit::EXIT_STATUS,
    gate::Gate,
};

/// Fine-tunes GRU language models on your own examples.
///
/// A config file says which model to start from, which examples to learn from and how to train; `configs/finetune` holds
/// commented examples. `finetuner train -c CONFIG` trains, `finetuner predict MODEL` applies what was learned. Results go to
/// standard output, all else to standard error.
#[derive(Debug, Parser)]
#[command(name = "finetuner", version, after_help = EXIT_STATUS, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a pretrained model on the examples of a task; writes the run folder `run.dir`
    Train(TrainArgs),
    /// Score a model on examples whose answers are known
    Evaluate(EvaluateArgs),
    /// Apply a model: JSON lines in, JSON lines out, in order
    Predict(PredictArgs),
    /// Show what a model is: task, sizes, tokenizer, cleaning, where it comes from
    Inspect(InspectArgs),
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The examples: files, folders or globs, with the fields of the model's training data (.jsonl .csv .tsv, plain or .gz/.zst)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) data: Vec<String>,
    /// Examples that are read side by side; more is faster, and takes more memory
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch_size: u16,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the examples that the model got wrong to this file, with their text, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Exit with status 1 if this holds, as in `--fail-if 'accuracy<0.9'` (> >= < <=, any figure of --json); can be given
    /// many times
    #[arg(long, value_name = "EXPR")]
    pub(crate) fail_if: Vec<Gate>,
}

/// Options of `predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What to predict for, one JSON object a line; - is standard input
    #[arg(long, default_value = "-", value_name = "FILE|-")]
    pub(crate) input: Stream,
    /// Where the predictions go, a line for each line of the input, with its other fields kept; - is standard output
    #[arg(long, default_value = "-", value_name = "FILE|-")]
    pub(crate) output: Stream,
    /// Lines that are read side by side; more is faster, takes more memory, and answers later
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch_size: u16,
    /// How completions are drawn, where the model completes prompts.
    #[command(flatten, next_help_heading = "Generation")]
    pub(crate) sampling: SamplingArgs,
}

/// What a command reads from or writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard input or output, `-` on the command line.
    Standard,
    /// This file.
    File(PathBuf),
}

impl From<OsString> for Stream {
    fn from(argument: OsString) -> Self {
        if argument == "-" { Self::Standard } else { Self::File(argument.into()) }
    }
}

/// Options of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
