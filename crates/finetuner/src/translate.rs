//! From a config to a translator in training.

use std::path::{Path, PathBuf};

use grulm_cli::{
    output::{count, grouped},
    sections::Sections as _,
};
use grulm_corpus::Cleaner;
use grulm_kernels::Compute;
use grulm_tasks::{
    Examples,
    bundle::Basis,
    translation::{
        Ensemble, PairExamples, PairScorer, Translation, TranslationConfig, TranslationOptions, Translator,
        TranslatorSettings, for_each_pair, read_translation_data,
    },
};
use tch::Device;

use crate::{
    config::FinetuneConfig,
    ready::{Ready, TASK_STAGE, check_test, provenance, warn_unless_validated},
};

/// Reads the data and makes a translator of the pretrained model.
///
/// # Errors
/// When the data cannot be read, there is none to learn from, or the weights do not fit.
pub(crate) fn assemble(
    config: &FinetuneConfig,
    task: &TranslationConfig,
    pretrained: Basis,
    device: Device,
) -> anyhow::Result<Ready> {
    let Basis { folder, shape, tokenizer, cleaner, weights_sha256, .. } = pretrained;
    let data = read_translation_data(task, &cleaner, &tokenizer)?;
    warn_unless_validated(data.valid.is_some(), "task.valid, task.valid_fraction");
    if !task.test.is_empty() {
        // What is wrong with it should not show after hours of training.
        let mut pairs = 0;
        for_each_pair(task, "task.test", &task.test, |_, _| {
            pairs += 1;
            Ok(())
        })?;
        check_test(task.test.to_string(), pairs)?;
    }
    let settings = TranslatorSettings {
        hidden: task.hidden,
        heads: task.heads,
        dropout: task.dropout,
        fields: task.fields(),
        search: task.search(),
        bleu_tokenizer: task.bleu_tokenizer,
    };
    let sizes = config.finetune.sizes(&shape.model);
    let translator = Translator::new(&sizes, shape.vocab_size, settings, config.run.seed, device)?;
    let parent = if config.finetune.from_scratch {
        None
    } else {
        translator.load_language_model(&folder)?;
        Some(weights_sha256)
    };
    let provenance = provenance(&data.fingerprint(), parent);
    let compute = config.compute(device);
    let options = TranslationOptions {
        batch_size: config.train.batch_size,
        longest: config.train.sequence_length,
        seed: config.run.seed,
        stage: TASK_STAGE,
        compute,
        label_smoothing: task.label_smoothing,
        criterion: task.criterion,
    };
    if let Some(valid) = &data.valid {
        warn_of_lost_writing(&valid.references, &cleaner);
    }
    let mut facts = vec![("training".to_owned(), size(&data.train))];
    facts.extend(data.valid.as_ref().map(|valid| ("validation".to_owned(), size(&valid.examples))));
    let task = Translation::new(translator, tokenizer, cleaner, data, options)?;
    let left_out = task.left_out();
    if left_out.empty + left_out.long > 0 {
        let said = format!(
            "{} with an empty side, {} with more than {} tokens on one (train.sequence_length)",
            grouped(left_out.empty as u64),
            grouped(left_out.long as u64),
            options.longest
        );
        tracing::warn!("pairs that are not learned from: {said}");
        facts.push(("not learned from".to_owned(), said));
    }
    Ready::new(config, Box::new(task), provenance, facts, compute, device)
}

/// Warns where cleaning takes away more than white space from what is to be written: it is not learned then, but counted as lacking.
fn warn_of_lost_writing(references: &[String], cleaner: &Cleaner) {
    let blackened = |text: &str| text.split_whitespace().collect::<String>();
    let changed = |reference: &&String| blackened(reference) != blackened(&cleaner.clean(reference));
    let changed = references.iter().filter(changed).count();
    if changed > 0 {
        tracing::warn!(
            "cleaning, which is the language model's ([corpus.clean]), changes {} of {} validation references: what it takes \
             away is never written, and BLEU and chrF count it as lacking",
            grouped(changed as u64),
            grouped(references.len() as u64)
        );
    }
}

fn size(pairs: &PairExamples) -> String {
    let tokens = |side: &Examples| count(side.stream().len(), "token");
    format!("{}, {} and {}", count(pairs.len() as u64, "pair"), tokens(&pairs.source), tokens(&pairs.target))
}

/// The figures of the best checkpoint on the test files, with the search that the config asks for.
///
/// # Errors
/// When the files cannot be read, or libtorch refuses.
pub(crate) fn score_test(
    config: &FinetuneConfig,
    task: &TranslationConfig,
    best: &Path,
    device: Device,
) -> anyhow::Result<Vec<(String, f64)>> {
    let ensemble = Ensemble::open(&[PathBuf::from(best)], device)?;
    let search = ensemble.settings().search;
    let mut scorer = PairScorer::new(&ensemble, search, config.train.batch_size, Compute::fp32(), |_| Ok(()));
    for_each_pair(task, "task.test", &task.test, |path, pair| scorer.push(path, pair))?;
    Ok(scorer.finish()?.figures())
}
