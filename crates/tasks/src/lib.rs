//! What is trained: one file a task, each with an inference half and a training half.
//!
//! ```
//! use grulm_corpus::TokenStream;
//! use grulm_kernels::Compute;
//! use grulm_model::{LanguageModel, ModelConfig, Reading};
//! use grulm_tasks::{TextScore, token_nlls};
//! use tch::Device;
//!
//! let config = ModelConfig { embedding: 8, hidden: 16, ..ModelConfig::default() };
//! let model = LanguageModel::new(&config, 100, 1, Device::Cpu)?;
//! let text = TokenStream::from_tokens(vec![17, 42, 99, 3]); // <eos> is 3
//! let nlls = token_nlls(&model, Reading::Forward, &text, 1, 3, Compute::fp32())?;
//! let score = TextScore::new(&nlls, 13); // of 13 bytes
//! assert_eq!(score.tokens, 4);
//! // Of 100 words an untrained model knows next to nothing.
//! assert!((90.0..110.0).contains(&score.perplexity()));
//! # Ok::<(), grulm_tasks::Error>(())
//! ```

mod buckets;
pub mod bundle;
mod checks;
pub mod classification;
mod error;
mod examples;
mod generate;
pub mod generation;
mod language_modelling;
pub mod question_answering;
mod reader;
mod score;
mod task;
mod text_batch;
pub mod translation;

pub use buckets::SORTED_TOGETHER;
pub use bundle::{Bundle, BundleModel, Provenance};
pub use error::Error;
pub use examples::{Examples, ExamplesWriter, Framing, Text};
pub use generate::Generation;
pub use grulm_metrics as metrics;
pub use language_modelling::{Batching, LanguageModelling, TokenSplit, score_split};
pub use score::{TextScore, sequence_nlls, token_nlls};
pub use task::{Loss, Scores, Step, Task, Unit};
pub use text_batch::TextBatch;
