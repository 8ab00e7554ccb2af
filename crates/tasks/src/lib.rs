//! What is trained: one file a task, each with an inference half and a training half.

pub mod bundle;
mod error;
mod generate;
mod language_modelling;
mod score;
mod task;

pub use bundle::{Bundle, Provenance};
pub use error::Error;
pub use generate::Generation;
pub use language_modelling::{Batching, LanguageModelling, TokenSplit, score_split};
pub use score::{TextScore, token_nlls};
pub use task::{Loss, Scores, Step, Task};
