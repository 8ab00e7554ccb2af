//! The command line, through the binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod configs;
#[path = "../killing.rs"]
mod killing;
mod kills;
mod pipeline;
mod precision;
#[path = "../program.rs"]
mod program;
mod stops;
mod usage;
mod workplace;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pretrainer");
