//! chrF of a corpus.

use crate::SACREBLEU;
use crate::ngrams::Overlap;
use crate::words::is_white_space;

/// Longest n-grams that count.
const ORDERS: usize = 6;
/// How many times as much recall weighs.
const BETA: f64 = 2.0;

/// chrF2 (Popović 2015): F over n-grams of up to six characters, white space left out, with one reference a sentence, as
/// sacreBLEU counts it (Post 2018, arXiv 1804.08771).
#[derive(Debug, Clone, Default)]
pub struct ChrF {
    overlaps: [Overlap; ORDERS],
}

impl ChrF {
    /// No sentences yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a translation.
    pub fn add(&mut self, hypothesis: &str, reference: &str) {
        let [hypothesis, reference] =
            [hypothesis, reference].map(|text| text.chars().filter(|&char| !is_white_space(char)).collect::<Vec<_>>());
        for (order, overlap) in (1..).zip(&mut self.overlaps) {
            let mut found = Overlap::of(order, &hypothesis, &reference);
            if found.reference == 0 {
                // A reference that is too short holds nothing against the translation.
                found.hypothesis = 0;
            }
            overlap.add(found);
        }
    }

    /// The score, in percent.
    #[must_use]
    pub fn score(&self) -> f64 {
        let counted = self.overlaps.iter().filter(|overlap| overlap.hypothesis > 0 && overlap.reference > 0);
        let (mut orders, mut precision, mut recall) = (0.0, 0.0, 0.0);
        for overlap in counted {
            orders += 1.0;
            precision += overlap.shared as f64 / overlap.hypothesis as f64;
            recall += overlap.shared as f64 / overlap.reference as f64;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let factor = BETA * BETA;
        100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall) / orders
    }

    /// How the score was counted, as sacreBLEU writes it.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("nrefs:1|case:mixed|eff:yes|nc:{ORDERS}|nw:0|space:no|version:{SACREBLEU}")
    }
}
