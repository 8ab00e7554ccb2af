//! The training loop on a toy task.

mod checkpoints;
mod folders;
mod resume;
mod runs;
mod toy;
