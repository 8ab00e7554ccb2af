//! A learning-rate range test.

use grulm_config::Invalid;
use grulm_tasks::Task;

use crate::{Error, StopFlag, config::TrainConfig, layers::Layers, snapshot::Snapshot, update::Updater};

/// The rates that are tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrRange {
    /// The first rate.
    pub low: f64,
    /// The last rate.
    pub high: f64,
    /// Updates between them, each with a rate that is a fixed factor above the last one's.
    pub steps: u64,
}

impl Default for LrRange {
    fn default() -> Self {
        Self { low: 1e-6, high: 10.0, steps: 100 }
    }
}

/// One update of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrPoint {
    /// Learning rate.
    pub rate: f64,
    /// Mean loss in nats, smoothed over the updates so far.
    pub loss: f64,
}

/// The curve of a range test and what it proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct LrCurve {
    /// By rising rate.
    pub points: Vec<LrPoint>,
    /// Where the loss falls most steeply over the logarithm of the rate.
    pub steepest: f64,
    /// A tenth of the rate at the lowest loss.
    pub tenth_of_lowest: f64,
}

impl LrCurve {
    /// The rate to use: the lower of the two readings.
    #[must_use]
    pub fn proposal(&self) -> f64 {
        self.steepest.min(self.tenth_of_lowest)
    }
}

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.9;
/// The test ends where the smoothed loss is this many times the lowest.
const DIVERGED: f64 = 4.0;
/// Fewest points that a slope is read from.
const FEWEST: usize = 5;

/// Trains over a range of rising learning rates (Smith, arXiv 1506.01186) on state that is put back afterwards.
///
/// The test ends early where the loss runs away, or a signal comes.
///
/// # Errors
/// When the range is not one, the task fails, or the loss runs away before there is a curve.
pub fn find_lr(
    task: &mut dyn Task,
    config: &TrainConfig,
    seed: u64,
    range: LrRange,
    stop: &StopFlag,
) -> Result<LrCurve, Error> {
    config.validate()?;
    let LrRange { low, high, steps } = range;
    if !(low > 0.0 && low < high && high.is_finite()) {
        return Err(Invalid::new("find-lr range", format!("{low} to {high}"), "0 < low < high").into());
    }
    if steps < FEWEST as u64 {
        return Err(Invalid::new("find-lr steps", steps, format!("{FEWEST} or more")).into());
    }
    let before = Snapshot::take(task)?;
    let points = sweep(task, config, seed, range, stop);
    before.restore(task)?;
    let points = points.map_err(|error| error.with_sizes(config))?;
    propose(&points).map(|(steepest, tenth_of_lowest)| LrCurve { points, steepest, tenth_of_lowest }).ok_or_else(|| {
        let found = format!("{low} to {high}");
        Invalid::new("find-lr range", found, "rates from a lower one on: there are too few losses before it runs away")
            .into()
    })
}

fn sweep(
    task: &mut dyn Task,
    config: &TrainConfig,
    seed: u64,
    range: LrRange,
    stop: &StopFlag,
) -> Result<Vec<LrPoint>, Error> {
    let mut updater = Updater::new(config, Layers::default(), task.params())?;
    let mut points: Vec<LrPoint> = Vec::new();
    let (mut mean, mut lowest) = (0.0, f64::INFINITY);
    for step in 0..range.steps {
        let share = step as f64 / (range.steps - 1) as f64;
        let rate = range.low * (range.high / range.low).powf(share);
        let updated = updater.update(task, seed, 0, step, rate)?;
        let loss = f64::try_from(&updated.loss_sum)? / updated.count.max(1) as f64;
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
        // The mean starts at zero; this takes that out, as Adam does.
        let smoothed = mean / (1.0 - SMOOTHING.powf((step + 1) as f64));
        if !smoothed.is_finite() || smoothed > DIVERGED * lowest || stop.signal().is_some() {
            break;
        }
        lowest = lowest.min(smoothed);
        points.push(LrPoint { rate, loss: smoothed });
    }
    Ok(points)
}

/// The two readings of a curve.
fn propose(points: &[LrPoint]) -> Option<(f64, f64)> {
    if points.len() < FEWEST {
        return None;
    }
    let (lowest, point) = points.iter().enumerate().min_by(|(_, a), (_, b)| a.loss.total_cmp(&b.loss))?;
    // Central differences up to the lowest point; rates are evenly spaced in their logarithm.
    let slope = |i: &usize| points[i + 1].loss - points[i - 1].loss;
    let steepest = (1..points.len() - 1).filter(|&i| i < lowest.max(2)).min_by(|a, b| slope(a).total_cmp(&slope(b)))?;
    Some((points[steepest].rate, point.rate / 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_read_from_the_falling_part() {
        let check = |losses: &[f64], expect: Option<(f64, f64)>| {
            let rates = (0..).map(|i| 10f64.powi(i - 6));
            let points: Vec<_> = rates.zip(losses).map(|(rate, &loss)| LrPoint { rate, loss }).collect();
            match (propose(&points), expect) {
                (Some((a, b)), Some((x, y))) => {
                    assert!((a / x - 1.0).abs() < 1e-9 && (b / y - 1.0).abs() < 1e-9, "{losses:?}: {a} {b}");
                }
                (found, expect) => assert_eq!(found, expect, "{losses:?}"),
            }
        };
        check(&[5.0, 5.0, 4.9, 4.0, 3.0, 2.9, 4.0, 9.0], Some((1e-3, 1e-2)));
        check(&[5.0, 4.9, 4.8, 4.0, 2.0, 9.0], Some((1e-3, 1e-3)));
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], Some((1e-5, 1e-7)));
        check(&[1.0, 2.0], None);
    }
}
