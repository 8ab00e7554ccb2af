//! Batches for truncated back-propagation through time.
//!
//! The stream of `N` tokens is a ring. In each epoch it is rotated by an offset that depends on the seed and the epoch, and cut
//! into `lanes` pieces of `L = N / lanes` tokens. Every lane is read from its start in windows of `T` tokens, so that step `k + 1`
//! goes on exactly where step `k` ended and the hidden state can be carried over. The target at a position is the token there, its
//! input the token before it. What is left over at the end of the lanes differs from epoch to epoch, thanks to the rotation.
//!
//! Nothing here has state: a batch is a function of (seed, step, rank, world), so a run that goes on at step `k` needs no replay.

use grulm_config::Invalid;

use crate::{Error, TokenStream};

/// Cuts a stream into lanes and windows.
#[derive(Debug, Clone)]
pub struct Lanes {
    stream: TokenStream,
    lanes: usize,
    /// Tokens a lane.
    length: u64,
    window: usize,
    reversed: bool,
    seed: u64,
}

/// One window of some lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Input tokens, `[T, B]`, row-major.
    pub inputs: Vec<i64>,
    /// Target tokens, `[T, B]`, row-major: each the token that follows its input.
    pub targets: Vec<i64>,
    /// Number of lanes, `B`.
    pub lanes: usize,
    /// Whether this is the first window of an epoch: the carry starts from zero.
    pub starts: bool,
}

impl Lanes {
    /// Cuts `stream` into `lanes` lanes (all ranks together: batch size times world), read in windows of `window` tokens, or of a
    /// whole lane where that is shorter. `reversed` reads the stream from its end to its start, as a backward model does.
    ///
    /// # Errors
    /// There are fewer tokens than lanes, or no lane or token was asked for.
    pub fn new(stream: TokenStream, lanes: usize, window: usize, reversed: bool, seed: u64) -> Result<Self, Error> {
        let tokens = stream.len();
        if window == 0 {
            return Err(Invalid::new("train.sequence_length", window, "at least 1").into());
        }
        if lanes == 0 || lanes as u64 > tokens {
            let allowed = format!(
                "1 to {tokens}: the text has {tokens} tokens, and each row of a batch needs one; lower it, or use more text"
            );
            return Err(Invalid::new("train.batch_size", lanes, allowed).into());
        }
        let length = tokens / lanes as u64;
        let window = usize::try_from(length).map_or(window, |length| window.min(length));
        Ok(Self { stream, lanes, length, window, reversed, seed })
    }

    /// Steps until every lane has been read once. Fewer than a window of tokens a lane is left over.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.length / self.window as u64
    }

    /// Tokens a lane and step, `T`.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// The batch of a step, for one of `world` ranks: the `rank`-th of `world` equal shares of the lanes (shares differ by
    /// one lane where the division leaves a rest).
    ///
    /// # Panics
    /// `rank` is not below `world`.
    #[must_use]
    pub fn batch(&self, step: u64, rank: usize, world: usize) -> Batch {
        assert!(rank < world, "rank {rank} of {world}");
        let (epoch, window) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let offset = mix(mix(self.seed) ^ epoch) % self.stream.len() + window * self.window as u64;
        let share = rank * self.lanes / world..(rank + 1) * self.lanes / world;
        let lanes = share.len();
        let mut batch = Batch {
            inputs: vec![0; self.window * lanes],
            targets: vec![0; self.window * lanes],
            lanes,
            starts: window == 0,
        };
        let mut tokens = vec![0; self.window + 1];
        for (column, lane) in share.enumerate() {
            self.read(offset + lane as u64 * self.length, &mut tokens);
            for (row, pair) in tokens.windows(2).enumerate() {
                batch.inputs[row * lanes + column] = pair[0];
                batch.targets[row * lanes + column] = pair[1];
            }
        }
        batch
    }

    /// Reads around the ring, from the token before `target` on.
    fn read(&self, target: u64, out: &mut [i64]) {
        let ring = self.stream.len();
        let first = (target + ring - 1) % ring;
        if self.reversed {
            // Position p of the reversed ring is position N - 1 - p of the stream.
            let last = (first + out.len() as u64 - 1) % ring;
            self.read_ring(ring - 1 - last, out);
            out.reverse();
        } else {
            self.read_ring(first, out);
        }
    }

    fn read_ring(&self, start: u64, out: &mut [i64]) {
        let (mut at, mut out) = (start, out);
        while !out.is_empty() {
            let end = self.stream.len().min(at + out.len() as u64);
            let (now, later) = out.split_at_mut((end - at) as usize);
            self.stream.copy(at..end, now);
            (at, out) = (0, later);
        }
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) at one
/// step from `x`: a bijection of 64 bits in which every input bit reaches every output bit.
fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lanes(tokens: u32, lanes: usize, window: usize, reversed: bool, seed: u64) -> Lanes {
        Lanes::new(TokenStream::from_tokens((0..tokens).collect()), lanes, window, reversed, seed).unwrap()
    }

    /// The golden value of SplitMix64 seeded with 1234567, as published with its reference code.
    #[test]
    fn mix_is_splitmix64() {
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn golden_batch() {
        let lanes = lanes(10, 2, 3, false, 0);
        let offset = (mix(mix(0)) % 10) as i64;
        assert_eq!((lanes.steps_per_epoch(), lanes.window()), (1, 3));
        let batch = lanes.batch(0, 0, 1);
        let at = |i: i64| (i + offset).rem_euclid(10);
        assert_eq!(batch.inputs, [-1, 4, 0, 5, 1, 6].map(at));
        assert_eq!(batch.targets, [0, 5, 1, 6, 2, 7].map(at));
        assert!(batch.starts && batch.lanes == 2);
    }

    #[test]
    fn windows_go_on_where_the_last_ended() {
        let lanes = lanes(100, 3, 5, false, 7);
        assert_eq!(lanes.steps_per_epoch(), 6);
        for step in 0..5 {
            let (now, next) = (lanes.batch(step, 0, 1), lanes.batch(step + 1, 0, 1));
            assert_eq!(now.targets[4 * 3..], next.inputs[..3]);
            assert_eq!((now.starts, next.starts), (step == 0, false));
        }
        assert!(lanes.batch(6, 0, 1).starts);
    }

    #[test]
    fn epochs_and_seeds_rotate_differently() {
        let first = |seed, step| lanes(1000, 1, 1000, false, seed).batch(step, 0, 1).targets[0];
        let offsets: std::collections::BTreeSet<i64> =
            (0..20).flat_map(|seed| (0..20).map(move |step| first(seed, step))).collect();
        assert!(offsets.len() > 300, "400 draws of 1000 gave {} offsets", offsets.len());
    }

    #[test]
    fn a_short_text_is_one_window() {
        let lanes = lanes(1, 1, 35, false, 3);
        assert_eq!((lanes.window(), lanes.steps_per_epoch()), (1, 1));
        assert_eq!(lanes.batch(9, 0, 1), Batch { inputs: vec![0], targets: vec![0], lanes: 1, starts: true });
    }

    #[test]
    fn too_few_tokens_is_an_error_with_numbers() {
        let check = |tokens: u32, lanes, window, says: &str| {
            let error =
                Lanes::new(TokenStream::from_tokens((0..tokens).collect()), lanes, window, false, 0).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        };
        check(19, 20, 35, "`train.batch_size` = 20: allowed: 1 to 19: the text has 19 tokens");
        check(0, 1, 35, "0 tokens");
        check(19, 0, 35, "`train.batch_size` = 0");
        check(19, 1, 0, "`train.sequence_length` = 0");
    }

    proptest! {
        #[test]
        fn every_token_once_an_epoch_but_for_the_rest(
            tokens in 1_u32..300, count in 1_usize..20, window in 1_usize..40, reversed: bool, seed: u64, epoch in 0_u64..5,
        ) {
            let count = count.min(tokens as usize);
            let lanes = lanes(tokens, count, window, reversed, seed);
            let steps = lanes.steps_per_epoch();
            let mut seen = vec![0; tokens as usize];
            for step in epoch * steps..(epoch + 1) * steps {
                let batch = lanes.batch(step, 0, 1);
                prop_assert_eq!(batch.starts, step == epoch * steps);
                for (&input, &target) in batch.inputs.iter().zip(&batch.targets) {
                    seen[target as usize] += 1;
                    let before = if reversed { target + 1 } else { target - 1 };
                    prop_assert_eq!(input, before.rem_euclid(i64::from(tokens)));
                }
            }
            prop_assert!(seen.iter().all(|&times| times <= 1));
            let used: usize = seen.iter().sum();
            prop_assert_eq!(used, count * steps as usize * lanes.window());
            // Less than a window a lane, and less than one token a lane for the division, is left.
            prop_assert!(tokens as usize - used < count * lanes.window() + count);
        }

        #[test]
        fn reversed_reads_the_mirrored_text(tokens in 1_u32..200, count in 1_usize..8, window in 1_usize..20, step in 0_u64..40, seed: u64) {
            let count = count.min(tokens as usize);
            let mirrored = Lanes::new(TokenStream::from_tokens((0..tokens).rev().collect()), count, window, false, seed).unwrap();
            prop_assert_eq!(lanes(tokens, count, window, true, seed).batch(step, 0, 1), mirrored.batch(step, 0, 1));
        }

        #[test]
        fn ranks_tile_the_world(tokens in 30_u32..200, count in 1_usize..30, world in 1_usize..6, step in 0_u64..40, seed: u64) {
            let lanes = lanes(tokens, count, 7, false, seed);
            let whole = lanes.batch(step, 0, 1);
            let parts: Vec<Batch> = (0..world).map(|rank| lanes.batch(step, rank, world)).collect();
            prop_assert_eq!(parts.iter().map(|part| part.lanes).sum::<usize>(), count);
            for row in 0..lanes.window() {
                let joined: Vec<i64> = parts.iter().flat_map(|part| part.targets[row * part.lanes..(row + 1) * part.lanes].to_vec()).collect();
                prop_assert_eq!(&joined[..], &whole.targets[row * count..(row + 1) * count]);
            }
        }
    }
}
