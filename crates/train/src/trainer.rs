//! The training loop.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use grulm_tasks::{Scores, Task, bundle::Provenance};
use tch::{Device, Kind, Tensor};

use crate::{
    Error, StopFlag,
    budget::Speed,
    checkpoint,
    config::TrainConfig,
    divergence::{OnDivergence, rate_factor, roll_back},
    layers::{LayerSettings, Layers},
    recorder::{Recorder, Training},
    run_folder::{RunFolder, Start},
    state::{TrainState, Window},
    update::{Updated, Updater},
};

/// Everything about a run but the task and the folder.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// What all randomness derives from.
    pub seed: u64,
    /// The stage of a run of several; each has a folder and randomness of its own.
    pub stage: u64,
    /// The settings.
    pub config: &'a TrainConfig,
    /// Which layers learn.
    pub layers: LayerSettings,
    /// What a bundle says of its origin; the loop fills in step, tokens and scores.
    pub provenance: Provenance,
    /// Asks the loop to save and stop.
    pub stop: &'a StopFlag,
    /// Whether to show a progress bar where stderr is a terminal.
    pub progress: bool,
}

/// How [`train`] ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All steps were made, or `train.patience` ran out.
    Finished {
        /// The folder of the best checkpoint; the newest where the task has no validation data.
        best: PathBuf,
        /// Its validation figures.
        scores: Option<Scores>,
    },
    /// A signal came.
    Interrupted {
        /// Its number.
        signal: i32,
        /// The checkpoint that was saved; none where training had not begun.
        checkpoint: Option<PathBuf>,
    },
}

/// Trains `task` in `folder` as `options` say.
///
/// Every random draw and every batch is a function of the seed and the step, and everything else that the loop needs is in
/// its checkpoints: a run that was stopped goes on with [`Start::Resume`] as if it had not been, bit for bit.
///
/// # Errors
/// When settings or the folder's checkpoints cannot be used, the task fails, or the loss is not finite
/// ([`Error::Diverged`]) and [`TrainConfig::on_divergence`] is to stop, or has not helped.
pub fn train(task: &mut dyn Task, folder: &RunFolder, options: &Options<'_>) -> Result<Outcome, Error> {
    let begun = Instant::now();
    let config = options.config;
    config.validate()?;
    let layers = Layers::new(options.layers, task.params(), config.steps_per_epoch(task.batches_per_epoch()))?;
    let mut updater = Updater::new(config, layers, task.params())?;
    let resumed =
        if folder.start() == Start::Resume { resume(task, &mut updater, folder.path(), options)? } else { None };
    folder.write_config()?;
    let mut state = match resumed {
        Some(state) => state,
        None => TrainState::new(options.seed, options.stage, total_steps(task, folder, options, begun)?),
    };
    if state.finished {
        tracing::info!("this run has already finished, at step {} of {}", state.step, state.total_steps);
        return finished(folder, &state);
    }
    if let (Some(signal), 0) = (options.stop.signal(), state.step) {
        return Ok(Outcome::Interrupted { signal, checkpoint: None });
    }

    let rates = config.rates();
    let evaluate_every = config.evaluate_every(task.batches_per_epoch());
    let mut recorder = Recorder::open(folder.path(), &state, begun, options.progress)?;
    let mut window = LossWindow::new(state.window, task);
    if state.step == 0 && config.on_divergence == OnDivergence::Rollback {
        save(task, &updater, folder, options, &mut state, None)?;
    }
    while !state.finished {
        let learning_rate = rates.at(state.step, state.total_steps) * rate_factor(state.rollbacks);
        let updated = updater.update(task, state.seed, state.stage, state.step, learning_rate);
        let updated = updated.map_err(|error| error.with_sizes(config))?;
        state.step += 1;
        state.tokens += updated.count;
        window.add(&updated)?;
        recorder.step(&state);

        let last = state.step >= state.total_steps;
        let due = |every: u64| last || state.step.is_multiple_of(every);
        let (log, evaluate, signal) = (due(config.log_every), due(evaluate_every), options.stop.signal());
        let mut save_now = due(config.checkpoint_every) || signal.is_some();

        // On a CPU a look costs nothing; a GPU would have to be waited for.
        let looks = log || evaluate || save_now || task.params().device() == Device::Cpu;
        if looks && let Some(skipped) = updater.first_skipped()? {
            let elapsed_seconds = recorder.elapsed();
            let earlier = roll_back(task, &mut updater, folder, config, &state, skipped)?;
            state = TrainState { elapsed_seconds, ..earlier };
            recorder = Recorder::open(folder.path(), &state, Instant::now(), options.progress)?;
            window = LossWindow::new(state.window, task);
            continue;
        }
        if log {
            let loss = window.take()?;
            let (grad_norm, unit) = (f64::try_from(&updated.grad_norm)?, task.unit());
            recorder
                .training(&state, &Training { loss, figures: task.figures(loss), learning_rate, grad_norm, unit })?;
        }
        let mut scores = None;
        if evaluate {
            let (evaluated, took) = recorder.aside(|| task.evaluate());
            scores = evaluated.map_err(|error| Error::from(error).with_sizes(config))?;
            if let Some(scores) = &scores {
                let improved = state.note(scores);
                recorder.evaluation(&state, scores, improved, took)?;
                save_now |= improved;
            }
        }
        let impatient = config.patience > 0 && state.evaluations_since_best >= config.patience;
        if impatient && !last {
            recorder.say(|| tracing::info!("no better evaluation in {}: stopping early", config.patience));
        }
        state.finished = last || impatient;

        if save_now || state.finished {
            state.window = window.read()?;
            state.metrics_bytes = recorder.sync()?;
            state.elapsed_seconds = recorder.elapsed();
            let (saved, _) = recorder.aside(|| save(task, &updater, folder, options, &mut state, scores.as_ref()));
            let saved = saved?;
            if let (Some(signal), false) = (signal, state.finished) {
                recorder.say(|| tracing::info!("stopped by signal {signal} at step {}, which is saved", state.step));
                return Ok(Outcome::Interrupted { signal, checkpoint: Some(saved) });
            }
        }
    }
    finished(folder, &state)
}

/// The number of updates of a new run.
fn total_steps(task: &mut dyn Task, folder: &RunFolder, options: &Options<'_>, begun: Instant) -> Result<u64, Error> {
    let config = options.config;
    let epoch = task.batches_per_epoch();
    let Some(budget) = config.budget else { return Ok(config.total_steps(epoch)) };
    if config.steps.is_some() || config.epochs.is_some() {
        tracing::warn!("train.budget says how long training takes; train.steps and train.epochs are not used");
    }
    let speed = Speed::measure(task, options, folder.path(), budget.0).map_err(|error| error.with_sizes(config))?;
    let left = budget.0.saturating_sub(begun.elapsed()).as_secs_f64();
    let total = speed.steps_within(left, config.evaluate_every(epoch), config.checkpoint_every);
    tracing::info!(
        "{} s are left of the budget of {}: {total} steps of {:.1} ms, {:.2} s an evaluation, {:.2} s a checkpoint",
        left.round(),
        budget,
        speed.step * 1e3,
        speed.evaluation,
        speed.checkpoint
    );
    Ok(total)
}

/// Loads the newest whole checkpoint; none where the run was stopped before its first.
fn resume(
    task: &mut dyn Task,
    updater: &mut Updater,
    run_dir: &Path,
    options: &Options<'_>,
) -> Result<Option<TrainState>, Error> {
    let Some((checkpoint, mut state)) = checkpoint::newest_whole(run_dir)? else {
        tracing::info!("{}: no checkpoint to go on from; starting at step 0", run_dir.display());
        return Ok(None);
    };
    if state.seed != options.seed {
        let allowed = format!("{}, with which the run was begun", state.seed);
        return Err(grulm_config::Invalid::new("run.seed", options.seed, allowed).into());
    }
    checkpoint::load(&checkpoint, task, &mut updater.optimizer)?;
    let config = options.config;
    // A budget was turned into steps when the run began.
    let total = match config.budget {
        Some(_) => state.total_steps,
        None => config.total_steps(task.batches_per_epoch()),
    };
    if total < state.total_steps {
        return Err(config.too_short(state.total_steps, task.batches_per_epoch()).into());
    }
    if total > state.total_steps {
        tracing::info!("extending the run from {} to {total} steps", state.total_steps);
        state.total_steps = total;
        state.finished = false;
        state.evaluations_since_best = 0;
    }
    checkpoint::forget_lost_best(run_dir, &mut state)?;
    tracing::info!("resuming from {}", checkpoint.display());
    Ok(Some(state))
}

fn finished(folder: &RunFolder, state: &TrainState) -> Result<Outcome, Error> {
    let scores = state.best.as_ref().map(|best| best.scores.clone());
    Ok(Outcome::Finished { best: checkpoint::best_checkpoint(folder.path())?, scores })
}

/// Saves a checkpoint of `state`.
fn save(
    task: &dyn Task,
    updater: &Updater,
    folder: &RunFolder,
    options: &Options<'_>,
    state: &mut TrainState,
    scores: Option<&Scores>,
) -> Result<PathBuf, Error> {
    let provenance = Provenance {
        step: state.step,
        tokens: state.tokens,
        scores: scores.into_iter().flat_map(Scores::finite).collect(),
        ..options.provenance.clone()
    };
    checkpoint::save(folder.path(), task, &updater.optimizer, state, &provenance, options.config.keep)
}

/// The loss since the last line of metrics, summed on the device.
struct LossWindow {
    sum: Tensor,
    count: u64,
}

impl LossWindow {
    fn new(window: Window, task: &dyn Task) -> Self {
        let sum = Tensor::full([], window.loss_sum, (Kind::Double, task.params().device()));
        Self { sum, count: window.count }
    }

    fn add(&mut self, updated: &Updated) -> Result<(), Error> {
        let _ = self.sum.f_add_(&updated.loss_sum)?;
        self.count += updated.count;
        Ok(())
    }

    /// Reads the device.
    fn read(&self) -> Result<Window, Error> {
        Ok(Window { loss_sum: f64::try_from(&self.sum)?, count: self.count })
    }

    /// The mean loss; begins a new window. Reads the device.
    fn take(&mut self) -> Result<f64, Error> {
        let Window { loss_sum, count } = self.read()?;
        let _ = self.sum.f_zero_()?;
        self.count = 0;
        Ok(loss_sum / count.max(1) as f64)
    }
}
