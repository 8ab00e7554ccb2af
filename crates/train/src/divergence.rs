//! What happens when the loss is not finite: the run stops, or goes back to its last good checkpoint.

use grulm_tasks::Task;
use serde::{Deserialize, Serialize};

use crate::{
    Error, checkpoint,
    config::{PrecisionSetting, TrainConfig},
    run_folder::RunFolder,
    state::TrainState,
    update::Updater,
};

/// What to do when a loss or its gradient is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDivergence {
    /// Ends the run with an error.
    Stop,
    /// Goes back to the newest checkpoint, at half the learning rate from there on; three times at most.
    Rollback,
}

/// Times that a run goes back before it gives up.
const MOST_ROLLBACKS: u64 = 3;

/// What the learning rate is multiplied with after so many rollbacks.
pub(crate) fn rate_factor(rollbacks: u64) -> f64 {
    0.5f64.powi(i32::try_from(rollbacks).unwrap_or(i32::MAX))
}

/// Goes back to the newest checkpoint from `state`, where update number `step` had to be skipped, if the settings allow it.
///
/// # Errors
/// [`Error::Diverged`] where they do not, or where going back has not helped; or when the checkpoint cannot be read.
pub(crate) fn roll_back(
    task: &mut dyn Task,
    updater: &mut Updater,
    folder: &RunFolder,
    config: &TrainConfig,
    state: &TrainState,
    step: u64,
) -> Result<TrainState, Error> {
    if config.on_divergence == OnDivergence::Stop || state.rollbacks >= MOST_ROLLBACKS {
        return Err(diverged(folder, config, state, step)?);
    }
    let Some((path, mut earlier)) = checkpoint::newest_whole(folder.path())? else {
        return Err(diverged(folder, config, state, step)?);
    };
    checkpoint::load(&path, task, &mut updater.optimizer)?;
    updater.forget_skipped()?;
    checkpoint::forget_lost_best(folder.path(), &mut earlier)?;
    earlier.rollbacks = state.rollbacks + 1;
    earlier.total_steps = state.total_steps;
    tracing::warn!(
        "the loss or its gradient was not finite at step {step}: back to {}, from which on the learning rate is {} times \
         what the schedule says (rollback {} of {MOST_ROLLBACKS})",
        path.display(),
        rate_factor(earlier.rollbacks),
        earlier.rollbacks
    );
    Ok(earlier)
}

fn diverged(folder: &RunFolder, config: &TrainConfig, state: &TrainState, step: u64) -> Result<Error, Error> {
    let mut kept = match checkpoint::list(folder.path())?.first() {
        Some((_, path)) => format!("the last good checkpoint is {}", path.display()),
        None => "no checkpoint had been saved yet".to_owned(),
    };
    if state.rollbacks > 0 {
        kept.push_str(&format!(", to which the run went back {} times", state.rollbacks));
    }
    let rate = config.learning_rate * rate_factor(state.rollbacks);
    let mut advice = format!("Try a lower train.learning_rate than {rate}, or a longer train.warmup");
    if config.clip_norm == 0.0 {
        advice.push_str(", or train.clip_norm = 1.0");
    }
    if config.precision != PrecisionSetting::Fp32 {
        advice.push_str(", or train.precision = \"fp32\"");
    }
    if config.on_divergence == OnDivergence::Stop {
        advice.push_str(", or train.on_divergence = \"rollback\"");
    }
    Ok(Error::Diverged { step, kept, advice })
}
