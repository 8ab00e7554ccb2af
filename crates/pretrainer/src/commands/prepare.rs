//! `pretrainer prepare`.

use std::path::Path;

use anyhow::Context as _;
use grulm_config::Invalid;
use grulm_corpus::Prepared;

use crate::{
    cli::PrepareArgs,
    config::{self, PretrainConfig},
    estimate,
    exit::Ending,
    logging, output,
};

/// Prepares the corpus and prints its table.
pub(crate) fn prepare(args: &PrepareArgs) -> anyhow::Result<Ending> {
    let file = &args.config.config;
    let config = config::load(file, &args.config.set)?;
    logging::init(config.run.log);
    if args.dry_run {
        return estimate::preparation(&config, file);
    }
    let prepared = prepare_corpus(&config, file)?;
    output::write(&prepared.corpus.manifest.table())?;
    Ok(Ending::Done)
}

/// Prepares the corpus of `config`, which `file` holds.
///
/// # Errors
/// As [`grulm_corpus::prepare`], with the name of the file.
pub(crate) fn prepare_corpus(config: &PretrainConfig, file: &Path) -> anyhow::Result<Prepared> {
    let in_file = || file.display().to_string();
    check_tokenizer_file(config).with_context(in_file)?;
    let bar = logging::progress();
    let prepared = grulm_corpus::prepare(&config.corpus, &config.tokenizer, config.run.threads, &bar);
    bar.finish_and_clear();
    match prepared {
        Err(error @ grulm_corpus::Error::Config(_)) => Err(error).with_context(in_file),
        prepared => Ok(prepared?),
    }
}

fn check_tokenizer_file(config: &PretrainConfig) -> Result<(), Invalid> {
    match &config.tokenizer.file {
        Some(path) => Invalid::check("tokenizer.file", path, path.is_file(), "a tokenizer.json that exists"),
        None => Ok(()),
    }
}
