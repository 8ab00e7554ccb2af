//! The command line: what can be typed, and the help for it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand};
use grulm_cli::{
    args::{ModelArgs, SamplingArgs, TrainArgs},
    exit::{EXIT_STATUS, Usage},
    gate::Gate,
};
use grulm_config::Invalid;
use grulm_corpus::Encoding;
use grulm_tasks::{
    BundleModel as _,
    bundle::{self, locate},
    translation::{Ensemble, Search, Translator},
};
use tch::Device;

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
    /// Apply a model: rows in, JSON lines out, in order
    Predict(PredictArgs),
    /// Show what a model is: task, sizes, tokenizer, cleaning, where it comes from
    Inspect(InspectArgs),
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The examples: files, folders or globs, with the fields of the model's training data (.jsonl .csv .tsv, plain or .gz/.zst; questions also as SQuAD's .json)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) data: Vec<String>,
    /// What the files are in that have no byte order mark: a WHATWG label ("windows-1252", "gb18030"), or "auto"
    #[arg(long, default_value = "utf-8", value_name = "LABEL", value_parser = encoding)]
    pub(crate) encoding: Encoding,
    /// Translations: plain text files whose lines translate those of the --data files, which are then plain text too
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) references: Vec<String>,
    /// Examples that are read side by side; more is faster, and takes more memory
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch_size: u16,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the examples that the model got wrong to this file, with their text, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Translations: write each pair with its translation to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) per_line: Option<PathBuf>,
    /// Exit with status 1 if this holds, as in `--fail-if 'accuracy<0.9'` (> >= < <=, any figure of --json); can be given
    /// many times
    #[arg(long, value_name = "EXPR")]
    pub(crate) fail_if: Vec<Gate>,
    /// How translations are searched for.
    #[command(flatten, next_help_heading = "Translation")]
    pub(crate) search: SearchArgs,
}

/// Options of `predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What to predict for: .jsonl .csv .tsv, plain or .gz/.zst, and for questions SQuAD's .json; - is JSON lines on standard input
    #[arg(long, default_value = "-", value_name = "FILE|-")]
    pub(crate) input: Stream,
    /// What the input is in, unless it has a byte order mark: a WHATWG label ("windows-1252", "gb18030"), or "auto"; the output is
    /// in UTF-8
    #[arg(long, default_value = "utf-8", value_name = "LABEL", value_parser = encoding)]
    pub(crate) encoding: Encoding,
    /// Where the predictions go, a line for each line of the input, with its other fields kept; - is standard output
    #[arg(long, default_value = "-", value_name = "FILE|-")]
    pub(crate) output: Stream,
    /// Lines that are read side by side; more is faster, takes more memory, and answers later. With 1, each is answered as it
    /// comes
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch_size: u16,
    /// The input is plain text, a text a line, and so is the output: the label, completion or translation alone
    #[arg(long)]
    pub(crate) lines: bool,
    /// Answers to questions: writes the N likeliest, with their probabilities, as `candidates`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) n_best: Option<u16>,
    /// How completions are drawn, where the model completes prompts.
    #[command(flatten, next_help_heading = "Generation")]
    pub(crate) sampling: SamplingArgs,
    /// How translations are searched for.
    #[command(flatten, next_help_heading = "Translation")]
    pub(crate) search: SearchArgs,
}

/// An encoding by its label.
fn encoding(label: &str) -> Result<Encoding, Invalid> {
    Encoding::parse("--encoding", label)
}

/// How translations are searched for; what is not given is as the model's config had it.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Translations that are kept at each step; 1 is greedy, and the fastest
    #[arg(long, value_name = "N")]
    pub(crate) beam: Option<usize>,
    /// A translation's log probability is divided by its length to this power: more prefers longer ones
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    pub(crate) length_penalty: Option<f64>,
    /// More translation models, of the same tokenizer, that translate together with MODEL: the mean of their probabilities counts
    #[arg(long, num_args = 1.., value_name = "MODEL")]
    pub(crate) ensemble: Vec<PathBuf>,
}

impl SearchArgs {
    /// The search of the model's config, as changed.
    ///
    /// # Errors
    /// The option that cannot be used.
    pub(crate) fn search(&self, own: Search) -> Result<Search, Usage> {
        let search = Search {
            beam: self.beam.unwrap_or(own.beam),
            length_penalty: self.length_penalty.unwrap_or(own.length_penalty),
            ..own
        };
        let option = |invalid: Invalid| {
            Usage(Invalid { key: format!("--{}", invalid.key.replace('_', "-")), ..invalid }.to_string())
        };
        search.validate().map_err(option)?;
        Ok(search)
    }

    /// The models that translate: that in `folder`, and those of `--ensemble`.
    ///
    /// # Errors
    /// When one cannot be opened, or does not go with the others.
    pub(crate) fn open(&self, folder: &Path, device: Device) -> anyhow::Result<Ensemble> {
        let located = |path: &PathBuf| {
            let found = locate(path).map_err(|error| Usage(format!("--ensemble: {error}")))?;
            match bundle::kind(&found)?.as_str() {
                Translator::KIND => Ok(found),
                kind => Err(anyhow::Error::from(Usage(format!(
                    "--ensemble: {}: kind {kind:?}; expected {:?}",
                    found.display(),
                    Translator::KIND
                )))),
            }
        };
        let more = self.ensemble.iter().map(located).collect::<Result<Vec<_>, _>>()?;
        Ok(Ensemble::open(&[vec![folder.to_owned()], more].concat(), device)?)
    }

    /// Checks that nothing is asked of a model that does not translate.
    ///
    /// # Errors
    /// Names what is.
    pub(crate) fn refuse(&self) -> Result<(), Usage> {
        let given = [
            ("--beam", self.beam.is_some()),
            ("--length-penalty", self.length_penalty.is_some()),
            ("--ensemble", !self.ensemble.is_empty()),
        ];
        refuse_for_others(&given, "translate")
    }
}

/// Refuses options that are for models that do what `task` says, where the model does something else.
///
/// # Errors
/// Names the first that is given.
pub(crate) fn refuse_for_others(given: &[(&str, bool)], task: &str) -> Result<(), Usage> {
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Usage(format!("{name}: it is for models that {task}, which this one does not"))),
        None => Ok(()),
    }
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
