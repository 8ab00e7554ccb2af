//! A task that is ready for training.

use grulm_cli::{
    compute::device_name,
    output::{count, grouped},
};
use grulm_config::Invalid;
use grulm_kernels::Compute;
use grulm_tasks::{Provenance, Task};
use grulm_train::Layers;
use tch::Device;

use crate::config::FinetuneConfig;

/// The number of the stage that learns the task; that of adaptation is 0.
pub(crate) const TASK_STAGE: u64 = 1;

/// With fewer steps than this, a warning is due.
const FEW: u64 = 100;

/// What the bundles of a task say of their origin. `corpus`: the fingerprint of its data; `parent`: the SHA-256 of the weights that
/// it starts from, where it does.
pub(crate) fn provenance(corpus: &str, parent: Option<String>) -> Provenance {
    let grulm = env!("CARGO_PKG_VERSION").to_owned();
    Provenance { grulm, corpus: Some(corpus.to_owned()), parent, ..Provenance::default() }
}

/// Says what it means that there is no validation data, where there is none. `keys` would make some.
pub(crate) fn warn_unless_validated(validated: bool, keys: &str) {
    if !validated {
        tracing::warn!("no validation data ({keys} give none): the newest checkpoint counts as the best");
    }
}

/// Checks that the test files `patterns` hold any of the `rows` that they were read for.
///
/// # Errors
/// When there is none.
pub(crate) fn check_test(patterns: impl std::fmt::Debug, rows: usize) -> Result<(), Invalid> {
    Invalid::check("task.test", patterns, rows > 0, "files that hold something to score")
}

/// A task, and what is known before training.
pub(crate) struct Ready {
    pub(crate) task: Box<dyn Task>,
    pub(crate) provenance: Provenance,
    /// Sizes of data and model, for people.
    pub(crate) facts: Vec<(String, String)>,
}

impl Ready {
    /// Checks that the layers can be trained as the config says, before anything is written, and says what is trained.
    ///
    /// # Errors
    /// When more layers are to be frozen than there are.
    pub(crate) fn new(
        config: &FinetuneConfig,
        task: Box<dyn Task>,
        provenance: Provenance,
        mut facts: Vec<(String, String)>,
        compute: Compute,
        device: Device,
    ) -> anyhow::Result<Self> {
        let params = task.params();
        let batches = task.batches_per_epoch();
        let epoch = config.train.steps_per_epoch(batches);
        let layers = Layers::new(config.finetune.layers(), params, epoch)?;
        let steps = config.train.total_steps(batches);
        let learns = params.iter().filter(|param| layers.factor(param.group, steps.saturating_sub(1)) > 0.0);
        let learning: u64 = learns.map(|param| param.tensor.numel() as u64).sum();
        let parameters = format!("{}, {} of them learn", grouped(params.count() as u64), grouped(learning));
        facts.push(("parameters".into(), parameters.clone()));
        let steps = match config.train.budget {
            Some(_) => count(epoch, "step") + " an epoch, as many as train.budget allows",
            None => {
                if steps < FEW {
                    let said = count(steps, "step");
                    tracing::warn!("{said} in all teach little: more epochs, or a smaller train.batch_size, make more");
                }
                format!("{}, {} an epoch", count(steps, "step"), grouped(epoch))
            }
        };
        facts.push(("length".into(), steps));
        tracing::info!(
            "{} with {}, {} kernels, {} arithmetic; parameters {parameters}; {} an epoch",
            device_name(device),
            count(config.run.threads() as u64, "thread"),
            compute.kernels_on(device),
            compute.precision.name(),
            count(epoch, "step")
        );
        Ok(Self { task, provenance, facts })
    }
}
