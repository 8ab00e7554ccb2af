//! `pretrainer train`.

use std::path::Path;

use grulm_cli::{
    args::TrainArgs,
    compute,
    exit::Ending,
    files::read_json,
    logging,
    output::{self, figure_rows},
    previous::{self, Previous},
    sections::Sections as _,
    stage::Trained,
};
use grulm_tasks::Provenance;

use crate::{
    config::{self, PretrainConfig},
    estimate, training,
};

/// Trains on a corpus that is prepared.
pub(crate) fn train(args: &TrainArgs) -> anyhow::Result<Ending> {
    let file = &args.config.config;
    let mut config = config::load(file, &args.config.set)?;
    logging::init(config.run.log);
    let start = args.start();
    let previous = Previous::find(&config, start)?;
    previous::check(previous.as_ref(), &config, start)?;
    training::check_init(&config.train)?;
    let device = compute::set_up(&config.run)?;
    let corpus = training::open_corpus(&config, file)?;
    if let Some(previous) = &previous {
        previous.check_corpus(&corpus.manifest.fingerprint)?;
    }
    config.settle_precision(previous.as_ref(), device);
    if args.dry_run {
        return estimate::training(&config, Some(&corpus.manifest), device);
    }
    let ready = training::assemble(&config, corpus, device)?;
    match training::train(&config, ready, start)? {
        Trained::Best(best) => report(&config, &best),
        Trained::Stopped(ending) => Ok(ending),
    }
}

fn report(config: &PretrainConfig, best: &Path) -> anyhow::Result<Ending> {
    let Provenance { step, scores, .. } = read_json(&best.join("provenance.json"))?;
    let figures: Vec<_> = scores.into_iter().collect();
    let mut rows =
        vec![("best checkpoint".to_owned(), best.display().to_string()), ("step".to_owned(), output::grouped(step))];
    rows.extend(figure_rows(&figures).into_iter().map(|(name, value)| (format!("validation {name}"), value)));
    rows.push(("model".to_owned(), config.run.dir.display().to_string()));
    output::write(&output::table(&rows))?;
    Ok(Ending::Done)
}
