//! The stage before the task: language modelling on its text.

use grulm_cli::{
    exit::of_section,
    output::{count, grouped},
    previous::{check_corpus, check_parent, newest_origin},
    signals::Signals,
    stage::{Stage, Trained},
};
use grulm_kernels::Compute;
use grulm_model::LanguageModel;
use grulm_tasks::{
    Batching, Examples, LanguageModelling, Task as _, TokenSplit,
    bundle::Basis,
    classification::{ClassificationConfig, read_text},
};
use grulm_train::{ADAPT, LayerSettings, PrecisionSetting, RunFolder, Start, TrainConfig, finished};
use serde::Serialize;
use tch::Device;

use crate::{config::FinetuneConfig, pretrained, ready::provenance, section::AdaptSection};

/// The number of this stage; that of the task is 1.
const ADAPT_STAGE: u64 = 0;

/// Where its settings stand.
const SECTION: &str = "finetune.adapt";

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
    signals: &Signals,
) -> anyhow::Result<Trained> {
    let dir = config.run.dir.join(ADAPT);
    let Basis { folder, shape, tokenizer, cleaner, weights_sha256, .. } =
        pretrained::open(&config.finetune, &config.task)?;
    let more = ("finetune.adapt.text", section.text.as_slice());
    let (train, valid) = read_text(task, more, &cleaner, &tokenizer)?;
    let origin = newest_origin(&dir)?;
    check_parent(&dir, origin.as_ref(), &weights_sha256)?;
    check_corpus(&dir, origin.as_ref(), train.sha256())?;
    if let Some(best) = finished(&dir)? {
        tracing::info!("{} has finished: the model is adapted already", dir.display());
        return Ok(Trained::Best(best));
    }
    let mut model = LanguageModel::open(&folder, device)?;
    model.set_dropout(config.finetune.sizes(&shape.model).dropout);
    let mut settings = section.train.clone();
    if settings.precision == PrecisionSetting::Auto {
        settings.precision = config.train.precision;
    }
    let batching = Batching {
        batch_size: settings.batch_size,
        sequence_length: settings.sequence_length,
        seed: config.run.seed,
        penalties: settings.output_penalties(),
        compute: Compute::fastest(config.run.kernels.named(), settings.precision.named(), device),
    };
    let split = |text: &Examples| TokenSplit { stream: text.stream().clone(), bytes: text.bytes() };
    let assembled =
        LanguageModelling::new(model, tokenizer, cleaner, &split(&train), valid.as_ref().map(split), batching);
    let mut task = assembled.map_err(|error| of_section(error.into(), SECTION))?;
    tracing::info!(
        "adapting the language model to {} tokens of text; {} an epoch",
        grouped(train.stream().len()),
        count(settings.steps_per_epoch(task.batches_per_epoch()), "step")
    );
    let folder = RunFolder::open(&dir, Start::Resume, &grulm_config::to_toml(&AdaptConfig { train: &settings })?)?;
    let stage = Stage {
        number: ADAPT_STAGE,
        seed: config.run.seed,
        train: &settings,
        layers: LayerSettings::default(),
        provenance: provenance(train.sha256(), Some(weights_sha256)),
    };
    stage.train(&mut task, &folder, signals).map_err(|error| of_section(error, SECTION))
}
