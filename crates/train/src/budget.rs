//! From a wall-clock budget to a number of steps.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use grulm_durable::PART;
use grulm_tasks::{Task, bundle::Provenance};

use crate::{
    Error, Options,
    checkpoint::{self, FOLDER},
    layers::{LayerSettings, Layers, Unfreeze},
    snapshot::Snapshot,
    state::TrainState,
    update::Updater,
};

/// What things take here, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed {
    /// One update: the median.
    pub(crate) step: f64,
    /// One evaluation.
    pub(crate) evaluation: f64,
    /// Writing one checkpoint: the slowest.
    pub(crate) checkpoint: f64,
}

/// Updates before the first that is timed: allocators and caches settle.
const WARM_UP: u64 = 3;
/// Fewest updates that are timed.
const FEWEST: usize = 3;
/// Longest time that updates are timed for, and the part of the budget that it may take.
const LONGEST: Duration = Duration::from_secs(10);
const PART_OF_BUDGET: u32 = 20;
/// Checkpoints that are written, at most, in that time once more.
const CHECKPOINTS: usize = 3;
/// Part of the time left that is planned for: machines slow down.
const PLANNED: f64 = 0.95;

impl Speed {
    /// Measures on state that is thrown away: weights and carried state are as before when this returns.
    pub(crate) fn measure(
        task: &mut dyn Task,
        options: &Options<'_>,
        run_dir: &Path,
        budget: Duration,
    ) -> Result<Self, Error> {
        let before = Snapshot::take(task)?;
        let measured = measure(task, options, run_dir, LONGEST.min(budget / PART_OF_BUDGET));
        before.restore(task)?;
        measured
    }

    /// The number of steps that fit into `seconds`, one at least.
    pub(crate) fn steps_within(&self, seconds: f64, evaluate_every: u64, checkpoint_every: u64) -> u64 {
        // The evaluation and the checkpoint at the end.
        let training = seconds * PLANNED - self.evaluation - self.checkpoint;
        // Each evaluation may be the best so far, and then a checkpoint follows.
        let evaluations = (self.evaluation + self.checkpoint) / evaluate_every as f64;
        let each = self.step + evaluations + self.checkpoint / checkpoint_every as f64;
        ((training / each.max(1e-9)) as u64).max(1)
    }
}

/// Seconds that an update takes here with all layers learning that ever do: the median of those that are made in about `longest`,
/// a few at least. The weights and what `task` carries are as before when this returns.
///
/// # Errors
/// When settings cannot be used, or the task fails.
pub fn seconds_a_step(task: &mut dyn Task, options: &Options<'_>, longest: Duration) -> Result<f64, Error> {
    options.config.validate()?;
    let before = Snapshot::take(task)?;
    let timed = time_updates(task, options, longest).map_err(|error| error.with_sizes(options.config));
    before.restore(task)?;
    timed.map(|(_, _, median)| median)
}

/// Makes updates for about so long. Returns what made them, how many there were, and the median of their seconds.
fn time_updates(task: &mut dyn Task, options: &Options<'_>, longest: Duration) -> Result<(Updater, u64, f64), Error> {
    let &Options { seed, stage, config, stop, .. } = options;
    // The slowest steps are those in which all layers learn that ever do.
    let layers = LayerSettings { unfreeze: Unfreeze::None, ..options.layers };
    let layers = Layers::new(layers, task.params(), config.steps_per_epoch(task.batches_per_epoch()))?;
    let mut updater = Updater::new(config, layers, task.params())?;
    let mut times = Vec::new();
    let begun = Instant::now();
    let mut step = 0;
    while stop.signal().is_none() && (times.len() < FEWEST || begun.elapsed() < longest) {
        let start = Instant::now();
        updater.update(task, seed, stage, step, config.learning_rate * RATE)?;
        // Reading from the device waits for it.
        updater.first_skipped()?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
        step += 1;
    }
    times.sort_by(f64::total_cmp);
    Ok((updater, step, times.get(times.len() / 2).copied().unwrap_or(0.0)))
}

fn measure(task: &mut dyn Task, options: &Options<'_>, run_dir: &Path, longest: Duration) -> Result<Speed, Error> {
    let &Options { seed, stage, stop, .. } = options;
    let (updater, steps, step) = time_updates(task, options, longest)?;
    let start = Instant::now();
    if stop.signal().is_none() {
        task.evaluate()?;
    }
    let evaluation = start.elapsed().as_secs_f64();
    let part = run_dir.join(FOLDER).join(format!("probe{PART}"));
    let mut state = TrainState::new(seed, stage, steps);
    // Disks sync in another time each time: the slowest counts.
    let (begun, mut checkpoint) = (Instant::now(), 0f64);
    for written in 0..CHECKPOINTS {
        if written == 0 || (stop.signal().is_none() && begun.elapsed() < longest) {
            let took = checkpoint::write(&part, task, &updater.optimizer, &mut state, &Provenance::default());
            let removed = std::fs::remove_dir_all(&part).map_err(Error::io(&part));
            checkpoint = checkpoint.max(took?);
            removed?;
        }
    }
    Ok(Speed { step, evaluation, checkpoint })
}

/// The probe's part of the learning rate: numbers that grow without bound would take another time.
const RATE: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_fit_into_the_time() {
        let check = |step, evaluation, checkpoint, seconds, evaluate_every, expect: u64| {
            let found = Speed { step, evaluation, checkpoint }.steps_within(seconds, evaluate_every, 1000);
            // Rounding may cost a step.
            assert!(found.abs_diff(expect) <= 1, "{found}, expected {expect}");
        };
        check(0.1, 0.0, 0.0, 100.0, 1, 950);
        check(0.1, 5.0, 0.0, 100.0, u64::MAX, 900);
        check(0.1, 5.0, 0.0, 100.0, 100, 600);
        check(0.1, 4.0, 1.0, 100.0, 100, 596);
        check(10.0, 0.0, 0.0, 1.0, 1, 1);
        check(0.1, 1e9, 0.0, 100.0, 1, 1);
        check(0.1, 0.0, 0.0, -5.0, 1, 1);
    }
}
