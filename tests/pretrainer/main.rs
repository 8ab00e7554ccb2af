//! The command line, through the binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod configs;
mod pipeline;
mod precision;
mod program;
mod stops;
mod usage;
