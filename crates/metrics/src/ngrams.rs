//! Runs of words or characters.

use std::collections::HashMap;
use std::hash::Hash;

/// How many n-grams two texts have, and share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) hypothesis: u64,
    pub(crate) reference: u64,
    /// Of each n-gram as many as both have.
    pub(crate) shared: u64,
}

impl Overlap {
    /// Of n-grams of `order` units.
    pub(crate) fn of<T: Eq + Hash>(order: usize, hypothesis: &[T], reference: &[T]) -> Self {
        let mut left: HashMap<&[T], u64> = HashMap::new();
        reference.windows(order).for_each(|ngram| *left.entry(ngram).or_default() += 1);
        let mut shared = 0;
        for ngram in hypothesis.windows(order) {
            if let Some(count) = left.get_mut(ngram).filter(|count| **count > 0) {
                *count -= 1;
                shared += 1;
            }
        }
        let count = |length: usize| (length + 1).saturating_sub(order) as u64;
        Self { hypothesis: count(hypothesis.len()), reference: count(reference.len()), shared }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.hypothesis += other.hypothesis;
        self.reference += other.reference;
        self.shared += other.shared;
    }
}
