//! Choosing the next token.

use std::cmp::Ordering;

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
}

/// Chooses tokens as a [`Sampling`] says, without taking memory for any of them.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    site: Site,
    ranking: Ranking,
    /// For each token of the vocabulary the call that saw it last.
    seen: Vec<u64>,
    calls: u64,
}

impl Sampler {
    /// For a vocabulary of `vocabulary` tokens.
    #[must_use]
    pub fn new(sampling: Sampling, vocabulary: usize) -> Self {
        let site = Site::new(sampling.seed).named("sampling");
        let ranking = Ranking { tokens: Vec::with_capacity(vocabulary), ranked: 0 };
        Self { sampling, site, ranking, seen: vec![0; vocabulary], calls: 0 }
    }

    /// What this chooses by.
    #[must_use]
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// Chooses the token at `position` of the text, given its logits (which are used up) and the tokens before it.
    /// Tokens whose logit is negative infinity are never chosen, unless all are.
    pub fn choose(&mut self, logits: &mut [f32], before: &[u32], position: u64) -> u32 {
        self.penalize(logits, before);
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        if temperature == 0.0 {
            return most_likely(logits);
        }
        let ranking = &mut self.ranking;
        ranking.start(logits);
        if top_k > 0 {
            ranking.keep(top_k);
        }
        let Some(first) = ranking.get(0) else { return most_likely(logits) };
        let weight = |logit: f32| ((f64::from(logit) - f64::from(first.logit)) / temperature).exp();
        // The nucleus: the fewest of the most likely that hold their share of the whole.
        let mut mass: f64 = ranking.tokens.iter().map(|token| weight(token.logit)).sum();
        let mut nucleus = ranking.tokens.len();
        if top_p < 1.0 {
            let enough = top_p * mass;
            (mass, nucleus) = (0.0, 0);
            while let Some(token) = ranking.get(nucleus).filter(|_| mass < enough) {
                mass += weight(token.logit);
                nucleus += 1;
            }
        }
        let mut left = self.site.uniform(position) * mass;
        let mut chosen = first;
        for rank in 0..nucleus {
            let Some(token) = ranking.get(rank) else { break };
            chosen = token;
            left -= weight(token.logit);
            if left < 0.0 {
                break;
            }
        }
        chosen.id
    }

    fn penalize(&mut self, logits: &mut [f32], before: &[u32]) {
        if self.sampling.repetition_penalty == 1.0 {
            return;
        }
        self.calls += 1;
        let penalty = self.sampling.repetition_penalty as f32;
        for &id in before {
            let (Some(logit), Some(seen)) = (logits.get_mut(id as usize), self.seen.get_mut(id as usize)) else {
                continue;
            };
            if std::mem::replace(seen, self.calls) != self.calls {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Token {
    logit: f32,
    id: u32,
}

impl Token {
    /// The more likely first. Ties are broken by the id, so that the order is the same everywhere.
    fn by_likelihood(a: &Self, b: &Self) -> Ordering {
        b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
    }
}

/// Tokens by likelihood, sorted as far as anyone looks: of a large vocabulary that is mostly not far.
#[derive(Debug)]
struct Ranking {
    tokens: Vec<Token>,
    /// How many stand at their place.
    ranked: usize,
}

impl Ranking {
    /// Places that are found at first, and how much further each time when they do not suffice.
    const FIRST: usize = 64;
    const GROWTH: usize = 4;

    /// Takes all tokens with a finite logit.
    fn start(&mut self, logits: &[f32]) {
        self.tokens.clear();
        let tokens = logits.iter().zip(0..).map(|(&logit, id)| Token { logit, id });
        self.tokens.extend(tokens.filter(|token| token.logit.is_finite()));
        self.ranked = 0;
    }

    /// Leaves only the `count` most likely.
    fn keep(&mut self, count: usize) {
        if count < self.tokens.len() {
            self.tokens.select_nth_unstable_by(count - 1, Token::by_likelihood);
            self.tokens.truncate(count);
        }
    }

    fn get(&mut self, rank: usize) -> Option<Token> {
        if rank >= self.ranked && rank < self.tokens.len() {
            let end = (rank + 1).max(self.ranked * Self::GROWTH).max(Self::FIRST).min(self.tokens.len());
            let rest = &mut self.tokens[self.ranked..];
            let count = end - self.ranked;
            if count < rest.len() {
                rest.select_nth_unstable_by(count - 1, Token::by_likelihood);
            }
            rest[..count].sort_unstable_by(Token::by_likelihood);
            self.ranked = end;
        }
        self.tokens.get(rank).copied()
    }
}

/// The first of the largest; 0 where none is larger than negative infinity.
fn most_likely(logits: &[f32]) -> u32 {
    const LANES: usize = 16;
    // One largest a lane: the compiler makes vectors of them.
    let mut largest = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    for (index, &logit) in chunks.remainder().iter().enumerate() {
        largest[index] = logit.max(f32::NEG_INFINITY);
    }
    for chunk in chunks {
        for (largest, &logit) in largest.iter_mut().zip(chunk) {
            *largest = if logit > *largest { logit } else { *largest };
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|&logit| logit == largest).map_or(0, |id| id as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_narrow_the_choice() {
        let check = |sampling: Sampling, allowed: &[u32]| {
            let mut sampler = Sampler::new(sampling.clone(), 5);
            let mut seen: Vec<u32> = (0..400)
                .map(|position| sampler.choose(&mut [1.0, 3.0, 2.0, 0.0, f32::NEG_INFINITY], &[1], position))
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
        let mut sampler = Sampler::new(sampling, 2);
        let ones = (0..10_000).filter(|&i| sampler.choose(&mut [0.0, 1.0], &[], i) == 1).count();
        assert!((7_200..7_420).contains(&ones), "{ones}: expected 10,000 e / (1 + e) = 7,311");
    }

    /// Sorting in place takes no memory, so only what the sampler holds could grow.
    #[test]
    fn choosing_takes_no_memory() {
        let sampling = Sampling { top_p: 0.9, top_k: 300, repetition_penalty: 1.5, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling, 1000);
        let room = |sampler: &Sampler| {
            let (tokens, seen) = (&sampler.ranking.tokens, &sampler.seen);
            (tokens.as_ptr(), tokens.capacity(), seen.as_ptr(), seen.capacity())
        };
        let before = room(&sampler);
        for position in 0..50 {
            let mut logits: Vec<f32> = (0..1000).map(|i| (i * 7919 % 1000) as f32 / 100.0).collect();
            sampler.choose(&mut logits, &[1, 2, 3], position);
        }
        assert_eq!(room(&sampler), before);
    }

    /// The lazy order against the plain one: all weights sorted, the shortest prefix that is likely enough, one draw from it.
    #[test]
    fn choices_are_those_of_the_definition() {
        for (temperature, top_k, top_p) in
            [(1.0, 0, 1.0), (0.8, 0, 0.95), (2.0, 100, 0.99), (0.5, 3, 0.5), (5.0, 0, 0.999)]
        {
            let sampling = Sampling { temperature, top_k, top_p, ..Sampling::default() };
            let mut sampler = Sampler::new(sampling, 700);
            for position in 0..200 {
                let logits: Vec<f32> = (0..700).map(|i| ((i * 31 + position * 17) % 700) as f32 / 70.0).collect();
                let mut order: Vec<usize> = (0..700).collect();
                order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
                order.truncate(if top_k == 0 { 700 } else { top_k });
                let weight = |id: &usize| (f64::from(logits[*id] - logits[order[0]]) / temperature).exp();
                let enough = top_p * order.iter().map(weight).sum::<f64>();
                let (mut nucleus, mut mass) = (0, 0.0);
                while nucleus < order.len() && (mass < enough || nucleus == 0) {
                    mass += weight(&order[nucleus]);
                    nucleus += 1;
                }
                let mut left = Site::new(0).named("sampling").uniform(position) * mass;
                let chosen = order[..nucleus].iter().find(|id| {
                    left -= weight(id);
                    left < 0.0
                });
                let expect = *chosen.unwrap_or(&order[nucleus - 1]) as u32;
                assert_eq!(sampler.choose(&mut logits.clone(), &[], position), expect, "{temperature} {top_k} {top_p}");
            }
        }
    }

    #[test]
    fn logits_without_a_finite_one_do_not_panic() {
        for logits in [vec![f32::NAN; 3], vec![f32::NEG_INFINITY; 3]] {
            let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() }, 3);
            assert!(sampler.choose(&mut logits.clone(), &[7], 0) < 3);
        }
    }
}
