//! `--dry-run`: what would be done, and what it would take.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use grulm_corpus::{Input, Manifest, Split, TokenizerConfig, inputs};
use grulm_kernels::{Precision, autocast};
use grulm_model::ModelConfig;
use grulm_train::{OptimizerKind, TrainConfig};
use tch::{Device, Kind, Tensor};

use crate::{
    config::PretrainConfig,
    exit::Ending,
    output::{self, bytes, grouped},
    training::device_name,
};

/// Bytes of text a token where the corpus is not prepared yet: between words (5 to 6) and small subwords (3 to 4).
const BYTES_A_TOKEN: u64 = 4;
/// The part of the speed of a plain matrix product that training reaches.
const EFFICIENCY: f64 = 0.4;
/// Bytes of a 32-bit number.
const F32: u64 = 4;

/// Says what `prepare` would do.
///
/// # Errors
/// When a file that the config names is not there.
pub(crate) fn preparation(config: &PretrainConfig, file: &Path) -> anyhow::Result<Ending> {
    let dir = &config.corpus.dir;
    let up_to_date = grulm_corpus::is_prepared(&config.corpus, &config.tokenizer, config.run.threads)
        .with_context(|| file.display().to_string())?;
    if up_to_date {
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
    let TokenizerConfig { kind, vocab_size, file, .. } = &config.tokenizer;
    let tokenizer = match file {
        Some(path) => path.display().to_string(),
        None => format!("{kind:?}, at most {} entries", grouped(*vocab_size as u64)),
    };
    rows.push(("tokenizer".to_owned(), tokenizer));
    let width = if *vocab_size <= 1 << 16 { 2 } else { 4 };
    let tokens = total / BYTES_A_TOKEN;
    rows.push((
        "tokens".to_owned(),
        format!(
            "about {}, {} on disk, at {BYTES_A_TOKEN} bytes of text each (compressed files hold more)",
            grouped(tokens),
            bytes(tokens * width)
        ),
    ));
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
}

fn size_of(inputs: &[Input]) -> anyhow::Result<u64> {
    let size = |input: &Input| -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&input.path).with_context(|| input.path.display().to_string())?.len())
    };
    inputs.iter().map(size).sum()
}

/// Says what `train` would do, with the tokens and vocabulary of `manifest` where the corpus is prepared.
///
/// # Errors
/// When libtorch fails or standard output cannot be written.
pub(crate) fn training(config: &PretrainConfig, manifest: Option<&Manifest>, device: Device) -> anyhow::Result<Ending> {
    let vocab = manifest.map_or(config.tokenizer.vocab_size, |manifest| manifest.vocab_size) as u64;
    let size = Size::of(config, vocab);
    let precision = config.train.precision.resolve(device);
    let batch = (config.train.batch_size * config.train.sequence_length) as u64;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut rows = vec![
        row("would train", config.run.dir.display().to_string()),
        row("computes on", format!("{}, {} threads, {}", device_name(device), config.run.threads(), precision.name())),
        row("parameters", format!("{} with {} entries of vocabulary", grouped(size.parameters), grouped(vocab))),
        row("memory", size.memory()),
        row("a checkpoint", format!("{}; {} are kept at most", bytes(size.checkpoint()), config.train.keep + 1)),
        row("a batch", format!("{} x {} tokens", config.train.batch_size, config.train.sequence_length)),
    ];
    match manifest.and_then(|manifest| manifest.splits.get(&Split::Train)) {
        Some(train) => {
            let epoch = (train.tokens / batch / config.train.accumulate).max(1);
            rows.push(row("an epoch", format!("{} steps, {} tokens", grouped(epoch), grouped(train.tokens))));
            rows.push(row("time", time(&config.train, &size, epoch, precision, device)?));
        }
        None => rows.push(row("time", "not known before the corpus is prepared".to_owned())),
    }
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
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
        let batch = (train.batch_size * train.sequence_length) as u64;
        let directions = model.direction.readings().len() as u64;
        let widths: Vec<(u64, u64)> = (0..model.layers).map(|layer| widths(model, layer)).collect();
        // A layer keeps its input, the input's and the state's products and its gates (3 each) and its output.
        let kept: u64 = widths.iter().map(|(input, hidden)| 2 * input + 10 * hidden).sum();
        let output = model.output_width().unsigned_abs();
        let multiplied: u64 =
            widths.iter().map(|(input, hidden)| 3 * hidden * (input + hidden)).sum::<u64>() + vocab * output;
        Self {
            parameters: model.weight_count(i64::try_from(vocab).unwrap_or(i64::MAX)),
            optimizer: match train.optimizer {
                OptimizerKind::AdamW => 2,
                OptimizerKind::Sgd => u64::from(train.momentum > 0.0),
            },
            activations: batch * kept * directions,
            // The logits, their logarithms and their gradient.
            logits: 3 * batch * vocab,
            // Two for each weight forward, four backward.
            operations: 6.0 * (multiplied * batch * directions * train.accumulate) as f64,
        }
    }

    fn memory(&self) -> String {
        let weights = self.parameters * F32;
        let parts = [
            ("weights", weights),
            ("gradients", weights),
            ("optimizer", weights * self.optimizer),
            ("activations", self.activations * F32),
            ("logits", self.logits * F32),
        ];
        let total = parts.iter().map(|(_, size)| size).sum();
        let list: Vec<_> = parts.iter().map(|(name, size)| format!("{name} {}", bytes(*size))).collect();
        format!("about {} ({}), and that of libtorch itself", bytes(total), list.join(", "))
    }

    fn checkpoint(&self) -> u64 {
        self.parameters * F32 * (1 + self.optimizer)
    }
}

fn widths(model: &ModelConfig, layer: usize) -> (u64, u64) {
    let (input, hidden) = model.widths(layer);
    (input.unsigned_abs(), hidden.unsigned_abs())
}

fn time(train: &TrainConfig, size: &Size, epoch: u64, precision: Precision, device: Device) -> anyhow::Result<String> {
    if let Some(budget) = train.budget {
        return Ok(format!("{:?}, the budget, evaluations and checkpoints included", budget.0));
    }
    let steps = train.total_steps(epoch);
    let speed = matrix_speed(precision, device)?;
    let seconds = size.operations * steps as f64 / (speed * EFFICIENCY);
    Ok(format!(
        "about {} for {} steps, if training reaches {:.0} % of the {:.0} GFLOP/s that a plain matrix product does here; evaluations not counted",
        duration(seconds),
        grouped(steps),
        EFFICIENCY * 100.0,
        speed / 1e9
    ))
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

/// Operations a second of a matrix product, measured for a fifth of a second.
fn matrix_speed(precision: Precision, device: Device) -> anyhow::Result<f64> {
    const WIDTH: i64 = 768;
    let matrix = Tensor::f_ones([WIDTH, WIDTH], (Kind::Float, device))?;
    let multiply = || -> anyhow::Result<()> {
        let product = autocast(precision, device, || matrix.f_matmul(&matrix))??;
        // Reading a value waits for the device.
        f64::try_from(product.f_get(0)?.f_get(0)?)?;
        Ok(())
    };
    multiply()?;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_millis(200) {
        multiply()?;
        count += 1;
    }
    Ok(2.0 * (WIDTH as f64).powi(3) * f64::from(count) / begun.elapsed().as_secs_f64())
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
    fn durations_for_people() {
        for (seconds, expect) in [(0.4, "0 s"), (89.0, "89 s"), (600.0, "10 minutes"), (7200.0, "2.0 hours")] {
            assert_eq!(duration(seconds), expect);
        }
    }
}
