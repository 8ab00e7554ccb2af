//! Text to documents to tokens.

mod config;
mod document;
mod error;
mod read;

pub use config::{
    CleanConfig, CorpusConfig, DedupConfig, FilterConfig, Preset, Replace, TokenizerConfig, TokenizerKind, UnicodeForm,
    Unit,
};
pub use document::{Document, Split};
pub use error::Error;
pub use read::{Compression, Documents, Encoding, Format, Input, ReadOptions, documents, inputs};
