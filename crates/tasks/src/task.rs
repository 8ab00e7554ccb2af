//! What the training loop knows of the things that it trains.

use std::path::Path;

use grulm_model::{Params, Site};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Tensor;

use crate::{Error, bundle::Provenance};

/// Names one forward and backward pass; all of its randomness and its batch are functions of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The run's seed.
    pub seed: u64,
    /// The stage of the run (pretraining has one, fine-tuning several).
    pub stage: u64,
    /// The update, counted from zero.
    pub step: u64,
    /// The micro-batch of this update, counted from zero.
    pub micro: u64,
    /// Micro-batches an update.
    pub accumulate: u64,
}

impl Step {
    /// Where the randomness of this pass comes from.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::new(self.seed).at(self.stage).at(self.step).at(self.micro)
    }

    /// The batch that this pass draws, counted over the whole stage.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.step * self.accumulate + self.micro
    }
}

/// What predictions are made for, in reports of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each token.
    Tokens,
    /// Each text.
    Texts,
}

impl Unit {
    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Texts => "texts",
        }
    }

    /// The name of the speed in `timing.jsonl`.
    #[must_use]
    pub fn per_second(self) -> &'static str {
        match self {
            Self::Tokens => "tokens_per_second",
            Self::Texts => "texts_per_second",
        }
    }
}

/// The loss of one pass.
#[derive(Debug)]
pub struct Loss {
    /// Summed over the predictions, in nats: 0-dim f32, with its graph.
    pub sum: Tensor,
    /// Number of predictions.
    pub count: u64,
    /// What training adds to the mean loss, and reports do not count: 0-dim f32, with its graph.
    pub penalty: Option<Tensor>,
}

/// Figures of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// What chooses the best checkpoint: lower is better.
    pub criterion: f64,
    /// Named figures in the order of reports, the keys of `evaluate --json`.
    pub figures: Vec<(String, f64)>,
}

/// The name of the mean negative log likelihood among the figures.
const NLL: &str = "nll";

impl Scores {
    /// Whether these are better than `other`: by the criterion; of equals by the likelihood, where both have one. A criterion
    /// that is not finite never is.
    #[must_use]
    pub fn are_better_than(&self, other: &Self) -> bool {
        let likelier = || matches!((self.get(NLL), other.get(NLL)), (Some(own), Some(other)) if own < other);
        self.criterion.is_finite()
            && (self.criterion < other.criterion || (self.criterion == other.criterion && likelier()))
    }

    /// The figures that JSON can hold, which has no infinity.
    pub fn finite(&self) -> impl Iterator<Item = (String, f64)> {
        self.figures.iter().filter(|(_, figure)| figure.is_finite()).cloned()
    }

    /// The figure of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }
}

/// Something that can be trained.
pub trait Task {
    /// Its weights.
    fn params(&self) -> &Params;

    /// Draws the batch that `step` names and computes its loss.
    ///
    /// # Errors
    /// When libtorch refuses, out of memory included.
    fn step(&mut self, step: Step) -> Result<Loss, Error>;

    /// What its predictions are made for.
    fn unit(&self) -> Unit {
        Unit::Tokens
    }

    /// Batches that one pass over the training data takes, of which an update may take several.
    fn batches_per_epoch(&self) -> u64;

    /// The named figures (`perplexity`, `bits_per_byte`) that a mean training loss, in nats, amounts to.
    fn figures(&self, mean_loss: f64) -> Vec<(&'static str, f64)>;

    /// Scores the validation data; `None` where there is none.
    ///
    /// # Errors
    /// When libtorch refuses.
    fn evaluate(&mut self) -> Result<Option<Scores>, Error>;

    /// Called when weights were overwritten from a file: what was computed from those before is out of date.
    fn weights_were_loaded(&mut self) {}

    /// What must go into a checkpoint beside the weights (the carried state), by name.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes up a state that [`Task::state`] gave.
    ///
    /// # Errors
    /// When names or shapes differ from this task's.
    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error>;

    /// What its bundle holds beside sizes and weights, as the last evaluation left it: what [`crate::bundle::settings`] gives.
    ///
    /// # Errors
    /// When it has no form in JSON.
    fn settings(&self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    /// Writes the inference half (weights, sizes, tokenizer, cleaning) to a folder that exists.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_likelier_is_better() {
        let scores = |criterion: f64, nll: Option<f64>| Scores {
            criterion,
            figures: nll.map(|nll| (NLL.to_owned(), nll)).into_iter().collect(),
        };
        let check = |own: (f64, Option<f64>), other: (f64, Option<f64>), expect: bool| {
            assert_eq!(scores(own.0, own.1).are_better_than(&scores(other.0, other.1)), expect, "{own:?}, {other:?}");
        };
        check((0.1, Some(2.0)), (0.2, Some(1.0)), true);
        check((0.2, Some(1.0)), (0.1, Some(2.0)), false);
        check((0.1, Some(0.5)), (0.1, Some(0.6)), true);
        check((0.1, Some(0.6)), (0.1, Some(0.6)), false);
        check((0.1, Some(0.6)), (0.1, None), false);
        check((0.1, None), (0.1, None), false);
        check((f64::NAN, Some(0.1)), (0.1, Some(0.6)), false);
        check((f64::NEG_INFINITY, None), (0.1, None), false);
    }
}
