//! Probabilities that mean what they say, and decisions from them.

use crate::Confusion;

/// The temperature by which logits `[N, C]` (row-major, N as many as `gold` has classes) are divided so that the softmax of
/// the quotients has the lowest negative log likelihood (Guo et al. 2017, "On calibration of modern neural networks",
/// arXiv 1706.04599). Order, and so every decision for the likeliest class, stays.
///
/// As few examples that are all right would ask for certainty, the target of each is not 1, but (N + 1) / (N + C), and the rest
/// the same for each other class (Platt 1999, "Probabilistic outputs for support vector machines"). It lies in `0.05..=20`, where
/// it ends if the likelihood still rises there. It is 1 where there is nothing to learn from: no example, one class, a logit that is not finite.
///
/// # Panics
/// When `logits` is not a multiple of `gold`, or a class of `gold` is not below C.
#[must_use]
pub fn temperature(logits: &[f32], gold: &[usize]) -> f64 {
    /// Halvings of the range of logarithms, after which it is narrower than rounding.
    const HALVINGS: usize = 60;
    if gold.is_empty() {
        return 1.0;
    }
    let classes = logits.len() / gold.len();
    assert_eq!(classes * gold.len(), logits.len(), "logits of {} examples", gold.len());
    if classes < 2 || !logits.iter().all(|logit| logit.is_finite()) {
        return 1.0;
    }
    1.0 / best_scale(logits, classes, gold, HALVINGS)
}

/// The inverse of the best temperature, after so many halvings of the range of its logarithm.
fn best_scale(logits: &[f32], classes: usize, gold: &[usize], halvings: usize) -> f64 {
    const RANGE: f64 = 20.0;
    // In the inverse of the temperature the likelihood is concave: its slope changes sign once, at the solution.
    let (mut low, mut high) = (-RANGE.ln(), RANGE.ln());
    for _ in 0..halvings {
        let middle = f64::midpoint(low, high);
        if slope(logits, classes, gold, middle.exp()) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high).exp()
}

/// What the logits `[N, C]` of a second model should weigh, in `0..=1`, beside those of a first one, which weigh the rest: the
/// share with which the mixture, divided by its own best [`temperature`], has the lowest negative log likelihood (Heskes 1998,
/// "Selecting weighting factors in logarithmic opinion pools"). It is a half where there is no example.
///
/// # Panics
/// As [`temperature`], and when the two differ in length.
#[must_use]
pub fn mixture_share(first: &[f32], second: &[f32], gold: &[usize]) -> f64 {
    /// Narrowings of the range, after which it is below a ten-thousandth.
    const NARROWINGS: usize = 20;
    /// After these the temperature is right to a thousandth, which the loss does not feel.
    const HALVINGS: usize = 13;
    assert_eq!(first.len(), second.len(), "logits of two models");
    if gold.is_empty() {
        return 0.5;
    }
    let loss = |share: f64| {
        let mixture = mixture(first, second, share);
        loss(&mixture, gold, best_scale(&mixture, first.len() / gold.len(), gold, HALVINGS))
    };
    // The loss falls and then rises: where a cone of scales meets a convex function. Golden section search.
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.0, 1.0);
    let [mut left, mut right] = [1.0 - golden, golden].map(|share| (share, loss(share)));
    for _ in 0..NARROWINGS {
        if left.1 <= right.1 {
            (high, right) = (right.0, left);
            let share = high - golden * (high - low);
            left = (share, loss(share));
        } else {
            (low, left) = (left.0, right);
            let share = low + golden * (high - low);
            right = (share, loss(share));
        }
    }
    f64::midpoint(low, high)
}

/// The logits of two models as one, in which those of `second` weigh `share`, and those of `first` the rest.
#[must_use]
pub fn mixture(first: &[f32], second: &[f32], share: f64) -> Vec<f32> {
    let mix = |(&a, &b): (&f32, &f32)| (f64::from(a) * (1.0 - share) + f64::from(b) * share) as f32;
    first.iter().zip(second).map(mix).collect()
}

/// The negative log likelihood, summed, of logits times `scale` under the targets of [`temperature`].
fn loss(logits: &[f32], gold: &[usize], scale: f64) -> f64 {
    let classes = logits.len() / gold.len();
    let other = 1.0 / (gold.len() + classes) as f64;
    let examples = logits.chunks_exact(classes).zip(gold);
    examples
        .map(|(logits, &gold)| {
            let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let scaled = || logits.iter().map(|&logit| scale * (f64::from(logit) - largest));
            let own = scale * (f64::from(logits[gold]) - largest);
            let target = (1.0 - classes as f64 * other) * own + other * scaled().sum::<f64>();
            scaled().map(f64::exp).sum::<f64>().ln() - target
        })
        .sum()
}

/// The derivative of the negative log likelihood by `scale`, the inverse of the temperature.
fn slope(logits: &[f32], classes: usize, gold: &[usize], scale: f64) -> f64 {
    let examples = logits.chunks_exact(classes).zip(gold);
    let other = 1.0 / (gold.len() + classes) as f64;
    examples
        .map(|(logits, &gold)| {
            let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let (mut weights, mut weighted, mut sum) = (0.0, 0.0, 0.0);
            for &logit in logits {
                // Relative to the largest, so that nothing overflows and equal logits cancel exactly.
                let logit = f64::from(logit) - largest;
                let weight = (scale * logit).exp();
                weights += weight;
                weighted += weight * logit;
                sum += logit;
            }
            let own = f64::from(logits[gold]) - largest;
            weighted / weights - (1.0 - classes as f64 * other) * own - other * sum
        })
        .sum()
}

/// The threshold for the probability of the second of two classes, from which on an example is taken for that class, under
/// which `score` is largest ([`Confusion::accuracy`], [`Confusion::macro_f1`], [`Confusion::mcc`]).
///
/// Of thresholds that score alike it is 0.5 if that is one of them, else the middle of the gap between two examples that
/// is nearest to 0.5. `gold` says which examples are of the second class.
///
/// # Panics
/// When the two differ in length.
#[must_use]
pub fn threshold(probabilities: &[f32], gold: &[bool], score: impl Fn(&Confusion) -> f64) -> f64 {
    const EVEN: f64 = 0.5;
    assert_eq!(probabilities.len(), gold.len());
    let mut examples: Vec<_> = probabilities.iter().zip(gold).map(|(&p, &second)| (f64::from(p), second)).collect();
    examples.sort_by(|a, b| a.0.total_cmp(&b.0));

    // How many of each class are below the threshold, and not; it rises from group to group of equal probability.
    let of = |wanted: bool| gold.iter().filter(|&&second| second == wanted).count() as u64;
    let mut counts = [[0, of(false)], [0, of(true)]];
    let mut best = (f64::NEG_INFINITY, f64::INFINITY, EVEN);
    // Thresholds above `low` that are at most the next probability decide alike.
    let mut low = -1.0;
    for group in examples.chunk_by(|a, b| a.0 == b.0).chain([&[][..]]) {
        let high = group.first().map_or(1.0, |example| example.0);
        if low < high {
            let cut = if low < EVEN && EVEN <= high { EVEN } else { f64::midpoint(f64::max(low, 0.0), high) };
            let (score, distance) = (score(&Confusion::of_two(counts)), (cut - EVEN).abs());
            if score > best.0 || (score == best.0 && distance < best.1) {
                best = (score, distance, cut);
            }
        }
        for &(_, second) in group {
            let [taken_for_first, taken_for_second] = &mut counts[usize::from(second)];
            *taken_for_first += 1;
            *taken_for_second -= 1;
        }
        low = high;
    }
    best.2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn temperatures() {
        let check = |logits: &[f32], gold: &[usize], expect: f64| {
            let found = temperature(logits, gold);
            assert!((found / expect - 1.0).abs() < 1e-6, "{found} instead of {expect}");
        };
        // Targets of 5/6; one of four is wrong: the logit that gives their mean, 2/3, is ln 2.
        check(&[2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0], &[0, 0, 0, 1], 2.0 / 2f64.ln());
        // Here it is 1800 / ln 1.5, beyond the range; and nothing overflows.
        check(&[900.0, -900.0, 900.0, -900.0, 900.0, -900.0], &[0, 0, 1], 20.0);
        // from scipy.optimize import minimize_scalar; from scipy.special import log_softmax
        // z = np.array([[3, 1, -2], [0.5, 2.5, 1], [4, 0, 1], [-1, 0, 3], [2, 1.5, 0], [0, 5, 1]]); y = [0, 2, 0, 2, 1, 1]
        // p = (np.eye(3)[y] * 6 + 1) / 9; f = lambda t: -(p * log_softmax(z / t, axis=1)).sum()
        // minimize_scalar(f, bounds=(.05, 20), method="bounded", options=dict(xatol=1e-12)).x
        let logits = [3.0, 1.0, -2.0, 0.5, 2.5, 1.0, 4.0, 0.0, 1.0, -1.0, 0.0, 3.0, 2.0, 1.5, 0.0, 0.0, 5.0, 1.0];
        check(&logits, &[0, 2, 0, 2, 1, 1], 2.273_664_490_7);
        // All right, all wrong, nothing to learn from.
        check(&[1.0, 0.0, 0.0, 1.0], &[0, 1], 1.0 / 3f64.ln());
        check(&[1.0, 0.0, 0.0, 1.0], &[1, 0], 20.0);
        check(&[], &[], 1.0);
        check(&[1.0, 2.0], &[0, 0], 1.0);
        check(&[f32::NAN, 0.0], &[0], 1.0);
        check(&[f32::INFINITY, 0.0], &[0], 1.0);
    }

    #[test]
    fn shares() {
        // With z as above, y and p: w = [[1, 0.5, 0], [-1, 0, 1.5], [1, 0, 2], [0, 0.5, 1], [0, 1, -0.5], [0.5, 1, 0]]
        // best = lambda s: minimize_scalar(lambda t: f(z * (1 - s) + w * s, t), bounds=(.05, 20), method="bounded").fun
        // minimize_scalar(best, bounds=(0, 1), method="bounded", options=dict(xatol=1e-12)).x
        let first = [3.0, 1.0, -2.0, 0.5, 2.5, 1.0, 4.0, 0.0, 1.0, -1.0, 0.0, 3.0, 2.0, 1.5, 0.0, 0.0, 5.0, 1.0];
        let second = [1.0, 0.5, 0.0, -1.0, 0.0, 1.5, 1.0, 0.0, 2.0, 0.0, 0.5, 1.0, 0.0, 1.0, -0.5, 0.5, 1.0, 0.0];
        let gold = [0, 2, 0, 2, 1, 1];
        assert!((mixture_share(&first, &second, &gold) - 0.689_668).abs() < 1e-3);
        assert!((mixture_share(&second, &first, &gold) - 0.310_332).abs() < 1e-3);
        // One that knows nothing, or the opposite of everything; and nothing to learn from.
        assert!(mixture_share(&first, &[0.0; 18], &gold) < 0.99);
        assert!(mixture_share(&first, &first.map(|logit| -logit), &[0, 1, 0, 2, 0, 1]) < 0.5);
        assert_eq!(mixture(&[1.0, 2.0], &[3.0, -2.0], 0.25), [1.5, 1.0]);
        assert!((mixture_share(&[], &[], &[]) - 0.5).abs() < 1e-12);
        assert!((0.0..=1.0).contains(&mixture_share(&[f32::NAN, 0.0], &[1.0, 0.0], &[0])));
    }

    #[test]
    fn thresholds() {
        let check = |probabilities: &[f32], gold: &[bool], expect: f64| {
            assert!((threshold(probabilities, gold, Confusion::accuracy) - expect).abs() < 1e-7, "{probabilities:?}");
        };
        check(&[0.1, 0.3, 0.6, 0.8], &[false, false, true, true], 0.5);
        check(&[0.6, 0.1, 0.8, 0.7], &[false, false, true, true], 0.65);
        check(&[0.1, 0.2, 0.3, 0.45], &[false, true, true, true], 0.15);
        check(&[0.5, 0.4], &[true, false], 0.5);
        check(&[0.5, 0.5, 0.9], &[false, false, true], 0.7);
        check(&[0.7, 0.9], &[false, false], 0.95);
        check(&[1.0, 0.8], &[false, false], 0.9);
        check(&[1.0, 1.0], &[false, false], 0.5);
        check(&[0.0, 0.2], &[true, true], 0.0);
        check(&[], &[], 0.5);
        // Rare: finding all of three among 103 is worth two false alarms to F1, not to the accuracy.
        let probabilities = [vec![0.01; 98], vec![0.3, 0.3, 0.2, 0.3, 0.9]].concat();
        let gold = [vec![false; 100], vec![true; 3]].concat();
        check(&probabilities, &gold, 0.5);
        assert!((threshold(&probabilities, &gold, Confusion::macro_f1) - 0.105).abs() < 1e-7);
    }

    proptest! {
        #[test]
        fn no_threshold_is_better(examples in prop::collection::vec((0u8..=20, any::<bool>()), 1..30)) {
            let probabilities: Vec<f32> = examples.iter().map(|&(p, _)| f32::from(p) / 20.0).collect();
            let gold: Vec<bool> = examples.iter().map(|&(_, second)| second).collect();
            let mcc = |threshold: f64| {
                let mut confusion = Confusion::new(2);
                for (&p, &second) in probabilities.iter().zip(&gold) {
                    confusion.add(usize::from(second), usize::from(f64::from(p) >= threshold));
                }
                confusion.mcc()
            };
            let found = threshold(&probabilities, &gold, Confusion::mcc);
            let best = (0..=40).map(|at| mcc(f64::from(at) / 40.0)).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((mcc(found) - best).abs() < 1e-12, "{found}");
        }

        #[test]
        fn the_temperature_has_no_better_neighbour(
            logits in prop::collection::vec(-5f32..5.0, 30),
            gold in prop::collection::vec(0usize..3, 10),
        ) {
            let nll = |temperature: f64| -> f64 {
                let row = |row: &[f32], gold: usize| {
                    let scaled: Vec<f64> = row.iter().map(|&logit| f64::from(logit) / temperature).collect();
                    let target = (scaled[gold] * 10.0 + scaled.iter().sum::<f64>()) / 13.0;
                    scaled.iter().map(|z| z.exp()).sum::<f64>().ln() - target
                };
                logits.chunks(3).zip(&gold).map(|(logits, &gold)| row(logits, gold)).sum()
            };
            let found = temperature(&logits, &gold);
            prop_assert!((0.05..=20.0001).contains(&found));
            for near in [found * 1.01, found / 1.01] {
                prop_assert!(!(0.05..=20.0).contains(&near) || nll(found) <= nll(near) + 1e-9);
            }
        }
    }
}
