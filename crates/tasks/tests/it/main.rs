//! Scoring, training steps, bundles and generation of small models.

mod bundle;
mod generation;
mod sample;
mod scoring;
mod training;
