//! Text to documents to tokens.
//!
//! [`prepare`] turns files of text into a corpus folder: a tokenizer, the cleaning that the text had, and shards of tokens
//! for each [`Split`], which are mapped into memory. [`Lanes`] cuts them into batches.
//!
//! ```
//! use grulm_corpus::{CorpusConfig, Lanes, Split, TokenizerConfig, TokenizerKind, prepare};
//! use indicatif::ProgressBar;
//!
//! let folder = tempfile::tempdir()?;
//! let text = folder.path().join("text.txt");
//! std::fs::write(&text, "a bee  hums\na bee sleeps\n")?;
//!
//! let corpus = CorpusConfig {
//!     dir: folder.path().join("corpus"),
//!     train: vec![text.display().to_string()],
//!     ..CorpusConfig::default()
//! };
//! let tokenizer = TokenizerConfig { kind: TokenizerKind::Word, ..TokenizerConfig::default() };
//! let prepared = prepare(&corpus, &tokenizer, 1, &ProgressBar::hidden())?;
//!
//! let train = prepared.corpus.stream(Split::Train)?.ok_or("no text")?;
//! let tokens: Vec<u32> = (0..train.len()).map(|i| train.get(i)).collect();
//! assert_eq!(tokens.len(), 8); // three words and one <eos> a line
//! assert_eq!(prepared.corpus.tokenizer.decode(&tokens[..3])?, "a bee hums");
//!
//! // Two lanes of four tokens, read in windows of two.
//! let lanes = Lanes::new(train, 2, 2, false, 0)?;
//! assert_eq!((lanes.steps_per_epoch(), lanes.batch(0, 0, 1).targets.len()), (2, 4));
//!
//! // What is up to date is not done again.
//! assert!(prepare(&corpus, &tokenizer, 1, &ProgressBar::hidden())?.skipped);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clean;
mod config;
mod corpus;
mod dedup;
mod document;
mod error;
mod filter;
mod folder;
pub mod labelled;
mod lanes;
mod language;
mod manifest;
mod prepare;
mod read;
mod shard;
mod split;
mod stream;
mod text_fields;
mod tokenized;
mod tokenizer;
mod validate;
mod words;

pub use clean::{Alignment, Cleaner};
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
pub use prepare::{Prepared, fingerprint, is_prepared, prepare};
pub use read::{Compression, Documents, Encoding, Format, Input, ReadOptions, documents, inputs, question_inputs};
pub use shard::{Shard, ShardInfo, ShardWriter, Width};
pub use stream::TokenStream;
pub use text_fields::TextFields;
pub use tokenized::{TokenizedText, tokenize_files};
pub use tokenizer::{Special, StreamDecoder, Tokenizer};
pub use words::word_spans;
