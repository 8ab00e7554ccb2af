//! Small models, tokenizers and texts that the tests share.

use grulm_corpus::{CleanConfig, Cleaner, TokenStream, Tokenizer, TokenizerConfig, TokenizerKind, Unit};
use grulm_model::{Direction, LanguageModel, ModelConfig};
use grulm_tasks::{Bundle, Provenance};
use tch::Device::Cpu;

pub(crate) const SENTENCE: &str = "the cat sat on a red mat";

pub(crate) fn tokenizer(kind: TokenizerKind, text: &str) -> Tokenizer {
    let config = TokenizerConfig { kind, vocab_size: 300, ..TokenizerConfig::default() };
    Tokenizer::train(&config, &[text.to_owned()]).unwrap()
}

pub(crate) fn cleaner(config: &CleanConfig) -> Cleaner {
    Cleaner::new(config, Unit::Line, "text", "utf-8").unwrap()
}

pub(crate) fn model(direction: Direction, vocab_size: usize) -> LanguageModel {
    let config = ModelConfig { embedding: 8, hidden: 12, layers: 2, direction, ..ModelConfig::default() };
    LanguageModel::new(&config, vocab_size as i64, 5, Cpu).unwrap()
}

pub(crate) fn bundle(direction: Direction, kind: TokenizerKind) -> Bundle {
    let tokenizer = tokenizer(kind, SENTENCE);
    let model = model(direction, tokenizer.vocab_size());
    let provenance = Provenance { grulm: "0.1.0".into(), step: 7, ..Provenance::default() };
    Bundle { model, tokenizer, cleaner: cleaner(&CleanConfig::default()), provenance }
}

/// Tokens below `vocabulary` that do not repeat soon.
pub(crate) fn tokens(count: u32, vocabulary: u32) -> Vec<u32> {
    (0..count).map(|i| i.wrapping_mul(2_654_435_761) % 1009 % vocabulary).collect()
}

pub(crate) fn stream(tokens: &[u32]) -> TokenStream {
    TokenStream::from_tokens(tokens.to_vec())
}
