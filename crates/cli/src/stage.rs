//! A stage of a run: a task, trained in a folder, until it ends or a signal comes.

use std::path::{Path, PathBuf};

use grulm_model::WeightFormat;
use grulm_tasks::{Provenance, Task};
use grulm_train::{LayerSettings, Options, Outcome, RunConfig, RunFolder, TrainConfig, export, is_exported};

use crate::{exit::Ending, output, signals::Signals};

/// What a stage does.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Its number; a run of one stage has 0.
    pub number: u64,
    /// The run's seed.
    pub seed: u64,
    /// How it is trained.
    pub train: &'a TrainConfig,
    /// Which layers learn.
    pub layers: LayerSettings,
    /// What its bundles say of their origin.
    pub provenance: Provenance,
}

/// How a stage ended.
#[derive(Debug)]
pub enum Trained {
    /// The folder of the best checkpoint.
    Best(PathBuf),
    /// A signal came.
    Stopped(Ending),
}

impl Stage<'_> {
    /// Trains `task` in `folder`, and saves and stops where a signal comes. One that comes at its end stops what is behind it.
    ///
    /// # Errors
    /// As [`grulm_train::train`].
    pub fn train(self, task: &mut dyn Task, folder: &RunFolder, signals: &Signals) -> anyhow::Result<Trained> {
        let options = Options {
            seed: self.seed,
            stage: self.number,
            config: self.train,
            layers: self.layers,
            provenance: self.provenance,
            stop: signals.stop(),
            progress: true,
        };
        Ok(match grulm_train::train(task, folder, &options)? {
            Outcome::Finished { best, .. } => match signals.stop().signal() {
                None => Trained::Best(best),
                Some(signal) => {
                    tracing::info!(
                        "stopped by signal {signal}; this training has finished, --resume does what comes after it"
                    );
                    Trained::Stopped(Ending::Stopped(signal))
                }
            },
            Outcome::Interrupted { signal, checkpoint } => {
                say_where(checkpoint.as_deref());
                Trained::Stopped(Ending::Stopped(signal))
            }
        })
    }
}

fn say_where(checkpoint: Option<&Path>) {
    match checkpoint {
        Some(checkpoint) => tracing::info!("go on from {} with --resume", checkpoint.display()),
        None => tracing::info!("stopped before the first step; nothing was to be saved"),
    }
}

/// Saves the best checkpoint once more in the smaller format that the config asks for, if it does, and says what that cost.
///
/// # Errors
/// As [`grulm_train::export`].
pub fn save_smaller(run: &RunConfig, task: &mut dyn Task, best: &Path) -> anyhow::Result<()> {
    if run.save_as == WeightFormat::Fp32 || is_exported(&run.dir, best, run.save_as) {
        return Ok(());
    }
    let (folder, scores) = export(task, best, &run.dir, run.save_as)?;
    let figures = scores.map(|scores| scores.figures).unwrap_or_default();
    let figures: Vec<_> =
        output::figure_rows(&figures).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
    tracing::info!("saved in {} as {}; validation {}", run.save_as.name(), folder.display(), figures.join(", "));
    Ok(())
}
