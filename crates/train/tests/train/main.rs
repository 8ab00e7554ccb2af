//! The training loop on a toy task.

// Clippy knows test functions as tests, but not what they call.
#![allow(clippy::unwrap_used)]

mod checkpoints;
mod folders;
mod resume;
mod runs;
mod toy;
