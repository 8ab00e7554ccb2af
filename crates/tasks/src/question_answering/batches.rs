//! Which questions are learned from together.

use grulm_model::Site;

use crate::buckets::{SORTED_TOGETHER, permutation};

/// Batches of questions: those about one context together, so that it is read once for all of them, and contexts of like length;
/// shuffled anew in each epoch. A batch is a function of the site and its number.
#[derive(Debug)]
pub(super) struct QuestionBatches {
    /// Of each context its length, and its questions.
    contexts: Vec<(usize, Vec<usize>)>,
    questions: usize,
    batch_size: usize,
    site: Site,
    /// The questions of the epoch that was asked for last, in order, and the order of its batches.
    epoch: Option<(u64, Vec<usize>, Vec<usize>)>,
}

impl QuestionBatches {
    /// For contexts of these lengths with these questions.
    pub(super) fn new(contexts: Vec<(usize, Vec<usize>)>, batch_size: usize, site: Site) -> Self {
        let questions = contexts.iter().map(|(_, questions)| questions.len()).sum();
        Self { contexts, questions, batch_size: batch_size.max(1), site, epoch: None }
    }

    /// Batches until every question was read once.
    pub(super) fn per_epoch(&self) -> u64 {
        self.questions.div_ceil(self.batch_size).max(1) as u64
    }

    /// The questions of batch number `batch`, counted over all epochs.
    pub(super) fn batch(&mut self, batch: u64) -> &[usize] {
        let (epoch, index) = (batch / self.per_epoch(), (batch % self.per_epoch()) as usize);
        if self.epoch.as_ref().is_none_or(|(current, ..)| *current != epoch) {
            let site = self.site.at(epoch);
            let order = permutation(self.per_epoch() as usize, site.named("batches"));
            self.epoch = Some((epoch, self.shuffled(site), order));
        }
        let Some((_, questions, order)) = &self.epoch else { return &[] };
        let start = order.get(index).map_or(self.questions, |place| place * self.batch_size);
        &questions[start.min(questions.len())..questions.len().min(start + self.batch_size)]
    }

    /// Every question once.
    fn shuffled(&self, site: Site) -> Vec<usize> {
        let order = permutation(self.contexts.len(), site.named("contexts"));
        let together = (self.contexts.len() * self.batch_size * SORTED_TOGETHER).div_ceil(self.questions.max(1));
        let mut questions = Vec::with_capacity(self.questions);
        for chunk in order.chunks(together.max(1)) {
            let mut chunk = chunk.to_vec();
            chunk.sort_by_key(|&context| (std::cmp::Reverse(self.contexts[context].0), context));
            questions.extend(chunk.into_iter().flat_map(|context| &self.contexts[context].1));
        }
        questions
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_question_is_read_once_an_epoch(sizes in prop::collection::vec((1usize..500, 0usize..8), 1..80), batch_size in 1usize..20) {
            let mut next = 0;
            let contexts: Vec<_> = sizes
                .into_iter()
                .map(|(length, count)| {
                    next += count;
                    (length, (next - count..next).collect::<Vec<_>>())
                })
                .collect();
            let of: Vec<usize> = contexts.iter().enumerate().flat_map(|(c, (_, questions))| vec![c; questions.len()]).collect();
            let mut batches = QuestionBatches::new(contexts, batch_size, Site::new(1));
            let mut again = QuestionBatches::new(batches.contexts.clone(), batch_size, Site::new(1));
            for epoch in 0..2 {
                let mut all = Vec::new();
                for index in 0..batches.per_epoch() {
                    let batch = batches.batch(epoch * batches.per_epoch() + index).to_vec();
                    prop_assert!(batch.len() <= batch_size);
                    // Of a context that is in a batch, all questions are, but where the batch begins and ends.
                    let mut contexts: Vec<_> = batch.iter().map(|&question| of[question]).collect();
                    contexts.dedup();
                    let mut once = contexts.clone();
                    once.sort_unstable();
                    once.dedup();
                    prop_assert_eq!(contexts.len(), once.len());
                    all.extend(batch);
                }
                all.sort_unstable();
                prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
            }
            // In whatever order they are asked for.
            let last = 2 * batches.per_epoch() - 1;
            prop_assert_eq!(again.batch(last), batches.batch(last));
            let first = batches.batch(0).to_vec();
            prop_assert_eq!(again.batch(0), &first);
        }
    }

    #[test]
    fn epochs_differ_and_batches_waste_little() {
        let lengths: Vec<usize> = (0..2000).map(|i| 20 + (Site::new(5).bits(i) % 300) as usize).collect();
        let contexts = lengths.iter().enumerate().map(|(c, &length)| (length, (5 * c..5 * c + 5).collect())).collect();
        let mut batches = QuestionBatches::new(contexts, 32, Site::new(1));
        let first = batches.batch(0).to_vec();
        assert_ne!(first, batches.batch(batches.per_epoch()));
        let (mut padded, mut real) = (0, 0);
        for batch in 0..batches.per_epoch() {
            let own: Vec<_> = batches.batch(batch).iter().map(|&question| lengths[question / 5]).collect();
            padded += own.iter().max().unwrap() * own.len();
            real += own.iter().sum::<usize>();
        }
        assert!((padded as f64) < 1.06 * real as f64, "{padded} for {real}");
    }
}
