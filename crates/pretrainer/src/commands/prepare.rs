//! `pretrainer prepare`.

use grulm_cli::{exit::Ending, logging, output};
use grulm_corpus::Prepared;

use crate::{
    cli::PrepareArgs,
    config::{self, PretrainConfig},
    estimate, report,
};

/// Prepares the corpus and prints its table.
pub(crate) fn prepare(args: &PrepareArgs) -> anyhow::Result<Ending> {
    let config = config::load(&args.config.config, &args.config.set)?;
    logging::init(config.run.log);
    if args.dry_run {
        return estimate::preparation(&config);
    }
    let prepared = prepare_corpus(&config)?;
    output::write(&report::text(&prepared.corpus.manifest))?;
    Ok(Ending::Done)
}

/// Prepares the corpus of `config`, with a progress bar.
///
/// # Errors
/// As [`grulm_corpus::prepare`].
pub(crate) fn prepare_corpus(config: &PretrainConfig) -> Result<Prepared, grulm_corpus::Error> {
    let bar = logging::progress();
    let prepared = grulm_corpus::prepare(&config.corpus, &config.tokenizer, config.run.threads, &bar);
    bar.finish_and_clear();
    prepared
}
