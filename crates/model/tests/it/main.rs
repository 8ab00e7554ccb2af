//! The model against PyTorch, its dropouts, and files that do not fit.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod attention;
mod cuda;
mod dropouts;
mod files;
mod golden;
#[path = "../../../../tests/gpu.rs"]
mod gpu;
mod span_reader;
