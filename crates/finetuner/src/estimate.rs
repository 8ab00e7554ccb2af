//! `--dry-run`: what training would take, by a few steps that are made and not kept.

use std::time::Duration;

use grulm_cli::output::{bytes, count, duration};
use grulm_tasks::{Provenance, Task};
use grulm_train::{Layers, Options, Resident, StopFlag, seconds_a_step};

use crate::{
    config::{FinetuneConfig, TaskConfig},
    ready::TASK_STAGE,
};

/// For about so long steps are measured.
const MEASURED: Duration = Duration::from_secs(3);

/// Disk, time and memory, as rows for people.
///
/// # Errors
/// When a step cannot be made.
pub(crate) fn estimate(config: &FinetuneConfig, task: &mut dyn Task) -> anyhow::Result<Vec<(String, String)>> {
    let train = &config.train;
    let learned: usize = task.params().iter().map(|param| param.tensor.numel()).sum();
    let numbers = task.params().count() as u64 + learned as u64 * train.optimizer_numbers();
    let checkpoint = numbers * size_of::<f32>() as u64;
    let mut rows =
        vec![("a checkpoint".to_owned(), format!("{}; {} are kept at most", bytes(checkpoint), train.keep + 1))];
    let mut row = |name: &str, value| rows.push((name.to_owned(), value));
    if let Some(budget) = train.budget {
        row("time", format!("{budget}, the budget, evaluations and checkpoints included"));
        return Ok(rows);
    }
    if reads_texts_once(config, task)? {
        row("time", "that of one pass over the texts, whose summaries the head then learns from".into());
        return Ok(rows);
    }
    let options = Options {
        seed: config.run.seed,
        stage: TASK_STAGE,
        config: train,
        layers: config.finetune.layers(),
        provenance: Provenance::default(),
        stop: &StopFlag::new(),
        progress: false,
    };
    let steps = train.total_steps(task.batches_per_epoch());
    let seconds = seconds_a_step(task, &options, MEASURED)?;
    let each = if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") };
    let besides = if config.finetune.adapt.is_some() { "adaptation and evaluations" } else { "evaluations" };
    let time = duration(seconds * steps as f64);
    row("time", format!("about {time} for {}, at {each} a step here; {besides} not counted", count(steps, "step")));
    if let Some(Resident { peak, .. }) = Resident::of_this_process() {
        row("memory", format!("{} for some steps; more where longer texts come together", bytes(peak)));
    }
    Ok(rows)
}

/// Whether only a classifier's head learns, so that a step says nothing of the time: the first reads all texts.
fn reads_texts_once(config: &FinetuneConfig, task: &dyn Task) -> anyhow::Result<bool> {
    let batches = task.batches_per_epoch();
    let layers = Layers::new(config.finetune.layers(), task.params(), config.train.steps_per_epoch(batches))?;
    let last = config.train.total_steps(batches).saturating_sub(1);
    let mut encoder = task.params().iter().filter(|param| param.name.starts_with("encoder."));
    let frozen = encoder.all(|param| layers.factor(param.group, last) == 0.0);
    Ok(frozen && matches!(config.task, TaskConfig::Classification(_)))
}
