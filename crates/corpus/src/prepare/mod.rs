//! From files of text to a corpus folder, in two passes and in bounded memory.
//!
//! 1. [`gather`]: read, clean, filter, assign a split; cleaned text goes to a spool on disk, keys for duplicate removal beside it.
//! 2. Duplicates are found from the keys ([`crate::dedup`]), what is left is surveyed, and the tokenizer is trained on a sample.
//! 3. [`encode`]: the spool becomes token shards.
//!
//! Both passes work on many threads and take results in order, so the bytes that come out do not depend on the number of threads.

mod encode;
mod gather;
mod ordered;
mod plan;
mod reading;
mod rejects;
mod spool;
mod survey;

use std::path::Path;

use grulm_config::Invalid;
use indicatif::ProgressBar;

use self::gather::{Gathered, gather};
use self::plan::Plan;
use self::survey::{sample, survey};
use crate::corpus::{CLEANING, MANIFEST, REJECTS, TOKENIZER};
use crate::dedup::{Removal, resolve};
use crate::folder::{Staging, write_synced};
use crate::manifest::VERSION;
use crate::{Corpus, CorpusConfig, Error, Manifest, Settings, Tokenizer, TokenizerConfig};

/// A corpus that is ready for use.
#[derive(Debug)]
pub struct Prepared {
    /// The corpus.
    pub corpus: Corpus,
    /// It was up to date, so nothing was done.
    pub skipped: bool,
}

/// Prepares a corpus: reads, cleans, filters and splits the text, removes duplicates, trains the tokenizer, and writes token shards.
///
/// The folder `corpus.dir` is built beside its place and renamed when it is complete; a corpus that is there is replaced then and not
/// before. Where the folder already holds what these settings and inputs give, nothing is done, but that the manifest names the inputs as
/// they are called now. A second process that prepares the same folder is refused.
///
/// `threads` is the number of worker threads, 0 for one a core. `progress` shows bytes read, then documents encoded.
///
/// # Errors
/// A setting that cannot be used, a file that cannot be read, a folder in the place of the corpus that holds other files, a full disk, or
/// no training document left.
pub fn prepare(
    corpus: &CorpusConfig,
    tokenizer: &TokenizerConfig,
    threads: usize,
    progress: &ProgressBar,
) -> Result<Prepared, Error> {
    let plan = Plan::new(corpus, tokenizer, threads)?;
    let mut staging = Staging::begin(&corpus.dir)?;
    phase(progress, "comparing with what is there", plan.inputs.len() as u64);
    let fingerprint = plan.fingerprint()?;
    if let Some(mut corpus) = up_to_date(&corpus.dir, &fingerprint) {
        tracing::info!("{} is up to date", corpus.dir.display());
        rename_inputs(&mut corpus.manifest, plan.settings(), staging)?;
        return Ok(Prepared { corpus, skipped: true });
    }
    staging.create()?;
    build(&plan, &staging, fingerprint, progress)?;
    staging.finish()?;
    Ok(Prepared { corpus: Corpus::open(&corpus.dir)?, skipped: false })
}

/// Whether [`prepare`] would have nothing to do.
///
/// # Errors
/// A setting that cannot be used, or a file that cannot be read.
pub fn is_prepared(corpus: &CorpusConfig, tokenizer: &TokenizerConfig, threads: usize) -> Result<bool, Error> {
    Ok(up_to_date(&corpus.dir, &fingerprint(corpus, tokenizer, threads)?).is_some())
}

/// The fingerprint ([`Manifest::fingerprint`]) of the corpus that [`prepare`] would make.
///
/// # Errors
/// As [`is_prepared`].
pub fn fingerprint(corpus: &CorpusConfig, tokenizer: &TokenizerConfig, threads: usize) -> Result<String, Error> {
    Plan::new(corpus, tokenizer, threads)?.fingerprint()
}

fn up_to_date(dir: &Path, fingerprint: &str) -> Option<Corpus> {
    let path = dir.join(MANIFEST);
    if !path.exists() {
        return None;
    }
    let open = || {
        if Manifest::open(&path)?.fingerprint != fingerprint {
            return Ok(None);
        }
        let corpus = Corpus::open(dir)?;
        corpus.verify().map(|()| Some(corpus))
    };
    open().unwrap_or_else(|error: Error| {
        tracing::warn!("the corpus that is there cannot be used and will be replaced: {error}");
        None
    })
}

/// Names the inputs of a corpus as `settings` do: where the fingerprint is the same, settings differ in names alone.
fn rename_inputs(manifest: &mut Manifest, settings: Settings, mut staging: Staging) -> Result<(), Error> {
    if manifest.config == settings {
        return Ok(());
    }
    manifest.config = settings;
    staging.create()?;
    manifest.save(&staging.path().join(MANIFEST))?;
    staging.replace(MANIFEST)
}

/// Fills the folder under construction, the manifest last.
fn build(plan: &Plan<'_>, staging: &Staging, fingerprint: String, progress: &ProgressBar) -> Result<(), Error> {
    phase(progress, "reading", plan.bytes());
    let gathered = gather(plan, &staging.work(), progress)?;

    phase(progress, "removing duplicates", gathered.spool.documents());
    let removal = resolve(&plan.corpus.dedup, gathered.texts.as_ref(), gathered.bands.as_ref())?;
    let survey = survey(&gathered.spool, &removal, &plan.inputs)?;
    if survey.documents == 0 {
        return Err(nothing_left(plan, &gathered, &removal));
    }

    phase(progress, "training the tokenizer", 0);
    let trained;
    let tokenizer = match &plan.given_tokenizer {
        Some(given) => given,
        None => {
            trained = train_tokenizer(plan, &gathered, &removal, survey.bytes)?;
            &trained
        }
    };

    phase(progress, "encoding", gathered.spool.documents());
    let dir = staging.path();
    let splits = encode::encode(&plan.pool, &gathered.spool, &removal, tokenizer, dir, progress)?;

    tokenizer.save(&dir.join(TOKENIZER))?;
    plan.cleaner.save(&dir.join(CLEANING))?;
    let rejects = gathered.rejects.to_json_lines(&survey.duplicates);
    write_synced(&dir.join(REJECTS), &rejects.map_err(|error| Error::io(dir.join(REJECTS))(error.into()))?)?;
    let manifest = Manifest {
        version: VERSION,
        tokenizer_sha256: tokenizer.hash().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        cleaning_sha256: plan.cleaner.hash(),
        fingerprint,
        splits,
        documents_read: gathered.documents_read,
        dropped: gathered.rejects.counts(),
        removed_lines: gathered.removed_lines,
        duplicates: removal.counts(),
        replaced_characters: gathered.replaced,
        config: plan.settings(),
    };
    plan.check_unchanged()?;
    manifest.save(&dir.join(MANIFEST))
}

fn phase(progress: &ProgressBar, what: &'static str, length: u64) {
    tracing::info!("{what}");
    progress.set_message(what);
    progress.set_length(length);
    progress.set_position(0);
}

fn train_tokenizer(plan: &Plan<'_>, gathered: &Gathered, removal: &Removal, bytes: u64) -> Result<Tokenizer, Error> {
    let limit = (plan.tokenizer.sample_mib as u64).saturating_mul(1 << 20);
    let texts = sample(&gathered.spool, removal, bytes, limit)?;
    // Inside the pool, so that the library uses as many threads as were asked for.
    plan.pool.install(|| Tokenizer::train(plan.tokenizer, &texts))
}

/// Says where all the training text went.
fn nothing_left(plan: &Plan<'_>, gathered: &Gathered, removal: &Removal) -> Error {
    let mut reasons: Vec<String> =
        gathered.rejects.counts().iter().map(|(rule, count)| format!("{rule} dropped {count}")).collect();
    let duplicates = removal.counts();
    for (what, count) in [("exact", duplicates.exact), ("near", duplicates.near), ("held_out", duplicates.held_out)] {
        if count > 0 {
            reasons.push(format!("corpus.dedup.{what} dropped {count}"));
        }
    }
    if gathered.documents_read > 0 && plan.corpus.valid_fraction + plan.corpus.test_fraction > 0.0 {
        reasons.push("valid and test took their shares".into());
    }
    let reasons = if reasons.is_empty() { "the files are empty".to_owned() } else { reasons.join(", ") };
    let allowed =
        format!("text of which a document is left; of {} documents none is: {reasons}", gathered.documents_read);
    Invalid::new("corpus.train", &plan.corpus.train, allowed).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn text_that_changes_while_it_is_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("grows.txt");
        fs::write(&text, "a b c\n").unwrap();
        let train = vec![text.display().to_string()];
        let corpus = CorpusConfig { dir: folder.path().join("corpus"), train, ..CorpusConfig::default() };
        let tokenizer = TokenizerConfig::default();
        let plan = Plan::new(&corpus, &tokenizer, 1).unwrap();
        let fingerprint = plan.fingerprint().unwrap();
        fs::write(&text, "a b c\nd e f\n").unwrap();
        let mut staging = Staging::begin(&corpus.dir).unwrap();
        staging.create().unwrap();
        let message = build(&plan, &staging, fingerprint, &ProgressBar::hidden()).unwrap_err().to_string();
        assert!(message.contains("grows.txt: changed"), "{message}");
        assert!(!staging.path().join(MANIFEST).exists());
    }
}
