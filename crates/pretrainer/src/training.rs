//! From a config and a corpus to a task, and through the training loop.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grulm_cli::{
    compute::device_name,
    exit::Usage,
    logging,
    output::{count, grouped},
    sections::Sections as _,
    signals::Signals,
    stage::{Stage, Trained, save_smaller},
};
use grulm_config::{Invalid, differences};
use grulm_corpus::{Corpus, Settings, Split, fingerprint};
use grulm_model::{LanguageModel, WEIGHTS_FILE};
use grulm_tasks::{
    Batching, Bundle, LanguageModelling, Provenance, Task as _, TokenSplit,
    bundle::{locate, weights_sha256},
};
use grulm_train::{LayerSettings, RunFolder, Start, TrainConfig};
use tch::Device;

use crate::config::PretrainConfig;

/// Opens the corpus of `config`, which must be whole and made from the same text with the same settings. Where the text is
/// not here, the settings alone are compared. `file` is the config's, for messages.
///
/// # Errors
/// When it is not there, damaged, or prepared otherwise.
pub(crate) fn open_corpus(config: &PretrainConfig, file: &Path) -> anyhow::Result<Corpus> {
    let dir = &config.corpus.dir;
    let prepare = format!("run `pretrainer prepare -c {}` first", file.display());
    if !dir.join("manifest.json").is_file() {
        return Err(Usage(format!("{}: no corpus is there (`corpus.dir`); {prepare}", dir.display())).into());
    }
    let corpus = Corpus::open(dir)?;
    let now = Settings { corpus: config.corpus.clone(), tokenizer: config.tokenizer.clone() };
    let mut changed = differences(&corpus.manifest.config, &now)?;
    changed.retain(|difference| difference.key != "corpus.dir");
    let same = match fingerprint(&config.corpus, &config.tokenizer, config.run.threads) {
        Ok(fingerprint) => fingerprint == corpus.manifest.fingerprint,
        Err(error) if changed.is_empty() => {
            tracing::warn!("whether the text changed since {} was prepared cannot be told: {error}", dir.display());
            true
        }
        Err(_) => false,
    };
    if same {
        corpus.verify()?;
        return Ok(corpus);
    }
    let dir = dir.display();
    let list: Vec<_> = changed.iter().map(|d| format!("`{}` = {} was {}", d.key, d.right, d.left)).collect();
    let reason = if list.is_empty() {
        "from other content of the same files, or by another version".to_owned()
    } else {
        format!("with other settings ({})", list.join(", "))
    };
    Err(Usage(format!("{dir}: the corpus was prepared {reason}; {prepare}")).into())
}

/// A task that is ready for training.
pub(crate) struct Ready {
    /// The model and its data.
    pub(crate) task: LanguageModelling,
    provenance: Provenance,
}

/// Makes the model and puts it before its data.
///
/// # Errors
/// When the corpus is too small, or `train.init` does not fit.
pub(crate) fn assemble(config: &PretrainConfig, corpus: Corpus, device: Device) -> anyhow::Result<Ready> {
    let split = |split| -> anyhow::Result<Option<TokenSplit>> {
        let bytes = corpus.manifest.splits.get(&split).map_or(0, |info| info.bytes);
        Ok(corpus.stream(split)?.map(|stream| TokenSplit { stream, bytes }))
    };
    let train = split(Split::Train)?
        .ok_or_else(|| Usage(format!("{}: the corpus has no training text", corpus.dir.display())))?;
    let valid = split(Split::Valid)?;
    if valid.is_none() {
        tracing::warn!(
            "no validation text (corpus.valid, corpus.valid_fraction give none): the newest checkpoint counts as the best"
        );
    }
    let vocab_size = i64::try_from(corpus.tokenizer.vocab_size()).context("vocabulary")?;
    let model = LanguageModel::new(&config.model, vocab_size, config.run.seed, device)?;
    let parent = config.train.init.as_deref().map(|init| start_from(&model, init, &corpus)).transpose()?;
    let compute = config.compute(device);
    let batching = Batching {
        batch_size: config.train.batch_size,
        sequence_length: config.train.sequence_length,
        seed: config.run.seed,
        penalties: config.train.output_penalties(),
        compute,
    };
    let (parameters, tokens) = (model.params().count() as u64, train.stream.len());
    let provenance = Provenance {
        grulm: env!("CARGO_PKG_VERSION").to_owned(),
        corpus: Some(corpus.manifest.fingerprint.clone()),
        parent,
        ..Provenance::default()
    };
    let task = LanguageModelling::new(model, corpus.tokenizer, corpus.cleaner, &train, valid, batching)?;
    tracing::info!(
        "{} with {}, {} kernels, {} arithmetic; {} parameters; {} training tokens, {} an epoch",
        device_name(device),
        count(config.run.threads() as u64, "thread"),
        compute.kernels_on(device),
        compute.precision.name(),
        grouped(parameters),
        grouped(tokens),
        count(config.train.steps_per_epoch(task.batches_per_epoch()), "step")
    );
    Ok(Ready { task, provenance })
}

/// Checks that the model is there which training starts from, if it starts from one.
///
/// # Errors
/// When it is not.
pub(crate) fn check_init(config: &TrainConfig) -> Result<(), Invalid> {
    config.init.as_deref().map_or(Ok(()), |init| locate_init(init).map(|_| ()))
}

fn locate_init(init: &Path) -> Result<PathBuf, Invalid> {
    locate(init).map_err(|error| Invalid::new("train.init", init, format!("a model; {error}")))
}

/// Gives `model` the weights of the bundle `init`, and returns their hash.
fn start_from(model: &LanguageModel, init: &Path, corpus: &Corpus) -> anyhow::Result<String> {
    let refuse = |allowed: String| Invalid::new("train.init", init, allowed);
    let folder = locate_init(init)?;
    let parent: Bundle = Bundle::open(&folder, Device::Cpu).with_context(|| format!("`train.init` = {init:?}"))?;
    if parent.tokenizer.hash() != corpus.tokenizer.hash() {
        let file = folder.join("tokenizer.json");
        return Err(refuse(format!(
            "a model with the tokenizer of the corpus (hash {}; its own is {}); or set tokenizer.file = {file:?} and prepare the corpus again",
            corpus.tokenizer.hash(),
            parent.tokenizer.hash()
        ))
        .into());
    }
    // Dropouts are no part of the weights.
    let mut own = model.config().clone();
    own.dropout = parent.model.config().dropout.clone();
    if own != *parent.model.config() {
        let sizes = differences(parent.model.config(), &own)?;
        let list: Vec<_> = sizes.iter().map(|d| format!("`model.{}` = {}, there {}", d.key, d.right, d.left)).collect();
        return Err(refuse(format!("a model of the same sizes ({})", list.join(", "))).into());
    }
    if parent.cleaner.hash() != corpus.cleaner.hash() {
        tracing::warn!("the text of {} was cleaned otherwise than this corpus ([corpus.clean])", init.display());
    }
    model.params().load(&folder.join(WEIGHTS_FILE))?;
    tracing::info!("starting from the weights of {}", folder.display());
    Ok(weights_sha256(&folder)?)
}

/// Trains, and saves and stops where a signal comes.
///
/// # Errors
/// As [`grulm_train::train`].
pub(crate) fn train(config: &PretrainConfig, mut ready: Ready, start: Start) -> anyhow::Result<Trained> {
    let config_toml = grulm_config::to_toml(config)?;
    let folder = RunFolder::open(&config.run.dir, start, &config_toml)?;
    logging::attach(folder.path())?;
    let stage = Stage {
        number: 0,
        seed: config.run.seed,
        train: &config.train,
        layers: LayerSettings::default(),
        provenance: ready.provenance,
    };
    let signals = Signals::listen()?;
    let trained = stage.train(&mut ready.task, &folder, &signals)?;
    drop(signals);
    if let Trained::Best(best) = &trained {
        save_smaller(&config.run, &mut ready.task, best)?;
    }
    Ok(trained)
}
