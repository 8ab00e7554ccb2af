//! The tokenizers from outside: what they promise to users of the crate and of `tokenizer.json`.
#![allow(clippy::unwrap_used)]

mod determinism;
mod golden;
mod hostile;
mod kinds;
mod roundtrip;
mod text;

use grulm_corpus::{Error, Tokenizer, TokenizerConfig, TokenizerKind};

const KINDS: [(TokenizerKind, &str); 6] = [
    (TokenizerKind::ByteBpe, "byte_bpe"),
    (TokenizerKind::Bpe, "bpe"),
    (TokenizerKind::Unigram, "unigram"),
    (TokenizerKind::Word, "word"),
    (TokenizerKind::Char, "char"),
    (TokenizerKind::Byte, "byte"),
];

fn train(kind: TokenizerKind, vocab_size: usize, texts: &[String]) -> Tokenizer {
    Tokenizer::train(&TokenizerConfig { kind, vocab_size, ..Default::default() }, texts).unwrap()
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    tokenizer.encode(text, &mut ids).unwrap();
    ids
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    encode(tokenizer, text).into_iter().map(|id| tokenizer.token(id).unwrap()).collect()
}

fn refusal(config: &TokenizerConfig, texts: &[String]) -> Error {
    Tokenizer::train(config, texts).unwrap_err()
}
