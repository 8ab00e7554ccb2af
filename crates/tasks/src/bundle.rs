//! Bundles: a folder that holds everything that inference needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a bundle comes from (`provenance.json`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// grulm's version.
    pub grulm: String,
    /// Updates made.
    pub step: u64,
    /// Tokens (predictions) trained on.
    pub tokens: u64,
    /// SHA-256 of the corpus' manifest, where there is one.
    pub corpus: Option<String>,
    /// SHA-256 of the weights that training started from, where it did.
    pub parent: Option<String>,
    /// Validation figures at this point.
    pub scores: BTreeMap<String, f64>,
}
