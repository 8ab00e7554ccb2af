//! Arguments that commands of more than one binary take.

use std::path::PathBuf;

use clap::Args;
use grulm_config::Invalid;
use grulm_model::Sampling;
use grulm_train::{DeviceSetting, Start};

use crate::exit::Usage;

/// The config file and changes to it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The config file (TOML); paths in it are relative to the working folder
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Change one key of the config, as in `--set train.learning_rate=3e-4`; can be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Options of a command that trains.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The config, which may change from the command line.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Go on from the last checkpoint of the run folder, exactly as if the run had never stopped; where there is no run yet,
    /// start one. Device, threads, logging, names of files and a larger number of steps may differ from the run's config.toml
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Delete the run that the run folder holds, and start anew
    #[arg(long)]
    pub overwrite: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl TrainArgs {
    /// What to do about a run that the folder already holds.
    #[must_use]
    pub fn start(&self) -> Start {
        match self {
            Self { resume: true, .. } => Start::Resume,
            Self { overwrite: true, .. } => Start::Overwrite,
            _ => Start::Fresh,
        }
    }
}

/// The model, and what computes.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// A model: a bundle folder, or a run folder, which means its best checkpoint
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// What computes: "auto" (the first CUDA device, else the CPU), "cpu", "cuda", "cuda:1"
    #[arg(long, default_value = "auto")]
    pub device: DeviceSetting,
    /// CPU threads; 0 means every core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

/// How text is drawn from a model.
#[derive(Debug, Args)]
pub struct SamplingArgs {
    /// Tokens to generate, at most; the text ends earlier where the model ends it
    #[arg(long, default_value_t = Self::DEFAULT.max_tokens, value_name = "N")]
    pub max_tokens: usize,
    /// Below 1 the likely becomes likelier, above 1 less so; 0 always takes the most likely token
    #[arg(long, default_value_t = Self::DEFAULT.temperature, value_name = "T", allow_negative_numbers = true)]
    pub temperature: f64,
    /// Draw only from the K most likely tokens; 0 means all
    #[arg(long, default_value_t = Self::DEFAULT.top_k, value_name = "K")]
    pub top_k: usize,
    /// Draw only from the most likely tokens whose probabilities add up to P
    #[arg(long, default_value_t = Self::DEFAULT.top_p, value_name = "P", allow_negative_numbers = true)]
    pub top_p: f64,
    /// Above 1, tokens that stand in the text already become less likely
    #[arg(long, default_value_t = Self::DEFAULT.repetition_penalty, value_name = "R", allow_negative_numbers = true)]
    pub repetition_penalty: f64,
    /// The same seed gives the same text
    #[arg(long, default_value_t = Self::DEFAULT.seed, value_name = "S")]
    pub seed: u64,
}

impl SamplingArgs {
    const DEFAULT: Self =
        Self { max_tokens: 200, temperature: 0.8, top_k: 0, top_p: 0.95, repetition_penalty: 1.0, seed: 0 };

    /// The settings, as checked.
    ///
    /// # Errors
    /// The option that cannot be used.
    pub fn sampling(&self) -> Result<Sampling, Usage> {
        let &Self { temperature, top_k, top_p, repetition_penalty, seed, .. } = self;
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty, seed };
        let usage = |invalid: Invalid| Usage(Invalid { key: format!("--{}", invalid.key), ..invalid }.to_string());
        sampling.validate().map_err(usage)?;
        Ok(sampling)
    }

    /// Each option, and whether it is another than it is where none is given.
    #[must_use]
    pub fn given(&self) -> [(&'static str, bool); 6] {
        let own = Self::DEFAULT;
        [
            ("--max-tokens", self.max_tokens != own.max_tokens),
            ("--temperature", self.temperature != own.temperature),
            ("--top-k", self.top_k != own.top_k),
            ("--top-p", self.top_p != own.top_p),
            ("--repetition-penalty", self.repetition_penalty != own.repetition_penalty),
            ("--seed", self.seed != own.seed),
        ]
    }
}
