//! Batches of texts of like length.

use grulm_model::Site;

/// Batches of the texts of one data set: shuffled anew in each epoch, but so that those of a batch are about equally long.
/// A batch is a function of the site and its number.
#[derive(Debug)]
pub(crate) struct Buckets {
    lengths: Vec<u32>,
    batch_size: usize,
    site: Site,
    /// The batches of the epoch that was asked for last.
    epoch: Option<(u64, Vec<Vec<usize>>)>,
}

/// Batches whose texts are sorted by length together. More sort better and shuffle worse.
const SORTED_TOGETHER: usize = 32;

impl Buckets {
    /// For texts of these lengths.
    #[must_use]
    pub(crate) fn new(lengths: Vec<u32>, batch_size: usize, site: Site) -> Self {
        Self { lengths, batch_size: batch_size.max(1), site, epoch: None }
    }

    /// Batches until every text was read once.
    #[must_use]
    pub(crate) fn per_epoch(&self) -> u64 {
        self.lengths.len().div_ceil(self.batch_size).max(1) as u64
    }

    /// The texts of batch number `batch`, counted over all epochs, the longest first.
    pub(crate) fn batch(&mut self, batch: u64) -> Vec<usize> {
        let (epoch, index) = (batch / self.per_epoch(), (batch % self.per_epoch()) as usize);
        if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
            self.epoch = Some((epoch, self.shuffled(epoch)));
        }
        let batches = self.epoch.as_ref().map(|(_, batches)| batches.as_slice());
        batches.and_then(|batches| batches.get(index)).cloned().unwrap_or_default()
    }

    fn shuffled(&self, epoch: u64) -> Vec<Vec<usize>> {
        let site = self.site.at(epoch);
        let order = permutation(self.lengths.len(), site.named("texts"));
        let chunks = order.chunks(self.batch_size * SORTED_TOGETHER);
        let mut batches: Vec<_> =
            chunks.flat_map(|chunk| by_length(chunk.to_vec(), &self.lengths, self.batch_size)).collect();
        let order = permutation(batches.len(), site.named("batches"));
        order.into_iter().map(|index| std::mem::take(&mut batches[index])).collect()
    }
}

/// All texts in batches, the longest first, for passes whose order does not matter.
#[must_use]
pub(crate) fn longest_first(lengths: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    by_length((0..lengths.len()).collect(), lengths, batch_size)
}

fn by_length(mut texts: Vec<usize>, lengths: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    texts.sort_by_key(|&text| (std::cmp::Reverse(lengths[text]), text));
    texts.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

/// The numbers below `count` in an order that is a function of the site.
fn permutation(count: usize, site: Site) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|&index| (site.bits(index as u64), index));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_read_once_an_epoch(lengths in prop::collection::vec(1u32..500, 1..300), batch_size in 1usize..20) {
            let mut buckets = Buckets::new(lengths.clone(), batch_size, Site::new(1));
            let mut epochs = Vec::new();
            for epoch in 0..2 {
                let batches: Vec<_> =
                    (0..buckets.per_epoch()).map(|index| buckets.batch(epoch * buckets.per_epoch() + index)).collect();
                let mut all = batches.concat();
                for batch in &batches {
                    prop_assert!(!batch.is_empty() && batch.len() <= batch_size);
                    prop_assert!(batch.windows(2).all(|pair| lengths[pair[0]] >= lengths[pair[1]]));
                }
                epochs.push(batches);
                all.sort_unstable();
                prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            }
            // In whatever order they are asked for.
            let mut again = Buckets::new(lengths, batch_size, Site::new(1));
            prop_assert_eq!(&again.batch(again.per_epoch()), &epochs[1][0]);
            prop_assert_eq!(&again.batch(0), &epochs[0][0]);
        }
    }

    #[test]
    fn epochs_differ_and_batches_waste_little() {
        let lengths: Vec<u32> = (0..3200).map(|i| 1 + (Site::new(5).bits(i) % 200) as u32).collect();
        let mut buckets = Buckets::new(lengths.clone(), 32, Site::new(1));
        assert_ne!(buckets.batch(0), buckets.batch(100));
        let (mut padded, mut real) = (0, 0);
        for batch in 0..buckets.per_epoch() {
            let texts = buckets.batch(batch);
            padded += lengths[texts[0]] as usize * texts.len();
            real += texts.iter().map(|&text| lengths[text] as usize).sum::<usize>();
        }
        assert!((padded as f64) < 1.06 * real as f64, "{padded} for {real}");
    }
}
