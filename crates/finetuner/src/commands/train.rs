//! `finetuner train`.

use std::path::Path;

use grulm_cli::{
    args::TrainArgs,
    compute,
    exit::Ending,
    files, logging, output,
    previous::{self, Previous},
    sections::Sections as _,
    signals::Signals,
    stage::{Stage, Trained, save_smaller},
};
use grulm_corpus::inputs;
use grulm_model::WEIGHTS_FILE;
use grulm_tasks::{Provenance, bundle::weights_sha256};
use grulm_train::RunFolder;
use serde::Serialize;
use tch::Device;

use crate::{
    adapt::adapt,
    answer, classify,
    config::{FinetuneConfig, TaskConfig},
    estimate::estimate,
    generate, pretrained,
    ready::{Ready, TASK_STAGE},
    translate,
};

/// Fine-tunes a pretrained model, scores the test data, and prints a table.
pub(crate) fn train(args: &TrainArgs) -> anyhow::Result<Ending> {
    let mut config: FinetuneConfig = grulm_config::load(&args.config.config, &args.config.set)?;
    logging::init(config.run.log);
    let start = args.start();
    let previous = Previous::find(&config, start)?;
    previous::check(previous.as_ref(), &config, start)?;
    let device = compute::set_up(&config.run)?;
    config.settle_precision(previous.as_ref(), device);
    config.task.warn_of_repeated_files();
    let pretrained = pretrained::open(&config.finetune, &config.task)?;
    let Ready { mut task, mut provenance, mut facts } = match &config.task {
        TaskConfig::Classification(task) => classify::assemble(&config, task, pretrained, device)?,
        TaskConfig::Generation(task) => generate::assemble(&config, task, pretrained, device)?,
        TaskConfig::Translation(task) => translate::assemble(&config, task, pretrained, device)?,
        TaskConfig::QuestionAnswering(task) => answer::assemble(&config, task, pretrained, device)?,
    };
    if let (Some(previous), Some(corpus)) = (&previous, &provenance.corpus) {
        previous.check_corpus(corpus)?;
        // A task after adaptation started from the adapted weights, which lie in the run folder.
        if let (Some(parent), None) = (&provenance.parent, &config.finetune.adapt) {
            previous.check_parent(parent)?;
        }
    }
    if let Some(section) = &config.finetune.adapt {
        let more = if section.text.is_empty() { 0 } else { inputs("finetune.adapt.text", &section.text)?.len() };
        let more = if more > 0 { format!(" and {}", output::count(more as u64, "file")) } else { String::new() };
        facts.push(("adapts first".into(), format!("the language model, to the task's text{more}")));
    }
    if args.dry_run {
        facts.extend(estimate(&config, task.as_mut())?);
        output::write(&output::table(&facts))?;
        return Ok(Ending::Done);
    }
    let folder = RunFolder::open(&config.run.dir, start, &grulm_config::to_toml(&config)?)?;
    logging::attach(folder.path())?;
    let signals = Signals::listen()?;
    if let (Some(section), TaskConfig::Classification(labelled)) = (&config.finetune.adapt, &config.task) {
        match adapt(&config, section, labelled, device, &signals)? {
            Trained::Best(best) => {
                let parent = weights_sha256(&best)?;
                previous.as_ref().map_or(Ok(()), |previous| previous.check_parent(&parent))?;
                task.params().load_part(&best.join(WEIGHTS_FILE), "encoder.")?;
                provenance.parent = Some(parent);
            }
            Trained::Stopped(ending) => return Ok(ending),
        }
    }
    let stage = Stage {
        number: TASK_STAGE,
        seed: config.run.seed,
        train: &config.train,
        layers: config.finetune.layers(),
        provenance,
    };
    match stage.train(task.as_mut(), &folder, &signals)? {
        Trained::Best(best) => {
            drop(signals);
            save_smaller(&config.run, task.as_mut(), &best)?;
            finish(&config, &best, facts, device)
        }
        Trained::Stopped(ending) => Ok(ending),
    }
}

/// `test.json`: the test data as the best checkpoint scores it.
#[derive(Serialize)]
struct TestScores {
    /// The checkpoint's name.
    checkpoint: String,
    /// Named figures, as `evaluate --json` has them.
    scores: output::Object,
}

/// Scores the test data, if there is any, and prints the table.
fn finish(
    config: &FinetuneConfig,
    best: &Path,
    mut rows: Vec<(String, String)>,
    device: Device,
) -> anyhow::Result<Ending> {
    let Provenance { step, scores, .. } = files::read_json(&best.join("provenance.json"))?;
    rows.push(("best checkpoint".into(), format!("{} (step {})", best.display(), output::grouped(step))));
    let mut add = |kind: &str, figures: &[(String, f64)]| {
        rows.extend(output::figure_rows(figures).into_iter().map(|(name, value)| (format!("{kind} {name}"), value)));
    };
    add("validation", &scores.into_iter().collect::<Vec<_>>());
    let test = match &config.task {
        TaskConfig::Classification(task) if !task.test.is_empty() => {
            Some(classify::score_test(config, task, best, device)?)
        }
        TaskConfig::Generation(task) if !task.test.is_empty() => {
            Some(generate::score_test(config, task, best, device)?)
        }
        TaskConfig::Translation(task) if !task.test.is_empty() => {
            Some(translate::score_test(config, task, best, device)?)
        }
        TaskConfig::QuestionAnswering(task) if !task.test.is_empty() => {
            Some(answer::score_test(config, task, best, device)?)
        }
        _ => None,
    };
    if let Some(figures) = test {
        let checkpoint = best.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let scores = TestScores { checkpoint, scores: output::figures_to_json(&figures) };
        let json = [serde_json::to_vec_pretty(&scores)?, b"\n".to_vec()].concat();
        files::write(&config.run.dir.join("test.json"), &json)?;
        add("test", &figures);
    }
    rows.push(("model".into(), config.run.dir.display().to_string()));
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
}
