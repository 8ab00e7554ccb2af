//! Scoring, training steps, bundles and generation of small models.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod bundle;
mod classification;
mod cuda;
mod generation;
#[path = "../../../../tests/gpu.rs"]
mod gpu;
mod sample;
mod scoring;
mod training;
mod translation;
