//! From a config to a classifier in training.

use std::path::Path;

use grulm_cli::{
    output::{self, count},
    sections::Sections as _,
};
use grulm_config::Invalid;
use grulm_corpus::{Special, Tokenizer};
use grulm_kernels::Compute;
use grulm_tasks::{
    Bundle,
    bundle::Basis,
    classification::{
        Calibration, Classification, ClassificationConfig, ClassificationOptions, Classifier, ClassifierSettings,
        LabelledTexts, MOST_NGRAM_LABELS, TrainingData, read_labelled, read_training_data, score,
    },
};
use tch::Device;

use crate::{
    config::FinetuneConfig,
    ready::{Ready, TASK_STAGE, check_test, provenance, warn_unless_validated},
};

/// Reads the data and puts a head on the pretrained encoder.
///
/// # Errors
/// When the data cannot be read, or the weights do not fit.
pub(crate) fn assemble(
    config: &FinetuneConfig,
    task: &ClassificationConfig,
    pretrained: Basis,
    device: Device,
) -> anyhow::Result<Ready> {
    let Basis { folder, shape, tokenizer, cleaner, weights_sha256, .. } = pretrained;
    let data = read_training_data(task, &cleaner, &tokenizer)?;
    warn_unless_validated(data.valid.is_some(), "task.valid, task.valid_fraction");
    let labels = data.labels.len();
    let allowed = format!("false: a threshold is for two labels, and there are {labels}");
    Invalid::check("task.tune_threshold", task.tune_threshold, !task.tune_threshold || labels == 2, allowed)?;
    let allowed = format!("0: there are {labels} labels, and n-grams are for {MOST_NGRAM_LABELS} at most");
    for (key, longest) in [("ngrams", task.ngrams), ("character_ngrams", task.character_ngrams)] {
        Invalid::check(format!("task.{key}"), longest, longest == 0 || labels <= MOST_NGRAM_LABELS, &allowed)?;
    }
    if !task.test.is_empty() {
        // What is wrong with it should not show after hours of training.
        let (fields, encoding) = (task.fields(), task.encoding()?);
        let texts = read_labelled("task.test", &task.test, &fields, encoding, &data.labels, &cleaner, &tokenizer)?;
        check_test(&task.test, texts.examples.len())?;
    }
    warn_of_unknown(&data.train, &tokenizer, &folder);
    warn_of_rare_labels(&data);
    let settings = ClassifierSettings {
        labels: data.labels.clone(),
        pool: task.pool,
        ngrams: task.ngrams,
        character_ngrams: task.character_ngrams,
        hidden: task.hidden,
        dropout: task.dropout,
        window: i64::try_from(config.train.sequence_length).unwrap_or(i64::MAX),
        fields: task.fields(),
        calibration: Calibration::default(),
    };
    let sizes = config.finetune.sizes(&shape.model);
    let classifier = Classifier::new(&sizes, shape.vocab_size, settings, config.run.seed, device)?;
    let parent = if config.finetune.from_scratch {
        None
    } else {
        classifier.load_encoder(&folder)?;
        Some(weights_sha256)
    };
    let provenance = provenance(&data.fingerprint(), parent);
    let compute = config.compute(device);
    let options = ClassificationOptions {
        batch_size: config.train.batch_size,
        seed: config.run.seed,
        stage: TASK_STAGE,
        compute,
        class_weights: task.class_weights,
        tune_threshold: task.tune_threshold,
        criterion: task.criterion,
    };
    let facts = facts(&data);
    let task = Classification::new(classifier, tokenizer, cleaner, data, options)?;
    Ready::new(config, Box::new(task), provenance, facts, compute, device)
}

/// The figures of the best checkpoint on the test files.
///
/// # Errors
/// When the files cannot be read, or libtorch refuses.
pub(crate) fn score_test(
    config: &FinetuneConfig,
    task: &ClassificationConfig,
    best: &Path,
    device: Device,
) -> anyhow::Result<Vec<(String, f64)>> {
    let Bundle { model, tokenizer, cleaner, .. } = Bundle::<Classifier>::open(best, device)?;
    let ClassifierSettings { fields, labels, .. } = model.settings();
    let encoding = task.encoding()?;
    let texts = read_labelled("task.test", &task.test, fields, encoding, labels, &cleaner, &tokenizer)?;
    Ok(score(&model, &tokenizer, &texts, config.train.batch_size, Compute::fp32())?.figures())
}

/// Says how much of the text the pretrained tokenizer does not know: it may be the wrong one.
fn warn_of_unknown(texts: &LabelledTexts, tokenizer: &Tokenizer, folder: &Path) {
    let unknown = i64::from(tokenizer.special(Special::Unk));
    let examples = &texts.examples;
    let found: usize =
        (0..examples.len()).map(|text| examples.tokens(text).iter().filter(|&&token| token == unknown).count()).sum();
    let share = 100.0 * found as f64 / examples.stream().len().max(1) as f64;
    if share > MUCH_UNKNOWN {
        tracing::warn!(
            "{share:.1} % of the training tokens are <unk> to the tokenizer of {}: is it for other text?",
            folder.display()
        );
    }
}

/// Says which labels hardly any text has: they may be mistyped, and are not learned.
fn warn_of_rare_labels(data: &TrainingData) {
    if (data.train.labels.len() as u64) < RARE * 100 {
        return;
    }
    let rare: Vec<_> = texts_of_each(data, &data.train).filter(|(_, texts)| *texts < RARE).collect();
    if let Some((label, texts)) = rare.first() {
        let others = if rare.len() > 1 { format!(" (and those of {} others)", rare.len() - 1) } else { String::new() };
        let texts = count(*texts, "training text");
        tracing::warn!("{texts} with the label {label:?}{others}: is it mistyped? So few teach nothing");
    }
}

/// Fewer texts of a label than this are worth a word, where there are some hundred times as many in all.
const RARE: u64 = 3;

/// The labels, each with the number of its texts.
fn texts_of_each<'a>(data: &'a TrainingData, texts: &LabelledTexts) -> impl Iterator<Item = (&'a String, u64)> {
    let mut counts = vec![0; data.labels.len()];
    texts.labels.iter().for_each(|&label| counts[label as usize] += 1);
    data.labels.iter().zip(counts)
}

/// Percent of unknown tokens that is worth a word.
const MUCH_UNKNOWN: f64 = 2.0;

fn facts(data: &TrainingData) -> Vec<(String, String)> {
    let texts = |texts: &LabelledTexts| {
        let mut lengths = texts.examples.lengths();
        lengths.sort_unstable();
        let at = |share: f64| lengths.get((lengths.len() as f64 * share) as usize).copied().unwrap_or(0);
        format!("{} (median {} tokens, 95th percentile {})", count(lengths.len() as u64, "text"), at(0.5), at(0.95))
    };
    let labels = |texts: &LabelledTexts| {
        let of_each = texts_of_each(data, texts).map(|(label, texts)| format!("{label}: {}", output::grouped(texts)));
        ("labels".to_owned(), of_each.collect::<Vec<_>>().join(", "))
    };
    let mut rows = vec![("training".to_owned(), texts(&data.train)), labels(&data.train)];
    if let Some(valid) = &data.valid {
        rows.extend([("validation".to_owned(), texts(valid)), labels(valid)]);
    }
    rows
}
