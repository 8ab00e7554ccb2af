//! Text to documents to tokens.

mod clean;
mod config;
mod corpus;
mod dedup;
mod digest;
mod document;
mod error;
mod filter;
mod folder;
mod lanes;
mod language;
mod manifest;
mod prepare;
mod read;
mod report;
mod shard;
mod split;
mod stream;
mod tokenized;
mod tokenizer;
mod validate;
mod words;

pub use clean::Cleaner;
pub use config::{
    CleanConfig, CorpusConfig, DedupConfig, FilterConfig, Preset, Replace, TokenizerConfig, TokenizerKind, UnicodeForm,
    Unit,
};
pub use corpus::Corpus;
pub use document::{Document, Split};
pub use error::Error;
pub use filter::{Filter, Rule, Verdict};
pub use lanes::{Batch, Lanes};
pub use manifest::{Duplicates, Manifest, Settings, SplitInfo};
pub use prepare::{Prepared, is_prepared, prepare};
pub use read::{Compression, Documents, Encoding, Format, Input, ReadOptions, documents, inputs};
pub use shard::{Shard, ShardInfo, ShardWriter, Width};
pub use stream::TokenStream;
pub use tokenized::{TokenizedText, tokenize_files};
pub use tokenizer::{Special, StreamDecoder, Tokenizer};
