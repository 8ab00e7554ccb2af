//! The command line, through the binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod configs;
mod damage;
mod divergence;
#[path = "../faults.rs"]
mod faults;
mod full_disk;
mod hostile;
#[path = "../killing.rs"]
mod killing;
mod kills;
mod locks;
mod memory;
mod pipeline;
mod precision;
#[path = "../program.rs"]
mod program;
mod stops;
mod usage;
mod workplace;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pretrainer");
