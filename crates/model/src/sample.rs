//! Choosing the next token.

use grulm_config::Invalid;

use crate::Site;

/// How the next token is chosen from the model's distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: f64,
    /// Only the `top_k` most likely tokens are drawn from; 0: all.
    pub top_k: usize,
    /// Only the most likely tokens whose probabilities sum to `top_p` are drawn from (nucleus sampling, Holtzman et al.,
    /// arXiv 1904.09751); 1: all.
    pub top_p: f64,
    /// Divides positive and multiplies negative logits of tokens that stand in the text already (CTRL, arXiv 1909.05858);
    /// 1: off.
    pub repetition_penalty: f64,
    /// The same seed gives the same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 0, top_p: 0.95, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first option whose value cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let finite = |value: f64| value.is_finite();
        if !finite(self.temperature) || self.temperature < 0.0 {
            return Err(Invalid::new("temperature", self.temperature, "a number of 0 or more"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Invalid::new("top-p", self.top_p, "a number above 0, at most 1"));
        }
        if !finite(self.repetition_penalty) || self.repetition_penalty <= 0.0 {
            return Err(Invalid::new("repetition-penalty", self.repetition_penalty, "a number above 0"));
        }
        Ok(())
    }

    /// Chooses the token at `position` of the text, given its logits (which are used up) and the tokens before it.
    /// Tokens whose logit is negative infinity are never chosen, unless all are.
    #[must_use]
    pub fn choose(&self, logits: &mut [f32], before: &[u32], position: u64) -> u32 {
        self.penalize(logits, before);
        if self.temperature == 0.0 {
            return most_likely(logits);
        }
        let mut order: Vec<u32> = (0..logits.len() as u32).filter(|&id| logits[id as usize].is_finite()).collect();
        // Ties are broken by the id, so that the order is the same everywhere.
        let by_likelihood =
            |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then_with(|| a.cmp(b));
        if self.top_k > 0 && self.top_k < order.len() {
            order.select_nth_unstable_by(self.top_k - 1, by_likelihood);
            order.truncate(self.top_k);
        }
        order.sort_unstable_by(by_likelihood);
        let Some(&first) = order.first() else { return most_likely(logits) };
        let top = f64::from(logits[first as usize]);
        let weight = |id: u32| ((f64::from(logits[id as usize]) - top) / self.temperature).exp();
        let weights: Vec<f64> = order.iter().map(|&id| weight(id)).collect();
        let nucleus = nucleus(&weights, self.top_p);
        let mut left =
            Site::new(self.seed).named("sampling").uniform(position) * weights[..nucleus].iter().sum::<f64>();
        for (&id, weight) in order.iter().zip(&weights[..nucleus]) {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        order[nucleus - 1]
    }

    fn penalize(&self, logits: &mut [f32], before: &[u32]) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut seen = before.to_vec();
        seen.sort_unstable();
        seen.dedup();
        let penalty = self.repetition_penalty as f32;
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
}

fn most_likely(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then_with(|| j.cmp(i)));
    best.map_or(0, |(id, _)| id as u32)
}

/// Length of the shortest prefix of the descending `weights` that holds the share `top_p` of their sum.
fn nucleus(weights: &[f64], top_p: f64) -> usize {
    let enough = top_p * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let reached = weights.iter().position(|weight| {
        sum += weight;
        sum >= enough
    });
    reached.map_or(weights.len(), |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_narrow_the_choice() {
        let check = |sampling: Sampling, allowed: &[u32]| {
            let mut seen: Vec<u32> = (0..400)
                .map(|position| sampling.choose(&mut [1.0, 3.0, 2.0, 0.0, f32::NEG_INFINITY], &[1], position))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, allowed, "{sampling:?}");
        };
        const ALL: Sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };
        check(ALL, &[0, 1, 2, 3]);
        check(Sampling { temperature: 0.0, ..ALL }, &[1]);
        check(Sampling { top_k: 1, ..ALL }, &[1]);
        check(Sampling { top_k: 2, ..ALL }, &[1, 2]);
        check(Sampling { top_p: 0.5, ..ALL }, &[1]);
        check(Sampling { top_p: 0.8, ..ALL }, &[1, 2]);
        check(Sampling { temperature: 0.0, repetition_penalty: 2.0, ..ALL }, &[2]);
        check(Sampling { temperature: 0.01, ..ALL }, &[1]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, ..Default::default() };
        let ones = (0..10_000).filter(|&i| sampling.choose(&mut [0.0, 1.0], &[], i) == 1).count();
        assert!((7_200..7_420).contains(&ones), "{ones}: expected 10,000 e / (1 + e) = 7,311");
    }

    #[test]
    fn logits_without_a_finite_one_do_not_panic() {
        for logits in [vec![f32::NAN; 3], vec![f32::NEG_INFINITY; 3]] {
            assert!(Sampling::default().choose(&mut logits.clone(), &[7], 0) < 3);
        }
    }
}
