//! `pretrainer run`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grulm_cli::{
    args::TrainArgs,
    compute,
    exit::Ending,
    files, logging,
    output::{self, Object},
    previous::{self, Previous},
    sections::Sections as _,
    stage::Trained,
};
use grulm_corpus::{Corpus, Manifest, Split, fingerprint};
use grulm_kernels::Packing;
use grulm_model::WeightFormat;
use grulm_tasks::{Bundle, bundle::weights_sha256};
use grulm_train::{RunConfig, Start, best_checkpoint, best_is_whole, is_exported};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Device;

use crate::{
    commands::prepare::prepare_corpus,
    config::{self, PretrainConfig},
    estimate,
    score::score,
    training,
};

/// Prepares, trains, scores the test split, and prints a table. What is up to date is not done again.
pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<Ending> {
    let mut config = config::load(&args.config.config, &args.config.set)?;
    logging::init(config.run.log);
    let start = args.start();
    let previous = Previous::find(&config, start)?;
    // What is to be resumed goes on from what is whole, though the run had come to its end.
    let usable = start != Start::Resume || (best_is_whole(&config.run.dir) && is_saved(&config.run));
    let done = usable && previous.as_ref().is_some_and(|run| run.finished && run.is_same());
    if !done {
        previous::check(previous.as_ref(), &config, start)?;
        training::check_init(&config.train)?;
    }
    let device = compute::set_up(&config.run)?;
    config.settle_precision(previous.as_ref(), device);
    if let Some(previous) = &previous {
        // Before the corpus that the run learned from would be replaced.
        previous.check_corpus(&fingerprint(&config.corpus, &config.tokenizer, config.run.threads)?)?;
    }
    if args.dry_run {
        return dry_run(&config, device, done);
    }
    if !done {
        estimate::warn_of_memory(&config, device);
    }
    let corpus = prepare_corpus(&config)?.corpus;
    let best = if done {
        tracing::info!(
            "{} is up to date: its run has finished with the same settings and corpus",
            config.run.dir.display()
        );
        best_checkpoint(&config.run.dir)?
    } else {
        let ready = training::assemble(&config, Corpus::open(&corpus.dir)?, device)?;
        match training::train(&config, ready, start)? {
            Trained::Best(best) => best,
            Trained::Stopped(ending) => return Ok(ending),
        }
    };
    let bundle = Bundle::open(&best, device)?;
    let test = test_scores(&config.run.dir, &best, &bundle, &corpus)?;
    output::write(&summary(&corpus.manifest, &bundle, test.as_ref(), &best))?;
    Ok(Ending::Done)
}

/// Whether the run holds its best model in the format that is asked for.
fn is_saved(run: &RunConfig) -> bool {
    let is_exported = |best: PathBuf| is_exported(&run.dir, &best, run.save_as);
    run.save_as == WeightFormat::Fp32 || best_checkpoint(&run.dir).is_ok_and(is_exported)
}

fn dry_run(config: &PretrainConfig, device: Device, done: bool) -> anyhow::Result<Ending> {
    estimate::preparation(config)?;
    if done {
        output::write(&format!("{} holds this run, finished; it is not done again\n", config.run.dir.display()))?;
        return Ok(Ending::Done);
    }
    let manifest = Manifest::open(&config.corpus.dir.join("manifest.json")).ok();
    estimate::training(config, manifest.as_ref(), device)
}

/// `test.json`: the test split as the best checkpoint scores it.
#[derive(Debug, Serialize, Deserialize)]
struct TestScores {
    /// The checkpoint's name.
    checkpoint: String,
    /// Hash of its weights.
    weights_sha256: String,
    /// Fingerprint of the corpus.
    corpus: String,
    /// Named figures, as `evaluate --json` has them.
    scores: Object,
}

/// Scores the test split, unless the run folder tells how this checkpoint did on it. None where there is no test text.
fn test_scores(run_dir: &Path, best: &Path, bundle: &Bundle, corpus: &Corpus) -> anyhow::Result<Option<TestScores>> {
    let Some(stream) = corpus.stream(Split::Test)? else {
        tracing::info!("no test text (corpus.test, corpus.test_fraction), so no test figures");
        return Ok(None);
    };
    let path = run_dir.join("test.json");
    let checkpoint = best.file_name().context("the best checkpoint has no name")?.to_string_lossy().into_owned();
    let weights_sha256 = weights_sha256(best)?;
    let fingerprint = corpus.manifest.fingerprint.clone();
    let known = files::read_json::<TestScores>(&path).ok();
    let same = |known: &TestScores| known.weights_sha256 == weights_sha256 && known.corpus == fingerprint;
    if let Some(known) = known.filter(same) {
        tracing::info!("{} is up to date", path.display());
        return Ok(Some(known));
    }
    tracing::info!("scoring {} test tokens with {}", output::grouped(stream.len()), best.display());
    let bytes = corpus.manifest.splits.get(&Split::Test).map_or(0, |info| info.bytes);
    let scores = output::figures_to_json(&score(bundle, &stream, bytes, 1, Packing::Fp32)?.figures);
    let scores = TestScores { checkpoint, weights_sha256, corpus: fingerprint, scores };
    files::write(&path, &[serde_json::to_vec_pretty(&scores)?, b"\n".to_vec()].concat())?;
    Ok(Some(scores))
}

/// The table at the end.
fn summary(manifest: &Manifest, bundle: &Bundle, test: Option<&TestScores>, best: &Path) -> String {
    let validation: Vec<_> = bundle.provenance.scores.clone().into_iter().collect();
    let validation = output::figures_to_json(&validation);
    let readings = bundle.model.config().direction.readings();
    let names = if readings.len() == 1 { "" } else { " (forward, backward)" };
    let suffixes: Vec<String> = match readings {
        [_] => vec![String::new()],
        readings => readings.iter().map(|reading| format!("_{}", reading.name())).collect(),
    };
    let figure = |scores: Option<&Object>, name: &str, digits: usize| {
        let value = |suffix: &String| scores?.get(&format!("{name}{suffix}")).and_then(Value::as_f64);
        let text = |suffix| value(suffix).map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
        suffixes.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let heads = ["split", "documents", "words", "tokens"].map(str::to_owned).into_iter();
    let mut rows =
        vec![heads.chain([format!("perplexity{names}"), format!("bits per byte{names}")]).collect::<Vec<_>>()];
    for (split, info) in &manifest.splits {
        let scores = match split {
            Split::Train => None,
            Split::Valid => Some(&validation),
            Split::Test => test.map(|test| &test.scores),
        };
        let counts = [info.documents, info.words, info.tokens].map(output::grouped);
        let figures = [figure(scores, "perplexity", 2), figure(scores, "bits_per_byte", 4)];
        rows.push([split.name().to_owned()].into_iter().chain(counts).chain(figures).collect());
    }
    format!(
        "{}\nbest checkpoint: {} (step {})\n",
        output::columns(&rows),
        best.display(),
        output::grouped(bundle.provenance.step)
    )
}
