//! Batches of texts of like length.

use grulm_model::Site;

/// Batches of the texts, or pairs of texts, of one data set: shuffled anew in each epoch, but so that those of a batch are about
/// equally long. A batch is a function of the site and its number.
#[derive(Debug)]
pub(crate) struct Buckets {
    lengths: Lengths,
    /// Batches until everything was read once.
    per_epoch: u64,
    site: Site,
    /// The batches of the epoch that was asked for last.
    epoch: Option<(u64, Vec<Vec<usize>>)>,
}

#[derive(Debug)]
enum Lengths {
    /// Of texts, with the number of texts a batch.
    Texts(Vec<u32>, usize),
    /// Of pairs, with the number of parts of equally many tokens that they are cut into.
    Pairs(Vec<[u32; 2]>, usize),
}

/// Batches whose texts are read together and sorted by length. More sort better, shuffle worse, and are answered later.
pub const SORTED_TOGETHER: usize = 32;

impl Buckets {
    /// For texts of these lengths, `batch_size` of them a batch.
    #[must_use]
    pub(crate) fn new(lengths: Vec<u32>, batch_size: usize, site: Site) -> Self {
        let batch_size = batch_size.max(1);
        let per_epoch = lengths.len().div_ceil(batch_size).max(1) as u64;
        Self { lengths: Lengths::Texts(lengths, batch_size), per_epoch, site, epoch: None }
    }

    /// For pairs of these lengths, none of them 0: the batches have about the same number of tokens, and `batch_size` pairs in the
    /// mean; a pair that is longer than a batch takes the place of several.
    #[must_use]
    pub(crate) fn of_pairs(lengths: Vec<[u32; 2]>, batch_size: usize, site: Site) -> Self {
        let parts = lengths.len().div_ceil(batch_size.max(1)).max(1);
        let mut buckets = Self { lengths: Lengths::Pairs(lengths, parts), per_epoch: 1, site, epoch: None };
        // Which pairs are cut apart depends on their lengths alone, which have the same order in every epoch.
        buckets.per_epoch = buckets.shuffled(0).len().max(1) as u64;
        buckets
    }

    /// Batches until every text was read once.
    #[must_use]
    pub(crate) fn per_epoch(&self) -> u64 {
        self.per_epoch
    }

    /// The texts of batch number `batch`, counted over all epochs, the longest first; of pairs, those whose first text is.
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
        let mut batches: Vec<_> = match &self.lengths {
            Lengths::Texts(lengths, batch_size) => {
                let order = permutation(lengths.len(), site.named("texts"));
                let chunks = order.chunks(batch_size * SORTED_TOGETHER);
                chunks.flat_map(|chunk| by_length(chunk.to_vec(), lengths, *batch_size)).collect()
            }
            Lengths::Pairs(lengths, parts) => alike(lengths, *parts, site.named("texts")),
        };
        let order = permutation(batches.len(), site.named("batches"));
        order.into_iter().map(|index| std::mem::take(&mut batches[index])).collect()
    }
}

/// All pairs in an order in which neighbours are alike in both lengths, and else by chance, cut into `parts` where as many tokens
/// as there are in a part have gone by; without the parts in which no pair begins.
fn alike(lengths: &[[u32; 2]], parts: usize, site: Site) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // To and fro: where the first length changes the second one does not jump.
    order.sort_by_cached_key(|&pair| {
        let [first, second] = lengths[pair];
        let second = if first % 2 == 0 { second } else { u32::MAX - second };
        (std::cmp::Reverse(first), second, site.bits(pair as u64), pair)
    });
    let tokens: u128 = lengths.iter().map(|pair| u128::from(pair_tokens(pair))).sum();
    let mut batches = vec![Vec::new(); parts];
    let mut before = 0;
    for pair in order {
        let part = before * parts as u128 / tokens.max(1);
        batches[part as usize].push(pair);
        before += u128::from(pair_tokens(&lengths[pair]));
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

fn pair_tokens(lengths: &[u32; 2]) -> u64 {
    lengths.iter().map(|&length| u64::from(length)).sum()
}

/// All texts in batches, the longest first, for passes whose order does not matter.
#[must_use]
pub(crate) fn longest_first(lengths: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    by_length((0..lengths.len()).collect(), lengths, batch_size)
}

/// The same with no more than `tokens` tokens a batch, counted with what fills up shorter texts; a text that is longer alone.
#[must_use]
pub(crate) fn longest_first_within(lengths: &[u32], batch_size: usize, tokens: u64) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in longest_first(lengths, lengths.len()).concat() {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < batch_size && (batch.len() as u64 + 1) * u64::from(lengths[batch[0]]) <= tokens =>
            {
                batch.push(text);
            }
            _ => batches.push(vec![text]),
        }
    }
    batches
}

fn by_length(mut texts: Vec<usize>, lengths: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    texts.sort_by_key(|&text| (std::cmp::Reverse(lengths[text]), text));
    texts.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

/// The numbers below `count` in an order that is a function of the site.
pub(crate) fn permutation(count: usize, site: Site) -> Vec<usize> {
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

    proptest! {
        #[test]
        fn every_pair_is_read_once_an_epoch(lengths in prop::collection::vec([1u32..90, 1u32..90], 1..300), batch_size in 1usize..40) {
            let mut buckets = Buckets::of_pairs(lengths.clone(), batch_size, Site::new(1));
            let mean = lengths.iter().map(pair_tokens).sum::<u64>() as f64 / lengths.len().div_ceil(batch_size) as f64;
            let most = lengths.iter().map(pair_tokens).max().unwrap();
            for epoch in 0..2 {
                let mut all = Vec::new();
                for index in 0..buckets.per_epoch() {
                    let batch = buckets.batch(epoch * buckets.per_epoch() + index);
                    let tokens: u64 = batch.iter().map(|&pair| pair_tokens(&lengths[pair])).sum();
                    prop_assert!(!batch.is_empty() && (tokens as f64) < mean + most as f64);
                    prop_assert!(batch.windows(2).all(|pair| lengths[pair[0]][0] >= lengths[pair[1]][0]));
                    all.extend(batch);
                }
                all.sort_unstable();
                prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            }
        }

        #[test]
        fn batches_stay_within_their_tokens(lengths in prop::collection::vec(1u32..90, 0..99), batch_size in 1usize..9, tokens in 0u64..200) {
            let batches = longest_first_within(&lengths, batch_size, tokens);
            for batch in &batches {
                let longest = u64::from(lengths[batch[0]]);
                prop_assert!(batch.len() <= batch_size && (batch.len() == 1 || batch.len() as u64 * longest <= tokens));
            }
            prop_assert_eq!(batches.concat(), longest_first(&lengths, 1).concat());
        }
    }

    /// One long pair takes the place of several batches, and leaves the others as they are.
    #[test]
    fn a_long_pair_does_not_make_all_batches_long() {
        let mut lengths = vec![[10, 10]; 640];
        lengths.push([5_000, 5_000]);
        let mut buckets = Buckets::of_pairs(lengths, 64, Site::new(1));
        let sizes: Vec<usize> = (0..buckets.per_epoch()).map(|index| buckets.batch(index).len()).collect();
        assert!(sizes.iter().all(|&size| size <= 128), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 641);
        assert_eq!(sizes.iter().filter(|&&size| size == 1).count(), 1, "{sizes:?}");
    }

    #[test]
    fn pairs_waste_little_on_either_side_and_epochs_differ() {
        let length = |i: u64| 5 + (Site::new(5).bits(i) % 25) as u32;
        let lengths: Vec<_> = (0..6400).map(|i| [length(i), length(i) + (Site::new(6).bits(i) % 9) as u32]).collect();
        let mut buckets = Buckets::of_pairs(lengths.clone(), 32, Site::new(1));
        let (mut padded, mut real) = (0, 0);
        for batch in 0..buckets.per_epoch() {
            let pairs = buckets.batch(batch);
            for side in [0, 1] {
                let own: Vec<_> = pairs.iter().map(|&pair| lengths[pair][side]).collect();
                padded += own.iter().max().unwrap() * own.len() as u32;
                real += own.iter().sum::<u32>();
            }
        }
        assert!(f64::from(padded) < 1.06 * f64::from(real), "{padded} for {real}");
        let of_epoch = |buckets: &mut Buckets, epoch: u64| {
            let mut batches: Vec<_> =
                (0..buckets.per_epoch()).map(|i| buckets.batch(epoch * buckets.per_epoch() + i)).collect();
            batches.sort();
            batches
        };
        assert_ne!(of_epoch(&mut buckets, 0), of_epoch(&mut buckets, 1), "other pairs side by side");
    }
}
