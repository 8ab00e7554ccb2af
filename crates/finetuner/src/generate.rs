//! From a config to a generator in training.

use std::path::Path;

use grulm_cli::{output::count, sections::Sections as _};
use grulm_corpus::{Cleaner, Special, Tokenizer};
use grulm_kernels::Compute;
use grulm_model::{LanguageModel, Site, WEIGHTS_FILE};
use grulm_tasks::{
    Batching, Bundle, Examples, LanguageModelling, Task, TokenSplit,
    bundle::Basis,
    generation::{
        Completer, CompleterSettings, Completing, GenerationConfig, GenerationData, GenerationFormat,
        read_generation_data, read_generation_files, score_completions,
    },
    score_split,
};
use tch::Device;

use crate::{
    config::FinetuneConfig,
    ready::{Ready, TASK_STAGE, check_test, provenance, warn_unless_validated},
};

/// Reads the data and puts the pretrained model before it.
///
/// # Errors
/// When the data cannot be read, or there is too little.
pub(crate) fn assemble(
    config: &FinetuneConfig,
    task: &GenerationConfig,
    pretrained: Basis,
    device: Device,
) -> anyhow::Result<Ready> {
    let Basis { folder, shape, tokenizer, cleaner, weights_sha256, .. } = pretrained;
    let cleaner = match task.format {
        // The result is a language model, which is evaluated on text that is read like this.
        GenerationFormat::Text => cleaner.reading(task.unit, task.text_field.as_str(), &task.encoding),
        GenerationFormat::Completion => cleaner,
    };
    let data = read_generation_data(task, &cleaner, &tokenizer)?;
    warn_unless_validated(data.valid.is_some(), "task.valid, task.valid_fraction");
    if !task.test.is_empty() {
        // What is wrong with it should not show after hours of training.
        check_test(&task.test, read_generation_files(task, "task.test", &task.test, &cleaner, &tokenizer)?.len())?;
    }
    let sizes = config.finetune.sizes(&shape.model);
    let model = LanguageModel::new(&sizes, shape.vocab_size, config.run.seed, device)?;
    let parent = if config.finetune.from_scratch {
        None
    } else {
        model.params().load(&folder.join(WEIGHTS_FILE))?;
        Some(weights_sha256)
    };
    let provenance = provenance(&data.fingerprint(), parent);
    let facts = facts(task.format, &data);
    let compute = config.compute(device);
    let (batch_size, sequence_length) = (config.train.batch_size, config.train.sequence_length);
    let task: Box<dyn Task> = match task.format {
        GenerationFormat::Text => {
            let penalties = config.train.output_penalties();
            let batching = Batching { batch_size, sequence_length, seed: config.run.seed, penalties, compute };
            let valid = data.valid.as_ref().map(split);
            Box::new(LanguageModelling::new(model, tokenizer, cleaner, &split(&data.train), valid, batching)?)
        }
        GenerationFormat::Completion => {
            let settings = CompleterSettings {
                prompt_field: task.prompt_field.clone(),
                completion_field: task.completion_field.clone(),
            };
            let site = Site::new(config.run.seed).at(TASK_STAGE);
            let completer = Completer { model, settings };
            Box::new(Completing::new(
                completer,
                tokenizer,
                cleaner,
                data,
                site,
                (batch_size, sequence_length),
                compute,
            )?)
        }
    };
    Ready::new(config, task, provenance, facts, compute, device)
}

fn split(text: &Examples) -> TokenSplit {
    TokenSplit { stream: text.stream().clone(), bytes: text.bytes() }
}

fn facts(format: GenerationFormat, data: &GenerationData) -> Vec<(String, String)> {
    let noun = match format {
        GenerationFormat::Text => "document",
        GenerationFormat::Completion => "prompt",
    };
    let size = |text: &Examples| format!("{}, {}", count(text.len() as u64, noun), count(text.stream().len(), "token"));
    let valid = data.valid.as_ref().map(|valid| ("validation".to_owned(), size(valid)));
    [("training".to_owned(), size(&data.train))].into_iter().chain(valid).collect()
}

/// The figures of the best checkpoint on the test files.
///
/// # Errors
/// When the files cannot be read, or libtorch refuses.
pub(crate) fn score_test(
    config: &FinetuneConfig,
    task: &GenerationConfig,
    best: &Path,
    device: Device,
) -> anyhow::Result<Vec<(String, f64)>> {
    let (batch_size, window) = (config.train.batch_size, config.train.sequence_length);
    let read = |cleaner: &Cleaner, tokenizer: &Tokenizer| {
        read_generation_files(task, "task.test", &task.test, cleaner, tokenizer)
    };
    let scores = match task.format {
        GenerationFormat::Text => {
            let Bundle { model, tokenizer, cleaner, .. } = Bundle::<LanguageModel>::open(best, device)?;
            let text = split(&read(&cleaner, &tokenizer)?);
            score_split(&model, &text, 1, tokenizer.special(Special::Eos), Compute::fp32())?
        }
        GenerationFormat::Completion => {
            let Bundle { model, tokenizer, cleaner, .. } = Bundle::<Completer>::open(best, device)?;
            let examples = read(&cleaner, &tokenizer)?;
            let window = i64::try_from(window).unwrap_or(i64::MAX);
            score_completions(&model.model, &tokenizer, &examples, batch_size, window, Compute::fp32())?
        }
    };
    Ok(scores.figures)
}
