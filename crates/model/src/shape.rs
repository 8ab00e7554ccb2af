//! `model.json`: everything about a model but its weights.

use std::path::Path;

use grulm_config::Invalid;
use serde::{Deserialize, Serialize};

use crate::{Error, ModelConfig};

/// Sizes and dropouts of the encoder that a bundle's weights belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Version of this file's format.
    pub version: u32,
    /// Entries of the vocabulary.
    pub vocab_size: i64,
    /// Sizes and dropouts.
    pub model: ModelConfig,
}

const VERSION: u32 = 1;
const VOCAB_SIZES: std::ops::RangeInclusive<i64> = 1..=1 << 31;

/// The name of a bundle's file that holds a [`Shape`].
pub const SHAPE_FILE: &str = "model.json";
/// The name of a bundle's file that holds the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

impl Shape {
    /// # Errors
    /// When a value of `model` is out of range, or `vocab_size` is not in 1 to 2^31.
    pub fn new(model: &ModelConfig, vocab_size: i64) -> Result<Self, Invalid> {
        model.validate()?;
        Invalid::check("vocab_size", vocab_size, VOCAB_SIZES.contains(&vocab_size), "1 to 2^31")?;
        Ok(Self { version: VERSION, vocab_size, model: model.clone() })
    }

    /// Writes `model.json` into `folder`, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(SHAPE_FILE);
        let io = |source| Error::Io { path: path.clone(), source };
        let json = serde_json::to_string_pretty(self).map_err(|e| io(e.into()))?;
        grulm_durable::write(&path, format!("{json}\n").as_bytes()).map_err(io)
    }

    /// Reads the `model.json` of `folder`, and refuses sizes that the file of weights beside it cannot hold, before memory is
    /// taken for them.
    ///
    /// # Errors
    /// When a file is missing, not readable, or out of range.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(SHAPE_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let refuse = |reason: String| Error::weights(&path, reason);
        let shape: Self = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        if shape.version != VERSION {
            return Err(refuse(format!("version {}; this program reads version {VERSION}", shape.version)));
        }
        if !VOCAB_SIZES.contains(&shape.vocab_size) {
            return Err(refuse(format!("vocab_size {}; expected 1 to 2^31", shape.vocab_size)));
        }
        shape.model.validate().map_err(|e| refuse(e.to_string()))?;
        shape.check_weights(folder, 0)?;
        Ok(shape)
    }

    /// Refuses a file of weights in `folder` that is too small for the encoder and `more` weights, before memory is taken for
    /// them.
    ///
    /// # Errors
    /// When it is, or is missing.
    pub fn check_weights(&self, folder: &Path, more: u64) -> Result<(), Error> {
        let weights = folder.join(WEIGHTS_FILE);
        let found = std::fs::metadata(&weights).map_err(|source| Error::Io { path: weights.clone(), source })?.len();
        // A byte a weight at least, in the smallest format.
        let expected = self.model.encoder_weight_count(self.vocab_size).saturating_add(more);
        if expected > found {
            let reason = format!("{found} bytes; the sizes in {SHAPE_FILE} and task.json call for at least {expected}");
            return Err(Error::weights(&weights, reason));
        }
        Ok(())
    }
}
