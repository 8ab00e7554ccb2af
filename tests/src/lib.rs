//! Whole-pipeline tests through the binaries.
