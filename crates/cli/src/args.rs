//! Arguments that commands of more than one binary take.

use std::path::PathBuf;

use clap::Args;
use grulm_train::{DeviceSetting, Start};

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
    /// Say what would be done, with estimates of memory, disk and time, and write nothing
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
