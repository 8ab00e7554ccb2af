//! Where a run stands (`state.json` of a checkpoint).

use std::collections::BTreeMap;

use grulm_tasks::Scores;
use serde::{Deserialize, Serialize};

/// Everything that the loop must know, beside weights, optimizer and carried state, to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Version of this file's format.
    pub version: u32,
    /// The stage of the run; pretraining has one.
    pub stage: u64,
    /// Updates made.
    pub step: u64,
    /// The number of updates that the run was set to.
    pub total_steps: u64,
    /// Predictions trained on.
    pub tokens: u64,
    /// What all randomness derives from.
    pub seed: u64,
    /// The evaluation that was best.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub evaluations_since_best: u64,
    /// Times that the run went back to a checkpoint since the loss was not finite.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollbacks: u64,
    /// Whether the run came to its end, by its steps or by `train.patience`.
    pub finished: bool,
    /// The loss since the last line of `metrics.jsonl`.
    pub window: Window,
    /// Length of `metrics.jsonl` at this point, in bytes.
    pub metrics_bytes: u64,
    /// Wall-clock seconds spent, by all processes that the run had.
    pub elapsed_seconds: f64,
    /// SHA-256 of the checkpoint's other files, by path.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

/// The current version of `state.json`.
pub(crate) const VERSION: u32 = 2;

impl TrainState {
    pub(crate) fn new(seed: u64, stage: u64, total_steps: u64) -> Self {
        Self {
            version: VERSION,
            stage,
            step: 0,
            total_steps,
            tokens: 0,
            seed,
            best: None,
            evaluations_since_best: 0,
            rollbacks: 0,
            finished: false,
            window: Window::default(),
            metrics_bytes: 0,
            elapsed_seconds: 0.0,
            sha256: BTreeMap::new(),
        }
    }

    /// Takes note of an evaluation; says whether it is the best so far.
    pub(crate) fn note(&mut self, scores: &Scores) -> bool {
        let improved = match &self.best {
            Some(best) => scores.are_better_than(&best.scores),
            None => scores.criterion.is_finite(),
        };
        if improved {
            self.best = Some(Best { step: self.step, scores: finite(scores) });
            self.evaluations_since_best = 0;
        } else {
            self.evaluations_since_best += 1;
        }
        improved
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// JSON has no infinity: figures that are not finite are left out.
fn finite(scores: &Scores) -> Scores {
    let figures = scores.figures.iter().filter(|(_, figure)| figure.is_finite()).cloned().collect();
    Scores { criterion: scores.criterion, figures }
}

/// The best evaluation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Updates made before it.
    pub step: u64,
    /// Its figures.
    pub scores: Scores,
}

/// The loss since the last line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Summed over the predictions, nats.
    pub loss_sum: f64,
    /// Number of predictions.
    pub count: u64,
}
