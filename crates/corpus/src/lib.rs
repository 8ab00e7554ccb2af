//! Text to documents to tokens.

mod clean;
mod config;
mod document;
mod error;
mod filter;
mod language;
mod words;

pub use clean::Cleaner;
pub use config::{
    CleanConfig, CorpusConfig, DedupConfig, FilterConfig, Preset, Replace, TokenizerConfig, TokenizerKind, UnicodeForm,
    Unit,
};
pub use document::{Document, Split};
pub use error::Error;
pub use filter::{Filter, Rule, Verdict};
