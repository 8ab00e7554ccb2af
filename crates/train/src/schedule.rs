//! Learning rates as a pure function of the step.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How the learning rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays where it is.
    Constant,
    /// Falls in a straight line.
    Linear,
    /// Falls along half a cosine (Loshchilov and Hutter, arXiv 1608.03983, without restarts).
    Cosine,
    /// Rises from a 25th over the warm-up, then falls along half a cosine to near zero (after Smith, arXiv 1803.09820).
    OneCycle,
    /// Rises in a straight line over the warm-up, then falls in one (Howard and Ruder, arXiv 1801.06146).
    SlantedTriangular,
}

/// How long the learning rate rises at first: an integer is a number of steps, a number with a decimal point a share of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// Steps.
    Steps(u64),
    /// Share of all steps, in `0..1`.
    Share(f64),
}

impl Warmup {
    fn steps(self, total: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps.min(total),
            Self::Share(share) => (share * total as f64) as u64,
        }
    }
}

impl Serialize for Warmup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Steps(steps) => serializer.serialize_u64(steps),
            Self::Share(share) => serializer.serialize_f64(share),
        }
    }
}

impl<'de> Deserialize<'de> for Warmup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Warmup;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of steps (an integer, at least 0) or a share of all steps (0.0 to below 1.0)")
            }

            fn visit_u64<E: de::Error>(self, steps: u64) -> Result<Warmup, E> {
                Ok(Warmup::Steps(steps))
            }

            fn visit_i64<E: de::Error>(self, steps: i64) -> Result<Warmup, E> {
                u64::try_from(steps)
                    .map(Warmup::Steps)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(steps), &self))
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<Warmup, E> {
                Ok(Warmup::Share(share))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A schedule with its figures: learning rates by step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The form.
    pub schedule: Schedule,
    /// The highest rate.
    pub peak: f64,
    /// The rate at the end. Not used by [`Schedule::Constant`].
    pub end: f64,
    /// The rise before it.
    pub warmup: Warmup,
}

/// A 1cycle run starts at this part of its highest rate, as in PyTorch's `OneCycleLR`.
const ONE_CYCLE_START: f64 = 1.0 / 25.0;

impl Rates {
    /// The learning rate of update `step`, counted from zero, of `total`.
    #[must_use]
    pub fn at(&self, step: u64, total: u64) -> f64 {
        let Self { peak, end, .. } = *self;
        let warmup = self.warmup.steps(total);
        if step < warmup {
            let risen = step as f64 / warmup as f64;
            return match self.schedule {
                // One step ahead, since a rate of zero would waste the first update.
                Schedule::Constant | Schedule::Linear | Schedule::Cosine => peak * (step + 1) as f64 / warmup as f64,
                Schedule::OneCycle => peak * (ONE_CYCLE_START + (1.0 - ONE_CYCLE_START) * risen),
                Schedule::SlantedTriangular => end + (peak - end) * risen,
            };
        }
        let done = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
        let done = done.min(1.0);
        match self.schedule {
            Schedule::Constant => peak,
            Schedule::Linear | Schedule::SlantedTriangular => peak + (end - peak) * done,
            Schedule::Cosine | Schedule::OneCycle => {
                end + (peak - end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_by_step() {
        use Schedule::{Constant, Cosine, Linear, OneCycle, SlantedTriangular};
        let none = Warmup::Steps(0);
        let check = |schedule, warmup, end, step, expect: f64| {
            let rate = Rates { schedule, peak: 1.0, end, warmup }.at(step, 100);
            assert!((rate - expect).abs() < 1e-12, "{schedule:?} at {step}: {rate}, expected {expect}");
        };
        check(Constant, none, 0.0, 0, 1.0);
        check(Constant, none, 0.0, 99, 1.0);
        check(Constant, Warmup::Steps(10), 0.0, 0, 0.1);
        check(Constant, Warmup::Steps(10), 0.0, 9, 1.0);
        check(Constant, Warmup::Share(0.1), 0.0, 4, 0.5);
        check(Linear, none, 0.0, 0, 1.0);
        check(Linear, none, 0.0, 75, 0.25);
        check(Linear, none, 0.2, 50, 0.6);
        check(Linear, Warmup::Steps(20), 0.0, 20, 1.0);
        check(Linear, Warmup::Steps(20), 0.0, 60, 0.5);
        check(Cosine, none, 0.0, 50, 0.5);
        check(Cosine, none, 0.5, 100, 0.5);
        check(Cosine, Warmup::Share(0.5), 0.0, 75, 0.5);
        check(OneCycle, Warmup::Share(0.3), 1e-4, 0, 0.04);
        check(OneCycle, Warmup::Share(0.3), 1e-4, 15, 0.52);
        check(OneCycle, Warmup::Share(0.3), 1e-4, 30, 1.0);
        check(OneCycle, Warmup::Share(0.3), 1e-4, 100, 1e-4);
        // ULMFiT: cut = 10, ratio = 32: eta * (1 + p * 31) / 32 with p = t / cut, then 1 - (t - cut) / (cut * 9).
        check(SlantedTriangular, Warmup::Share(0.1), 1.0 / 32.0, 0, 1.0 / 32.0);
        check(SlantedTriangular, Warmup::Share(0.1), 1.0 / 32.0, 5, (1.0 + 0.5 * 31.0) / 32.0);
        check(SlantedTriangular, Warmup::Share(0.1), 1.0 / 32.0, 10, 1.0);
        check(SlantedTriangular, Warmup::Share(0.1), 1.0 / 32.0, 55, (1.0 + 0.5 * 31.0) / 32.0);
        // More warm-up than steps, and steps past the end, still give a rate.
        check(Linear, Warmup::Steps(1000), 0.0, 99, 1.0);
        check(Linear, none, 0.1, 1000, 0.1);
    }

    #[test]
    fn no_steps_at_all_give_a_rate() {
        for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine, Schedule::OneCycle] {
            let rates = Rates { schedule, peak: 1.0, end: 0.0, warmup: Warmup::Share(0.3) };
            assert!(rates.at(0, 0).is_finite());
        }
    }
}
