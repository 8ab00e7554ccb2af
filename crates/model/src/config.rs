//! The `[model]` section of a config file.

use grulm_config::Invalid;
use serde::{Deserialize, Serialize};

/// `[model]`: sizes, direction and dropouts of a language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the embedding.
    pub embedding: i64,
    /// Width of the GRU layers.
    pub hidden: i64,
    /// Number of GRU layers.
    pub layers: usize,
    /// Whether the softmax uses the embedding's weights (Press and Wolf, arXiv 1608.05859). The last layer is then as
    /// wide as the embedding, unless `projection` is set.
    pub tie_weights: bool,
    /// Whether a linear layer maps the last layer to the width of the embedding before the softmax.
    pub projection: bool,
    /// The reading direction.
    pub direction: Direction,
    /// Dropout rates.
    pub dropout: DropoutConfig,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            embedding: 256,
            hidden: 512,
            layers: 2,
            tie_weights: true,
            projection: false,
            direction: Direction::Forward,
            dropout: DropoutConfig::default(),
        }
    }
}

/// The reading direction of a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Predicts the next token.
    Forward,
    /// Predicts the token before: reads the stream reversed.
    Backward,
    /// Two stacks that share embedding and softmax, one a direction (ELMo, arXiv 1802.05365).
    Both,
}

/// One of the two reading directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// From the first token to the last.
    Forward,
    /// From the last token to the first.
    Backward,
}

impl Reading {
    /// The name in parameters and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }
}

impl Direction {
    /// The stacks of a model of this direction.
    #[must_use]
    pub fn readings(self) -> &'static [Reading] {
        match self {
            Self::Forward => &[Reading::Forward],
            Self::Backward => &[Reading::Backward],
            Self::Both => &[Reading::Forward, Reading::Backward],
        }
    }
}

/// `[model.dropout]`: the dropouts of AWD-LSTM (Merity et al., arXiv 1708.02182). All but `embedding` and `weight` are
/// locked in time: one mask for all steps of a sequence (Gal and Ghahramani, arXiv 1512.05287).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropoutConfig {
    /// Share of the vocabulary whose embedding is zero for a whole pass.
    pub embedding: f64,
    /// On the embedded input of the first layer.
    pub input: f64,
    /// Between layers.
    pub hidden: f64,
    /// On the recurrent matrices (`DropConnect`).
    pub weight: f64,
    /// On the output of the last layer.
    pub output: f64,
}

impl Default for DropoutConfig {
    fn default() -> Self {
        Self { embedding: 0.0, input: 0.2, hidden: 0.2, weight: 0.0, output: 0.2 }
    }
}

impl ModelConfig {
    /// Input and output width of layer `layer`.
    #[must_use]
    pub fn widths(&self, layer: usize) -> (i64, i64) {
        let input = if layer == 0 { self.embedding } else { self.hidden };
        let narrow = self.tie_weights && !self.projection && layer + 1 == self.layers;
        (input, if narrow { self.embedding } else { self.hidden })
    }

    /// Width of what the softmax reads.
    #[must_use]
    pub fn output_width(&self) -> i64 {
        if self.tie_weights || self.projection { self.embedding } else { self.hidden }
    }

    /// Number of weights of a language model with this vocabulary.
    #[must_use]
    pub fn weight_count(&self, vocab_size: i64) -> u64 {
        self.encoder_weight_count(vocab_size) + self.decoder_weight_count(vocab_size)
    }

    /// Number of weights of the decoder alone; an embedding that it shares is the encoder's.
    #[must_use]
    pub fn decoder_weight_count(&self, vocab_size: i64) -> u64 {
        let (vocab, out) = (vocab_size.unsigned_abs(), self.output_width().unsigned_abs());
        let projection = if self.projection { out * (self.hidden.unsigned_abs() + 1) } else { 0 };
        let softmax = if self.tie_weights { vocab } else { vocab * (out + 1) };
        projection * self.direction.readings().len() as u64 + softmax
    }

    /// Number of weights of the encoder alone.
    #[must_use]
    pub fn encoder_weight_count(&self, vocab_size: i64) -> u64 {
        let gru = |layer| {
            let (input, hidden) = self.widths(layer);
            3 * hidden.unsigned_abs() * (input + hidden + 2).unsigned_abs()
        };
        let stack = (0..self.layers).map(gru).sum::<u64>();
        vocab_size.unsigned_abs() * self.embedding.unsigned_abs() + stack * self.direction.readings().len() as u64
    }

    /// Width of the last layer's output.
    #[must_use]
    pub fn encoder_width(&self) -> i64 {
        self.widths(self.layers.saturating_sub(1)).1
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [("embedding", self.embedding), ("hidden", self.hidden)] {
            if !(1..=65_536).contains(&value) {
                return Err(Invalid::new(format!("model.{key}"), value, "an integer in 1..=65536"));
            }
        }
        if !(1..=64).contains(&self.layers) {
            return Err(Invalid::new("model.layers", self.layers, "an integer in 1..=64"));
        }
        self.dropout.validate("model.dropout")
    }
}

impl DropoutConfig {
    /// Checks every rate. `section` is where they stand in the config.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn validate(&self, section: &str) -> Result<(), Invalid> {
        let &Self { embedding, input, hidden, weight, output } = self;
        let rates =
            [("embedding", embedding), ("input", input), ("hidden", hidden), ("weight", weight), ("output", output)];
        for (key, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return Err(Invalid::new(format!("{section}.{key}"), rate, "a number in 0.0..1.0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_follow_awd_when_tied() {
        let check = |tie_weights, projection, expect: [(i64, i64); 3], output| {
            let config =
                ModelConfig { embedding: 400, hidden: 1150, layers: 3, tie_weights, projection, ..Default::default() };
            assert_eq!([0, 1, 2].map(|layer| config.widths(layer)), expect);
            assert_eq!(config.output_width(), output);
        };
        check(true, false, [(400, 1150), (1150, 1150), (1150, 400)], 400);
        check(true, true, [(400, 1150), (1150, 1150), (1150, 1150)], 400);
        check(false, false, [(400, 1150), (1150, 1150), (1150, 1150)], 1150);
        check(false, true, [(400, 1150), (1150, 1150), (1150, 1150)], 400);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let check = |change: fn(&mut ModelConfig), key: &str| {
            let mut config = ModelConfig::default();
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().key, key);
        };
        check(|c| c.embedding = 0, "model.embedding");
        check(|c| c.hidden = -1, "model.hidden");
        check(|c| c.layers = 0, "model.layers");
        check(|c| c.dropout.weight = 1.0, "model.dropout.weight");
        check(|c| c.dropout.output = f64::NAN, "model.dropout.output");
        assert!(ModelConfig::default().validate().is_ok());
    }
}
