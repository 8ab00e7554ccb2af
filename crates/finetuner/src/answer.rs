//! From a config to a question answerer in training.

use std::path::Path;

use grulm_cli::{
    output::{count, grouped},
    sections::Sections as _,
};
use grulm_kernels::Compute;
use grulm_tasks::{
    Bundle,
    bundle::Basis,
    question_answering::{
        Answerer, AnswererSettings, AnswersScore, QuestionAnswering, QuestionAnsweringConfig, QuestionAnsweringOptions,
        QuestionSet, Scorer, read_question_data, read_questions,
    },
};
use tch::Device;

use crate::{
    config::FinetuneConfig,
    ready::{Ready, TASK_STAGE, check_test, provenance, warn_unless_validated},
};

/// Reads the data and puts a reader on the pretrained encoder.
///
/// # Errors
/// When the data cannot be read, or the weights do not fit.
pub(crate) fn assemble(
    config: &FinetuneConfig,
    task: &QuestionAnsweringConfig,
    pretrained: Basis,
    device: Device,
) -> anyhow::Result<Ready> {
    let Basis { folder, shape, tokenizer, cleaner, weights_sha256, .. } = pretrained;
    let data = read_question_data(task, &cleaner, &tokenizer)?;
    warn_unless_validated(data.valid.is_some(), "task.valid, task.valid_fraction, task.valid_last");
    if !task.test.is_empty() {
        // What is wrong with it should not show after hours of training.
        check_test(&task.test, read_questions(task, "task.test", &task.test)?.len())?;
    }
    let window = config.train.sequence_length;
    let settings = AnswererSettings {
        hidden: task.hidden,
        dropout: task.dropout,
        window,
        stride: if task.stride == 0 { window.div_ceil(2) } else { task.stride },
        longest_answer: task.longest_answer,
        unanswerable: task.unanswerable,
        threshold: 0.0,
        units: task.units,
    };
    let sizes = config.finetune.sizes(&shape.model);
    let answerer = Answerer::new(&sizes, shape.vocab_size, settings, config.run.seed, device)?;
    let parent = if config.finetune.from_scratch {
        None
    } else {
        answerer.load_encoder(&folder)?;
        Some(weights_sha256)
    };
    let provenance = provenance(data.fingerprint(), parent);
    let compute = config.compute(device);
    let options = QuestionAnsweringOptions {
        batch_size: config.train.batch_size,
        seed: config.run.seed,
        stage: TASK_STAGE,
        compute,
        criterion: task.criterion,
    };
    let mut facts = vec![("training".to_owned(), size(&data.train))];
    facts.extend(data.valid.as_ref().map(|valid| ("validation".to_owned(), size(valid))));
    let task = QuestionAnswering::new(answerer, tokenizer, cleaner, data, options)?;
    if task.left_out() > 0 {
        let said = format!(
            "{}: cleaning left nothing of the answer, or it is longer than {window} tokens (train.sequence_length)",
            count(task.left_out() as u64, "question")
        );
        tracing::warn!("not learned from are {said}");
        facts.push(("not learned from".to_owned(), said));
    }
    Ready::new(config, Box::new(task), provenance, facts, compute, device)
}

fn size(set: &QuestionSet) -> String {
    let mut lengths = set.context_lengths();
    lengths.sort_unstable();
    let at = |share: f64| lengths.get((lengths.len() as f64 * share) as usize).copied().unwrap_or(0) as u64;
    let (exact, answerable) = set.expressible();
    format!(
        "{} about {} (median {} tokens, 95th percentile {}); {} of {} answers are whole tokens",
        count(set.len() as u64, "question"),
        count(set.contexts() as u64, "context"),
        grouped(at(0.5)),
        grouped(at(0.95)),
        grouped(exact as u64),
        grouped(answerable as u64)
    )
}

/// The figures of the best checkpoint on the test files.
///
/// # Errors
/// When the files cannot be read, or libtorch refuses.
pub(crate) fn score_test(
    config: &FinetuneConfig,
    task: &QuestionAnsweringConfig,
    best: &Path,
    device: Device,
) -> anyhow::Result<Vec<(String, f64)>> {
    let bundle: Bundle<Answerer> = Bundle::open(best, device)?;
    let mut scorer = Scorer::new(&bundle, config.train.batch_size, Compute::fp32());
    for question in read_questions(task, "task.test", &task.test)? {
        scorer.push(question)?;
    }
    let predicted: Vec<_> = scorer.finish()?.into_iter().map(|(_, _, predicted)| predicted).collect();
    Ok(AnswersScore::new(&predicted, task.units).figures())
}
