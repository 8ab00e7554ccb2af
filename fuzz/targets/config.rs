//! A config file, and a `--set` in its first line.
#![no_main]

use std::path::Path;

use grulm_config::{Invalid, Validate};
use grulm_corpus::{CorpusConfig, TokenizerConfig};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    corpus: CorpusConfig,
    tokenizer: TokenizerConfig,
}

impl Validate for Sections {
    fn validate(&self) -> Result<(), Invalid> {
        self.corpus.validate()?;
        self.tokenizer.validate()
    }
}

fuzz_target!(|text: &str| {
    let (set, text) = text.split_once('\n').unwrap_or(("", text));
    let sets = if set.is_empty() { Vec::new() } else { vec![set.to_owned()] };
    if let Err(error) = grulm_config::parse::<Sections>(Path::new("c.toml"), text, &sets) {
        let message = error.to_string();
        assert!(message.lines().count() == 1 && message.chars().count() < 4000, "{message}");
    }
});
