//! `--dry-run`: what would be done, and what it would take.

use anyhow::Context as _;
use grulm_cli::{
    compute::device_name,
    exit::Ending,
    output::{self, bytes, count, duration, grouped},
    sections::Sections as _,
};
use grulm_corpus::{Input, Manifest, Split, Tokenizer, TokenizerConfig, TokenizerKind, inputs};
use grulm_kernels::{Compute, product_speed};
use grulm_model::ModelConfig;
use grulm_train::{TrainConfig, installed_memory};
use serde_json::json;
use tch::Device;

use crate::config::PretrainConfig;

/// The part of the speed of a plain matrix product that training reaches.
const EFFICIENCY: f64 = 0.4;
/// Bytes of a 32-bit number.
const F32: u64 = 4;

/// Says what `prepare` would do.
///
/// # Errors
/// When a file that the config names is not there.
pub(crate) fn preparation(config: &PretrainConfig) -> anyhow::Result<Ending> {
    let dir = &config.corpus.dir;
    if grulm_corpus::is_prepared(&config.corpus, &config.tokenizer, config.run.threads)? {
        output::write(&format!("{} is up to date; it would not be prepared again\n", dir.display()))?;
        return Ok(Ending::Done);
    }
    let mut rows = vec![("would prepare".to_owned(), dir.display().to_string())];
    let mut total = 0;
    let splits = [("train", &config.corpus.train), ("valid", &config.corpus.valid), ("test", &config.corpus.test)];
    for (split, patterns) in splits.into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
        let found = inputs(&format!("corpus.{split}"), patterns)?;
        let size = size_of(&found)?;
        total += size;
        rows.push((format!("{split} files"), format!("{}, {} as stored", found.len(), bytes(size))));
    }
    let TokenizerConfig { kind, file, .. } = &config.tokenizer;
    let vocab = vocab_size(&config.tokenizer)?;
    let tokenizer = match file {
        Some(path) => format!("{}, {} entries", path.display(), grouped(vocab)),
        None => format!("{}, at most {} entries", json!(kind).as_str().unwrap_or_default(), grouped(vocab)),
    };
    rows.push(("tokenizer".to_owned(), tokenizer));
    let width = if vocab <= 1 << 16 { 2 } else { 4 };
    let each = bytes_a_token(&config.tokenizer);
    let tokens = total / each;
    rows.push((
        "tokens".to_owned(),
        format!(
            "about {}, {} on disk, at {} of text each (compressed files hold more)",
            grouped(tokens),
            bytes(tokens * width),
            count(each, "byte")
        ),
    ));
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
}

/// Entries of the tokenizer: those of its file, or as many as it may get.
fn vocab_size(tokenizer: &TokenizerConfig) -> Result<u64, grulm_corpus::Error> {
    let file = tokenizer.file.as_deref().map(Tokenizer::open).transpose()?;
    Ok(file.map_or(tokenizer.vocab_size, |file| file.vocab_size()) as u64)
}

/// Bytes of text a token, before anything is known of the text: English words with their space, English subwords, and
/// characters of ASCII.
fn bytes_a_token(tokenizer: &TokenizerConfig) -> u64 {
    match tokenizer.kind {
        _ if tokenizer.file.is_some() => 4,
        TokenizerKind::ByteBpe | TokenizerKind::Bpe | TokenizerKind::Unigram => 4,
        TokenizerKind::Word => 6,
        TokenizerKind::Char | TokenizerKind::Byte => 1,
    }
}

fn size_of(inputs: &[Input]) -> anyhow::Result<u64> {
    let size = |input: &Input| -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&input.path).with_context(|| input.path.display().to_string())?.len())
    };
    inputs.iter().map(size).sum()
}

/// Warns where the model of `config` is larger than memory, before anything is prepared for it. What is wrong with the tokenizer's
/// file is said there.
pub(crate) fn warn_of_memory(config: &PretrainConfig, device: Device) {
    if let Ok(vocab) = vocab_size(&config.tokenizer) {
        Size::of(config, vocab).warn_if_larger_than(installed_memory(), device);
    }
}

/// Says what `train` would do, with the tokens and vocabulary of `manifest` where the corpus is prepared.
///
/// # Errors
/// When the tokenizer's file cannot be used, libtorch fails or standard output cannot be written.
pub(crate) fn training(config: &PretrainConfig, manifest: Option<&Manifest>, device: Device) -> anyhow::Result<Ending> {
    let vocab = match manifest {
        Some(manifest) => manifest.vocab_size as u64,
        None => vocab_size(&config.tokenizer)?,
    };
    let size = Size::of(config, vocab);
    size.warn_if_larger_than(installed_memory(), device);
    let compute = config.compute(device);
    let batch = batch_tokens(&config.train);
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut rows = vec![
        row("would train", config.run.dir.display().to_string()),
        row("computes on", computes_on(config, compute, device)),
        row("parameters", format!("{} with {} entries of vocabulary", grouped(size.parameters), grouped(vocab))),
        row("memory", size.memory()),
        row("a checkpoint", format!("{}; {} are kept at most", bytes(size.checkpoint()), config.train.keep + 1)),
        row("a batch", format!("{} x {} tokens", config.train.batch_size, config.train.sequence_length)),
    ];
    let tokens = manifest.and_then(|manifest| manifest.splits.get(&Split::Train)).map(|train| train.tokens);
    let batches = tokens.map(|tokens| (tokens / batch).max(1));
    if let (Some(tokens), Some(batches)) = (tokens, batches) {
        let steps = config.train.steps_per_epoch(batches);
        rows.push(row("an epoch", format!("{}, {}", count(steps, "step"), count(tokens, "token"))));
    }
    rows.push(row("time", time(&config.train, &size, batches, compute, device)?));
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
}

fn computes_on(config: &PretrainConfig, compute: Compute, device: Device) -> String {
    let threads = count(config.run.threads() as u64, "thread");
    format!("{}, {threads}, {} kernels, {}", device_name(device), compute.kernels_on(device), compute.precision.name())
}

/// Numbers that a model in training holds.
#[derive(Debug, PartialEq)]
struct Size {
    parameters: u64,
    /// What the optimizer adds to each parameter: numbers.
    optimizer: u64,
    /// Numbers that the backward pass needs, without logits.
    activations: u64,
    logits: u64,
    /// Multiplications and additions of the forward and the backward pass, for one batch.
    operations: f64,
}

impl Size {
    fn of(config: &PretrainConfig, vocab: u64) -> Self {
        let PretrainConfig { model, train, .. } = config;
        let batch = batch_tokens(train);
        let directions = model.direction.readings().len() as u64;
        let widths: Vec<(u64, u64)> = (0..model.layers).map(|layer| widths(model, layer)).collect();
        // A layer keeps its input, the input's and the state's products and its gates (3 each) and its output.
        let kept: u64 = widths.iter().map(|(input, hidden)| 2 * input + 10 * hidden).sum();
        let output = model.output_width().unsigned_abs();
        let multiplied: u64 =
            widths.iter().map(|(input, hidden)| 3 * hidden * (input + hidden)).sum::<u64>() + vocab * output;
        Self {
            parameters: model.weight_count(i64::try_from(vocab).unwrap_or(i64::MAX)),
            optimizer: train.optimizer_numbers(),
            activations: batch.saturating_mul(kept).saturating_mul(directions),
            // The logits, their logarithms and their gradient.
            logits: batch.saturating_mul(3).saturating_mul(vocab),
            // Two for each weight forward, four backward.
            operations: 6.0 * multiplied as f64 * batch as f64 * (directions * train.accumulate) as f64,
        }
    }

    fn memory(&self) -> String {
        let weights = self.parameters * F32;
        let parts = [
            ("weights", weights),
            ("gradients", weights),
            ("optimizer", weights * self.optimizer),
            ("activations", self.activations.saturating_mul(F32)),
            ("logits", self.logits.saturating_mul(F32)),
        ];
        let total = parts.iter().fold(0u64, |total, (_, size)| total.saturating_add(*size));
        let list: Vec<_> = parts.iter().map(|(name, size)| format!("{name} {}", bytes(*size))).collect();
        format!("about {} ({}), and that of libtorch itself", bytes(total), list.join(", "))
    }

    /// Warns where what training keeps from step to step alone has no room in so many bytes.
    fn warn_if_larger_than(&self, installed: Option<u64>, device: Device) {
        let kept = self.checkpoint().saturating_add(self.parameters.saturating_mul(F32));
        if let (Some(installed), Device::Cpu) = (installed, device)
            && kept > installed
        {
            tracing::warn!(
                "weights, gradients and the optimizer's state take {}, and this machine has {} of memory: make the model smaller",
                bytes(kept),
                bytes(installed)
            );
        }
    }

    fn checkpoint(&self) -> u64 {
        self.parameters * F32 * (1 + self.optimizer)
    }
}

/// Tokens a batch; what no number holds is as many as one holds.
fn batch_tokens(train: &TrainConfig) -> u64 {
    (train.batch_size as u64).saturating_mul(train.sequence_length as u64)
}

fn widths(model: &ModelConfig, layer: usize) -> (u64, u64) {
    let (input, hidden) = model.widths(layer);
    (input.unsigned_abs(), hidden.unsigned_abs())
}

/// How long training takes, with `batches` an epoch where the corpus is prepared.
fn time(
    train: &TrainConfig,
    size: &Size,
    batches: Option<u64>,
    compute: Compute,
    device: Device,
) -> anyhow::Result<String> {
    if let Some(budget) = train.budget {
        return Ok(format!("{budget}, the budget, evaluations and checkpoints included"));
    }
    let Some(steps) = train.steps.or_else(|| batches.map(|batches| train.total_steps(batches))) else {
        return Ok("not known before the corpus is prepared".to_owned());
    };
    let speed = product_speed(compute, device)?;
    let seconds = size.operations * steps as f64 / (speed * EFFICIENCY);
    Ok(format!(
        "about {} for {}, if training reaches {:.0} % of the {:.0} GFLOP/s that a plain matrix product does here; evaluations not counted",
        duration(seconds),
        count(steps, "step"),
        EFFICIENCY * 100.0,
        speed / 1e9
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_config() {
        let model = ModelConfig { embedding: 10, hidden: 20, layers: 2, tie_weights: false, ..ModelConfig::default() };
        let train = TrainConfig { batch_size: 2, sequence_length: 3, ..TrainConfig::default() };
        let config = PretrainConfig { model, train, ..PretrainConfig::default() };
        let weights = 100 * 10 + 3 * 20 * (10 + 20 + 2) + 3 * 20 * (20 + 20 + 2) + 100 * 21;
        let expect = Size {
            parameters: weights,
            optimizer: 2,
            activations: 6 * (2 * 10 + 200 + 2 * 20 + 200),
            logits: 3 * 6 * 100,
            operations: 6.0 * 6.0 * (60 * 30 + 60 * 40 + 100 * 20) as f64,
        };
        assert_eq!(Size::of(&config, 100), expect);
        assert_eq!(expect.checkpoint(), weights * 12);
    }

    #[test]
    fn bytes_a_token_follow_the_kind() {
        let check = |kind, file: Option<&str>, expect| {
            let config = TokenizerConfig { kind, file: file.map(Into::into), ..TokenizerConfig::default() };
            assert_eq!(bytes_a_token(&config), expect, "{kind:?} {file:?}");
        };
        check(TokenizerKind::ByteBpe, None, 4);
        check(TokenizerKind::Word, None, 6);
        check(TokenizerKind::Char, None, 1);
        check(TokenizerKind::Byte, None, 1);
        check(TokenizerKind::Byte, Some("tokenizer.json"), 4);
    }
}
