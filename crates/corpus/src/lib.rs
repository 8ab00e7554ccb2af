//! Text to documents to tokens.

mod clean;
mod config;
mod digest;
mod document;
mod error;
mod folder;
mod lanes;
mod manifest;
mod read;
mod report;
mod shard;
mod stream;
mod tokenizer;
mod words;

pub use clean::Cleaner;
pub use config::{
    CleanConfig, CorpusConfig, DedupConfig, FilterConfig, Preset, Replace, TokenizerConfig, TokenizerKind, UnicodeForm,
    Unit,
};
pub use document::{Document, Split};
pub use error::Error;
pub use lanes::{Batch, Lanes};
pub use manifest::{Duplicates, Manifest, Settings, SplitInfo};
pub use read::{Compression, Documents, Encoding, Format, Input, ReadOptions, documents, inputs};
pub use shard::{Shard, ShardInfo, ShardWriter, Width};
pub use stream::TokenStream;
pub use tokenizer::{Special, StreamDecoder, Tokenizer};
