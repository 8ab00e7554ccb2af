//! What is trained: one file a task.

pub mod bundle;
mod error;
mod task;

pub use error::Error;
pub use task::{Loss, Scores, Step, Task};
