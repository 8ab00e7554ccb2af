//! The stage before the task: language modelling on its text.

use grulm_cli::{
    output::{count, grouped},
    stage::{Stage, Trained},
};
use grulm_kernels::Compute;
use grulm_model::LanguageModel;
use grulm_tasks::{
    Batching, Examples, LanguageModelling, Provenance, Task as _, TokenSplit,
    bundle::Basis,
    classification::{ClassificationConfig, read_text},
};
use grulm_train::{ADAPT, LayerSettings, PrecisionSetting, RunFolder, Start, TrainConfig, finished};
use serde::Serialize;
use tch::Device;

use crate::{
    config::{AdaptSection, FinetuneConfig},
    pretrained,
};

/// The number of this stage; that of the task is 1.
const ADAPT_STAGE: u64 = 0;

/// What `config.toml` of the stage's folder says.
#[derive(Serialize)]
struct AdaptConfig<'a> {
    train: &'a TrainConfig,
}

/// Adapts the pretrained model, in a folder inside the run's, which this process has locked. What is done is not done again.
///
/// # Errors
/// When the text cannot be read, or training fails.
pub(crate) fn adapt(
    config: &FinetuneConfig,
    section: &AdaptSection,
    task: &ClassificationConfig,
    device: Device,
) -> anyhow::Result<Trained> {
    let dir = config.run.dir.join(ADAPT);
    if let Some(best) = finished(&dir)? {
        tracing::info!("{} has finished: the model is adapted already", dir.display());
        return Ok(Trained::Best(best));
    }
    let Basis { folder, tokenizer, cleaner, weights_sha256, .. } = pretrained::open(&config.finetune, &config.task)?;
    let mut model = LanguageModel::open(&folder, device)?;
    if let Some(dropout) = &config.finetune.dropout {
        model.set_dropout(dropout.clone());
    }
    let more = ("finetune.adapt.text", section.text.as_slice());
    let (train, valid) = read_text(task, more, &cleaner, &tokenizer)?;
    let mut settings = section.train.clone();
    if settings.precision == PrecisionSetting::Auto {
        settings.precision = config.train.precision;
    }
    let kernels = config.run.kernels.resolve();
    let batching = Batching {
        batch_size: settings.batch_size,
        sequence_length: settings.sequence_length,
        seed: config.run.seed,
        penalties: settings.output_penalties(),
        compute: Compute { precision: settings.precision.resolve(device, kernels), kernels },
    };
    let provenance = Provenance {
        grulm: env!("CARGO_PKG_VERSION").to_owned(),
        corpus: Some(train.sha256().to_owned()),
        parent: Some(weights_sha256),
        ..Provenance::default()
    };
    let split = |text: &Examples| TokenSplit { stream: text.stream().clone(), bytes: text.bytes() };
    let mut task =
        LanguageModelling::new(model, tokenizer, cleaner, &split(&train), valid.as_ref().map(split), batching)?;
    tracing::info!(
        "adapting the language model to {} tokens of text; {} an epoch",
        grouped(train.stream().len()),
        count(task.steps_per_epoch(settings.accumulate), "step")
    );
    let folder = RunFolder::open(&dir, Start::Resume, &grulm_config::to_toml(&AdaptConfig { train: &settings })?)?;
    let stage = Stage {
        number: ADAPT_STAGE,
        seed: config.run.seed,
        train: &settings,
        layers: LayerSettings::default(),
        provenance,
    };
    stage.train(&mut task, &folder)
}
