//! A task that is ready for training.

use grulm_cli::{
    compute::device_name,
    output::{count, grouped},
};
use grulm_kernels::Compute;
use grulm_tasks::{Provenance, Task};
use grulm_train::Layers;
use tch::Device;

use crate::config::FinetuneConfig;

/// The number of the stage that learns the task; that of adaptation is 0.
pub(crate) const TASK_STAGE: u64 = 1;

/// With fewer steps than this, a warning is due.
const FEW: u64 = 100;

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
        let epoch = task.steps_per_epoch(config.train.accumulate);
        let layers = Layers::new(config.finetune.layers(), params, epoch)?;
        let steps = config.train.total_steps(epoch);
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
            compute.kernels.name(),
            compute.precision.name(),
            count(epoch, "step")
        );
        Ok(Self { task, provenance, facts })
    }
}
