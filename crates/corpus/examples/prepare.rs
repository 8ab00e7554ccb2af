//! Prepares a corpus from files of text and prints what came out:
//!
//! ```text
//! cargo run --release -p grulm-corpus --example prepare -- CORPUS_DIR FILE...
//! ```

use std::path::PathBuf;

use grulm_corpus::{CorpusConfig, DedupConfig, TokenizerConfig, prepare};
use indicatif::ProgressBar;

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(dir) = arguments.next() else { return Err("usage: prepare CORPUS_DIR FILE...".into()) };
    let corpus = CorpusConfig {
        dir: PathBuf::from(dir),
        train: arguments.collect(),
        valid_fraction: 0.01,
        test_fraction: 0.01,
        dedup: DedupConfig { exact: true, near: true, held_out: true, ..DedupConfig::default() },
        ..CorpusConfig::default()
    };
    let prepared = prepare(&corpus, &TokenizerConfig::default(), 0, &ProgressBar::new(0))?;
    if prepared.skipped {
        println!("{} is up to date", corpus.dir.display());
    }
    let manifest = &prepared.corpus.manifest;
    for (split, info) in &manifest.splits {
        println!("{}: {} documents, {} tokens", split.name(), info.documents, info.tokens);
    }
    for (what, count) in manifest.losses() {
        println!("{what}: {count}");
    }
    Ok(())
}
