//! The command line, through the binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod bad_input;
mod configs;
mod damage;
#[path = "../faults.rs"]
mod faults;
#[path = "../killing.rs"]
mod killing;
mod kills;
mod pipeline;
mod plans;
#[path = "../program.rs"]
mod program;
mod resume;
mod translation;
mod workplace;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_finetuner");
