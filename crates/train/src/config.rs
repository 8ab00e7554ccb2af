//! The `[train]` section of a config file.

use std::{
    fmt::{self, Display, Formatter},
    path::PathBuf,
    time::Duration,
};

use grulm_config::Invalid;
use grulm_kernels::Precision;
use grulm_model::OutputPenalties;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    divergence::OnDivergence,
    schedule::{Rates, Schedule, Warmup},
};

/// `[train]`: how a task is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Updates to make; wins over `epochs`.
    pub steps: Option<u64>,
    /// Passes over the training data; 10 where neither this nor `steps` nor `budget` is set.
    pub epochs: Option<f64>,
    /// Wall-clock time for training, its evaluations and checkpoints included ("10m", "1h 30m"). Speed is measured first,
    /// the number of steps fixed by it; `steps` and `epochs` do not count then.
    pub budget: Option<Budget>,
    /// Sequences that are computed side by side.
    pub batch_size: usize,
    /// Steps in time through which gradients flow.
    pub sequence_length: usize,
    /// Micro-batches whose gradients one update sums.
    pub accumulate: u64,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The rate at the end of a schedule that falls. Where not set: 0 for "linear" and "cosine", a 10,000th of
    /// `learning_rate` for "`one_cycle`", a 32nd for "`slanted_triangular`".
    pub min_learning_rate: Option<f64>,
    /// How the rate moves.
    pub schedule: Schedule,
    /// How long it rises at first: steps (an integer) or a share of all steps (a float). Where not set: 0.3 for
    /// "`one_cycle`", 0.1 for "`slanted_triangular`", else none.
    pub warmup: Option<Warmup>,
    /// What turns gradients into updates.
    pub optimizer: OptimizerKind,
    /// `AdamW`: decay of the running means of the gradient and of its square, each in `0..1`.
    pub betas: [f64; 2],
    /// `AdamW`: added to the denominator.
    pub epsilon: f64,
    /// SGD: part of the last update that goes on, in `0..1`.
    pub momentum: f64,
    /// Decoupled weight decay: each update multiplies the matrices by 1 - rate * decay (arXiv 1711.05101).
    pub weight_decay: f64,
    /// The coupled term lambda * sum of squares of the matrices, added to the mean loss.
    pub l2: f64,
    /// Language modelling: times the mean square of the last layer's outputs, added to the mean loss (arXiv 1708.01009).
    pub activation_l2: f64,
    /// Language modelling: times the mean square of their change from one time step to the next, added likewise.
    pub temporal_l2: f64,
    /// Largest norm of the gradient of the mean loss; 0 is no limit (arXiv 1211.5063).
    pub clip_norm: f64,
    /// Arithmetic of the forward and backward pass.
    pub precision: PrecisionSetting,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Steps between evaluations; an epoch where not set. There is always one at the end.
    pub evaluate_every: Option<u64>,
    /// Steps between checkpoints. There is always one at the end, and one for each evaluation that is the best so far.
    pub checkpoint_every: u64,
    /// Newest checkpoints that are kept; the best one always is.
    pub keep: usize,
    /// Evaluations in a row without a new best after which training ends; 0 is never.
    pub patience: u64,
    /// What to do when the loss is not finite: "stop" or "rollback".
    pub on_divergence: OnDivergence,
    /// A bundle whose weights training starts from.
    pub init: Option<PathBuf>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: None,
            budget: None,
            batch_size: 32,
            sequence_length: 64,
            accumulate: 1,
            learning_rate: 1e-3,
            min_learning_rate: None,
            schedule: Schedule::Cosine,
            warmup: None,
            optimizer: OptimizerKind::AdamW,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            momentum: 0.9,
            weight_decay: 0.0,
            l2: 0.0,
            activation_l2: 0.0,
            temporal_l2: 0.0,
            clip_norm: 1.0,
            precision: PrecisionSetting::Auto,
            log_every: 50,
            evaluate_every: None,
            checkpoint_every: 1000,
            keep: 2,
            patience: 0,
            on_divergence: OnDivergence::Stop,
            init: None,
        }
    }
}

impl TrainConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_length()?;
        let rate = self.learning_rate;
        number("learning_rate", rate, rate > 0.0, "above 0")?;
        if let Some(end) = self.min_learning_rate {
            number("min_learning_rate", end, (0.0..=rate).contains(&end), "0 to train.learning_rate")?;
            if self.schedule == Schedule::Constant {
                let allowed = "only a schedule that falls (train.schedule is \"constant\")";
                return Err(Invalid::new("train.min_learning_rate", end, allowed));
            }
        }
        if let Some(Warmup::Share(share)) = self.warmup {
            let allowed = "an integer (steps), or a share of all steps from 0.0 to below 1.0";
            number("warmup", share, (0.0..1.0).contains(&share), allowed)?;
        }
        for beta in self.betas {
            number("betas", beta, (0.0..1.0).contains(&beta), "two numbers from 0 to below 1")?;
        }
        number("epsilon", self.epsilon, self.epsilon > 0.0, "above 0")?;
        number("momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "0 to below 1")?;
        number("weight_decay", self.weight_decay, self.weight_decay >= 0.0, "0 or more")?;
        let penalties = [("l2", self.l2), ("activation_l2", self.activation_l2), ("temporal_l2", self.temporal_l2)];
        for (key, weight) in penalties {
            number(key, weight, weight >= 0.0, "0 or more")?;
        }
        number("clip_norm", self.clip_norm, self.clip_norm >= 0.0, "0 (no limit) or more")
    }

    fn validate_length(&self) -> Result<(), Invalid> {
        if let Some(epochs) = self.epochs {
            number("epochs", epochs, epochs > 0.0, "above 0")?;
        }
        if let Some(budget) = self.budget
            && budget.0 < SHORTEST_BUDGET
        {
            let allowed = "a duration of at least 1s, such as \"10m\" or \"1h 30m\"";
            return Err(Invalid::new("train.budget", budget.to_string(), allowed));
        }
        let counts = [
            ("steps", self.steps.unwrap_or(1)),
            ("batch_size", self.batch_size as u64),
            ("sequence_length", self.sequence_length as u64),
            ("accumulate", self.accumulate),
            ("log_every", self.log_every),
            ("evaluate_every", self.evaluate_every.unwrap_or(1)),
            ("checkpoint_every", self.checkpoint_every),
            ("keep", self.keep as u64),
        ];
        for (key, count) in counts {
            if count == 0 || count > LARGEST_COUNT {
                return Err(Invalid::new(format!("train.{key}"), count, format!("1 to {LARGEST_COUNT}")));
            }
        }
        Ok(())
    }

    /// Numbers that the optimizer keeps for each weight.
    #[must_use]
    pub fn optimizer_numbers(&self) -> u64 {
        match self.optimizer {
            OptimizerKind::AdamW => 2,
            OptimizerKind::Sgd => 1,
        }
    }

    /// The penalties of language modelling.
    #[must_use]
    pub fn output_penalties(&self) -> OutputPenalties {
        OutputPenalties { activation: self.activation_l2, temporal: self.temporal_l2 }
    }

    /// Learning rates by step.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let peak = self.learning_rate;
        let (end, warmup) = match self.schedule {
            Schedule::Constant => (peak, Warmup::Steps(0)),
            Schedule::Linear | Schedule::Cosine => (0.0, Warmup::Steps(0)),
            Schedule::OneCycle => (peak * 1e-4, Warmup::Share(0.3)),
            Schedule::SlantedTriangular => (peak / 32.0, Warmup::Share(0.1)),
        };
        Rates {
            schedule: self.schedule,
            peak,
            end: self.min_learning_rate.unwrap_or(end),
            warmup: self.warmup.unwrap_or(warmup),
        }
    }

    /// The number of updates that `steps` or `epochs` ask for, without regard to `budget`.
    #[must_use]
    pub fn total_steps(&self, batches_per_epoch: u64) -> u64 {
        let epochs = self.epochs.unwrap_or(DEFAULT_EPOCHS);
        self.steps.unwrap_or_else(|| self.updates(epochs, batches_per_epoch))
    }

    /// Updates an epoch, rounded; 1 where they are fewer.
    #[must_use]
    pub fn steps_per_epoch(&self, batches_per_epoch: u64) -> u64 {
        self.updates(1.0, batches_per_epoch)
    }

    /// Steps between evaluations.
    #[must_use]
    pub fn evaluate_every(&self, batches_per_epoch: u64) -> u64 {
        self.evaluate_every.unwrap_or_else(|| self.steps_per_epoch(batches_per_epoch)).max(1)
    }

    /// What to say where a run was begun with more steps, so many, than there are now.
    pub(crate) fn too_short(&self, begun_with: u64, batches_per_epoch: u64) -> Invalid {
        let allowed = |least: String| format!("{least} or more, which the run was begun with");
        if let Some(steps) = self.steps {
            return Invalid::new("train.steps", steps, allowed(begun_with.to_string()));
        }
        let least = begun_with as f64 / self.updates(1.0, batches_per_epoch) as f64;
        let epochs = self.epochs.unwrap_or(DEFAULT_EPOCHS);
        Invalid::new("train.epochs", epochs, allowed(format!("{:.2}", (least * 100.0).ceil() / 100.0)))
    }

    fn updates(&self, epochs: f64, batches_per_epoch: u64) -> u64 {
        let updates = epochs * batches_per_epoch as f64 / self.accumulate.max(1) as f64;
        (updates.round() as u64).clamp(1, LARGEST_COUNT)
    }
}

const DEFAULT_EPOCHS: f64 = 10.0;
const LARGEST_COUNT: u64 = 1 << 40;
const SHORTEST_BUDGET: Duration = Duration::from_secs(1);

fn number(key: &str, found: f64, fits: bool, allowed: &str) -> Result<(), Invalid> {
    if fits && found.is_finite() { Ok(()) } else { Err(Invalid::new(format!("train.{key}"), found, allowed)) }
}

/// Optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
    AdamW,
    /// Stochastic gradient descent with momentum, as PyTorch's `SGD`.
    Sgd,
}

/// Arithmetic by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionSetting {
    /// The fastest that the device multiplies in hardware.
    Auto,
    /// 32-bit floating point.
    Fp32,
    /// Products of bfloat16 numbers, accumulated in f32.
    Bf16,
}

impl PrecisionSetting {
    /// The one that is named.
    #[must_use]
    pub fn named(self) -> Option<Precision> {
        match self {
            Self::Auto => None,
            Self::Fp32 => Some(Precision::Fp32),
            Self::Bf16 => Some(Precision::Bf16),
        }
    }
}

/// A length of time, written as "10m", "1h 30m", "45s".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub Duration);

impl Display for Budget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Budget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"10m\", \"1h 30m\" or \"45s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Budget, E> {
                humantime::parse_duration(text)
                    .map(Budget)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_through_toml_and_back() {
        let check = |text: &str| {
            let config: TrainConfig = toml::from_str(text).unwrap();
            config.validate().unwrap();
            assert_eq!(toml::from_str::<TrainConfig>(&toml::to_string(&config).unwrap()).unwrap(), config, "{text}");
            config
        };
        assert_eq!(check(""), TrainConfig::default());
        assert_eq!(check("warmup = 100").warmup, Some(Warmup::Steps(100)));
        assert_eq!(check("warmup = 0.1").warmup, Some(Warmup::Share(0.1)));
        assert_eq!(check("budget = '1h 30m'").budget, Some(Budget(Duration::from_secs(5400))));
        assert_eq!(check("optimizer = 'sgd'\nmomentum = 0.0").optimizer, OptimizerKind::Sgd);
        assert_eq!(check("optimizer = 'adamw'\nbetas = [0.9, 0.99]").betas, [0.9, 0.99]);
        assert_eq!(check("schedule = 'one_cycle'").rates().warmup, Warmup::Share(0.3));
        assert_eq!(check("schedule = 'slanted_triangular'\nlearning_rate = 3.2").rates().end, 0.1);
        assert_eq!(check("epochs = 0.5").total_steps(100), 50);
        assert_eq!(check("steps = 7").total_steps(100), 7);
        assert_eq!(check("steps = 7\nepochs = 3").total_steps(100), 7);
        assert_eq!(check("").total_steps(100), 1000);
        // Passes over the data, however many batches an update takes.
        for (text, batches, total, epoch) in [
            ("accumulate = 10\nepochs = 10", 19, 19, 2),
            ("accumulate = 100\nepochs = 10", 4, 1, 1),
            ("accumulate = 2\nepochs = 3", 5, 8, 3),
        ] {
            let config = check(text);
            assert_eq!((config.total_steps(batches), config.steps_per_epoch(batches)), (total, epoch), "{text}");
            assert_eq!(config.evaluate_every(batches), epoch, "{text}");
        }
        assert_eq!(check("precision = 'fp32'").precision.named(), Some(Precision::Fp32));
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let check = |text: &str, key: &str| {
            let found = toml::from_str::<TrainConfig>(text).unwrap().validate().unwrap_err();
            assert_eq!(found.key, format!("train.{key}"), "{text}: {found}");
        };
        check("steps = 0", "steps");
        check("epochs = 0", "epochs");
        check("epochs = inf", "epochs");
        check("budget = '10ms'", "budget");
        check("batch_size = 0", "batch_size");
        check("sequence_length = 0", "sequence_length");
        check("accumulate = 0", "accumulate");
        check("learning_rate = 0", "learning_rate");
        check("learning_rate = nan", "learning_rate");
        check("min_learning_rate = 1.0", "min_learning_rate");
        check("min_learning_rate = 1e-4\nschedule = 'constant'", "min_learning_rate");
        check("warmup = 1.0", "warmup");
        check("warmup = -0.1", "warmup");
        check("betas = [0.9, 1.0]", "betas");
        check("epsilon = 0", "epsilon");
        check("momentum = 1.5", "momentum");
        check("weight_decay = -1", "weight_decay");
        check("l2 = -1", "l2");
        check("activation_l2 = -1", "activation_l2");
        check("temporal_l2 = nan", "temporal_l2");
        check("clip_norm = -1", "clip_norm");
        check("log_every = 0", "log_every");
        check("evaluate_every = 0", "evaluate_every");
        check("checkpoint_every = 0", "checkpoint_every");
        check("keep = 0", "keep");
    }

    #[test]
    fn what_cannot_be_read_says_what_is_allowed() {
        let check = |text: &str, expect: &str| {
            let found = toml::from_str::<TrainConfig>(text).unwrap_err().to_string();
            assert!(found.contains(expect), "{text}: {found}");
        };
        check("budget = 'soon'", "\"10m\"");
        check("budget = 10", "\"10m\"");
        check("warmup = 'long'", "a number of steps");
        check("warmup = -1", "a number of steps");
        check("schedule = 'square'", "one_cycle");
        check("optimizer = 'adam'", "adamw");
        check("learning_rat = 1", "learning_rate");
    }
}
