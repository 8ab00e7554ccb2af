//! Which documents go, from their keys.
//!
//! A document goes where it shares a key with an earlier one. That needs no clusters: the first of a cluster has no earlier
//! neighbour and stays, and a document that resembles only later ones is not drawn out by a chain of them, as it would be if whole
//! connected components were reduced to one document.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::dedup::{Entry, Spilled};
use crate::{DedupConfig, Duplicates, Error};

/// Samples that are kept for each reason.
const SAMPLES: usize = 5;

/// Why a document goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The text stood earlier.
    Exact,
    /// A near-duplicate stood earlier.
    Near,
    /// It is in train, and the text or a near-duplicate stands in valid or test.
    HeldOut,
}

impl Reason {
    /// The name in `rejects.jsonl`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact_duplicate",
            Self::Near => "near_duplicate",
            Self::HeldOut => "held_out",
        }
    }
}

/// What duplicate removal found.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    removed: Bits,
    counts: BTreeMap<Reason, u64>,
    /// The first documents that went for each reason, each with the document that it repeats.
    samples: BTreeMap<Reason, BTreeMap<u64, u64>>,
}

impl Removal {
    /// Whether a document goes.
    pub(crate) fn contains(&self, document: u64) -> bool {
        self.removed.contains(document)
    }

    /// How many go, by reason.
    pub(crate) fn counts(&self) -> Duplicates {
        let count = |reason| self.counts.get(&reason).copied().unwrap_or(0);
        Duplicates { exact: count(Reason::Exact), near: count(Reason::Near), held_out: count(Reason::HeldOut) }
    }

    /// The first documents that went for each reason: reason, document, and the document that it repeats.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (Reason, u64, u64)> + '_ {
        self.samples
            .iter()
            .flat_map(|(&reason, pairs)| pairs.iter().map(move |(&document, &other)| (reason, document, other)))
    }

    fn remove(&mut self, document: u64, repeats: u64, reason: Reason) {
        let new = self.removed.insert(document);
        *self.counts.entry(reason).or_default() += u64::from(new);
        let samples = self.samples.entry(reason).or_default();
        let other = samples.entry(document).or_insert(repeats);
        *other = repeats.min(*other);
        if samples.len() > SAMPLES {
            samples.pop_last();
        }
    }

    /// Removes what shares a key with an earlier document that stood before this pass.
    fn repeats(&mut self, spilled: &Spilled, reason: Reason) -> Result<(), Error> {
        let before = self.removed.clone();
        for partition in 0..spilled.partitions() {
            let mut first = Keys::default();
            spilled.read(partition, |entry| {
                if entry.fixed || before.contains(entry.document) {
                    return;
                }
                let earlier = *first.entry(halves(&entry)).or_insert(entry.document);
                // The bands of one document never share a key, but a document is no duplicate of itself in any case.
                if earlier != entry.document {
                    self.remove(entry.document, earlier, reason);
                }
            })?;
        }
        Ok(())
    }

    /// Removes what is in train and shares a key with a document of valid or test.
    fn held_out(&mut self, spilled: &Spilled) -> Result<(), Error> {
        let before = self.removed.clone();
        for partition in 0..spilled.partitions() {
            let mut held_out = Keys::default();
            spilled.read(partition, |entry| {
                if entry.held_out && !before.contains(entry.document) {
                    held_out.entry(halves(&entry)).or_insert(entry.document);
                }
            })?;
            spilled.read(partition, |entry| {
                let in_train = !entry.held_out && !before.contains(entry.document);
                if let Some(&other) = held_out.get(&halves(&entry)).filter(|_| in_train) {
                    self.remove(entry.document, other, Reason::HeldOut);
                }
            })?;
        }
        Ok(())
    }
}

/// Decides from the keys of whole texts and from those of bands, in this order: repeated texts, near-duplicates among the rest, and
/// what is left in train but also stands in valid or test.
pub(crate) fn resolve(
    config: &DedupConfig,
    texts: Option<&Spilled>,
    bands: Option<&Spilled>,
) -> Result<Removal, Error> {
    let mut removal = Removal::default();
    if let Some(texts) = texts.filter(|_| config.exact) {
        removal.repeats(texts, Reason::Exact)?;
    }
    if let Some(bands) = bands.filter(|_| config.near) {
        removal.repeats(bands, Reason::Near)?;
    }
    if config.held_out {
        for spilled in [texts, bands].into_iter().flatten() {
            removal.held_out(spilled)?;
        }
    }
    Ok(removal)
}

/// First document by key. As two words, a key is aligned to eight bytes and an entry takes 24 instead of 32.
type Keys = HashMap<(u64, u64), u64, BuildHasherDefault<Hashed>>;

fn halves(entry: &Entry) -> (u64, u64) {
    (entry.key as u64, (entry.key >> 64) as u64)
}

/// Keys are hashes already: their low half is taken as it is.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(32) ^ word;
    }
}

/// A set of document numbers, one bit each.
#[derive(Debug, Default, Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn contains(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Whether the number is new.
    fn insert(&mut self, number: u64) -> bool {
        let index = (number / 64) as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, 0);
        }
        let new = !self.contains(number);
        self.0[index] |= 1 << (number % 64);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::Spill;

    fn spilled(folder: &tempfile::TempDir, name: &str, entries: &[(u128, u64, bool, bool)]) -> Spilled {
        let mut spill = Spill::create(folder.path(), name).unwrap();
        for &(key, document, held_out, fixed) in entries {
            spill.push(Entry { key: key << 64 | key, document, held_out, fixed }).unwrap();
        }
        spill.finish().unwrap()
    }

    /// Keys of texts and bands as (key, document, held out, fixed); which documents go.
    fn check(
        (exact, near, held_out): (bool, bool, bool),
        texts: &[(u128, u64, bool, bool)],
        bands: &[(u128, u64, bool, bool)],
        expect: &[u64],
    ) -> Removal {
        let folder = tempfile::tempdir().unwrap();
        let config = DedupConfig { exact, near, held_out, ..DedupConfig::default() };
        let texts = spilled(&folder, "texts", texts);
        let bands = spilled(&folder, "bands", bands);
        let removal = resolve(&config, Some(&texts), Some(&bands)).unwrap();
        assert_eq!((0..100).filter(|&document| removal.contains(document)).collect::<Vec<_>>(), expect);
        removal
    }

    #[test]
    fn the_first_of_equal_texts_stays() {
        let texts = [(7, 0, false, false), (8, 1, false, false), (7, 2, false, false), (7, 3, false, false)];
        let removal = check((true, false, false), &texts, &[], &[2, 3]);
        assert_eq!(removal.counts(), Duplicates { exact: 2, near: 0, held_out: 0 });
        assert_eq!(removal.samples().collect::<Vec<_>>(), [(Reason::Exact, 2, 0), (Reason::Exact, 3, 0)]);
    }

    #[test]
    fn a_file_that_is_taken_as_it_is_keeps_its_repeats() {
        check(
            (true, true, false),
            &[(7, 0, true, true), (7, 1, true, true)],
            &[(7, 0, true, true), (7, 1, true, true)],
            &[],
        );
    }

    #[test]
    fn near_duplicates_of_an_earlier_document_go_without_chains() {
        // 2 resembles 0 and 1, which do not resemble each other: only 2 goes. 3 resembles 2 and goes too.
        let bands = [
            (10, 0, false, false),
            (20, 1, false, false),
            (10, 2, false, false),
            (20, 2, false, false),
            (30, 2, false, false),
            (30, 3, false, false),
        ];
        let removal = check((false, true, false), &[], &bands, &[2, 3]);
        assert_eq!(removal.counts(), Duplicates { exact: 0, near: 2, held_out: 0 });
    }

    #[test]
    fn held_out_texts_leave_train() {
        // Train 0 and 1, valid 2; train 0 equals it.
        let texts = [(7, 0, false, false), (8, 1, false, false), (7, 2, true, true)];
        let removal = check((false, false, true), &texts, &[], &[0]);
        assert_eq!(removal.counts().held_out, 1);
        // A held-out document that goes as a near-duplicate of a training document does not pull that one along.
        check((false, true, true), &[], &[(7, 0, false, false), (7, 1, true, false)], &[1]);
    }

    #[test]
    fn samples_are_the_first_whatever_the_partition() {
        let texts: Vec<_> =
            (0..40).flat_map(|i| [(i, i as u64, false, false), (i, 40 + i as u64, false, false)]).collect();
        let removal = check((true, false, false), &texts, &[], &(40..80).collect::<Vec<_>>());
        let samples: Vec<_> = removal.samples().map(|(_, document, other)| (document, other)).collect();
        assert_eq!(samples, [(40, 0), (41, 1), (42, 2), (43, 3), (44, 4)]);
    }
}
