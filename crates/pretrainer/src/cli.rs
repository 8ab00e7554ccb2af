//! The command line: what can be typed, and the help for it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use grulm_cli::{
    args::{ConfigArgs, ModelArgs, SamplingArgs, TrainArgs},
    exit::EXIT_STATUS,
    gate::Gate,
};
use grulm_kernels::Packing;

/// Trains GRU language models on your own text.
///
/// A config file says which text, what kind of tokenizer, how large a model and how to train it; `configs/pretrain` holds
/// commented examples. `pretrainer run -c CONFIG` does everything. Results go to standard output, all else to standard error.
#[derive(Debug, Parser)]
#[command(name = "pretrainer", version, after_help = EXIT_STATUS, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare the corpus if needed, train, and score the test split with the best checkpoint
    Run(TrainArgs),
    /// Turn text into a tokenizer and token files in the folder `corpus.dir`
    Prepare(PrepareArgs),
    /// Train on a corpus that `prepare` made; writes the run folder `run.dir`
    Train(TrainArgs),
    /// Score text: tokens, perplexity, bits per byte
    Evaluate(EvaluateArgs),
    /// Write on from a prompt
    Generate(GenerateArgs),
    /// Show what a model is: sizes, tokenizer, cleaning, where it comes from
    Inspect(InspectArgs),
    /// Try rising learning rates for a few steps and propose one; writes nothing
    FindLr(FindLrArgs),
}

/// Options of `prepare`.
#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Options of `find-lr`.
#[derive(Debug, Args)]
pub(crate) struct FindLrArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// How weights are stored and multiplied.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// 32-bit floating point
    Fp32,
    /// Bfloat16, summed up in 32 bits
    Bf16,
    /// Eight bits and a scale a row; on a CPU, a token at a time
    Int8,
}

impl From<PrecisionArg> for Packing {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::Fp32 => Self::Fp32,
            PrecisionArg::Bf16 => Self::Bf16,
            PrecisionArg::Int8 => Self::Int8,
        }
    }
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The text: files, folders or globs (.txt .jsonl .csv .tsv, plain or .gz/.zst, and .parquet); read and cleaned as the model's
    /// corpus was
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) text: Vec<String>,
    /// Pieces of the text that are read side by side. 1 is exact: the state is carried through the whole text. More is
    /// faster; each piece then begins after 128 tokens of context
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch_size: u16,
    /// How weights are stored and multiplied: what `generate --precision` costs
    #[arg(long, value_enum, default_value_t = PrecisionArg::Fp32, value_name = "P")]
    pub(crate) precision: PrecisionArg,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the score of each document (line, paragraph or record, as the model's corpus has it) to this file, one JSON
    /// object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) per_line: Option<PathBuf>,
    /// Exit with status 1 if this holds, as in `--fail-if 'perplexity>90'` (> >= < <=, any figure of --json); can be given
    /// many times
    #[arg(long, value_name = "EXPR")]
    pub(crate) fail_if: Vec<Gate>,
}

/// Options of `generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The text to go on from; may be empty
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: String,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// How weights are stored and multiplied; unless given, bf16 where the device multiplies it in hardware, else fp32
    #[arg(long, value_enum, value_name = "P")]
    pub(crate) precision: Option<PrecisionArg>,
    /// Print one JSON object at the end, instead of the text as it comes
    #[arg(long)]
    pub(crate) json: bool,
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
