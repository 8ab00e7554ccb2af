//! BLEU of a corpus.

use crate::ngrams::Overlap;
use crate::{BleuTokenizer, SACREBLEU};

/// Longest n-grams that count.
const ORDERS: usize = 4;

/// BLEU (Papineni et al. 2002) with one reference a sentence, cased, with exponential smoothing (method 3 of Chen and
/// Cherry 2014), as sacreBLEU counts it (Post 2018, arXiv 1804.08771).
#[derive(Debug, Clone)]
pub struct Bleu {
    tokenizer: BleuTokenizer,
    hypothesis: u64,
    reference: u64,
    overlaps: [Overlap; ORDERS],
}

impl Bleu {
    /// No sentences yet.
    #[must_use]
    pub fn new(tokenizer: BleuTokenizer) -> Self {
        Self { tokenizer, hypothesis: 0, reference: 0, overlaps: Default::default() }
    }

    /// Counts a translation, as a reader would see it: not tokenized.
    pub fn add(&mut self, hypothesis: &str, reference: &str) {
        let [hypothesis, reference] = [hypothesis, reference].map(|text| self.tokenizer.tokenize(text));
        self.hypothesis += hypothesis.len() as u64;
        self.reference += reference.len() as u64;
        for (order, overlap) in (1..).zip(&mut self.overlaps) {
            overlap.add(Overlap::of(order, &hypothesis, &reference));
        }
    }

    /// The score, in percent.
    #[must_use]
    pub fn score(&self) -> f64 {
        if self.overlaps.iter().all(|overlap| overlap.shared == 0) {
            return 0.0;
        }
        let (mut smoothing, mut logs) = (1.0, 0.0);
        for overlap in self.overlaps {
            if overlap.hypothesis == 0 {
                // No sentence is as long: the geometric mean is 0.
                return 0.0;
            }
            let shared = if overlap.shared == 0 {
                smoothing *= 2.0;
                1.0 / smoothing
            } else {
                overlap.shared as f64
            };
            logs += (shared / overlap.hypothesis as f64).ln();
        }
        100.0 * self.brevity() * (logs / ORDERS as f64).exp()
    }

    /// The penalty for translations that are shorter than the references together: 1 where they are not.
    fn brevity(&self) -> f64 {
        if self.hypothesis < self.reference {
            (1.0 - self.reference as f64 / self.hypothesis as f64).exp()
        } else {
            1.0
        }
    }

    /// How the score was counted, as sacreBLEU writes it.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("nrefs:1|case:mixed|eff:no|tok:{}|smooth:exp|version:{SACREBLEU}", self.tokenizer.name())
    }
}
