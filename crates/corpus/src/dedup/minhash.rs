//! MinHash signatures in bands: documents that agree in a whole band are near-duplicates.
//!
//! Broder: On the resemblance and containment of documents (SEQUENCES 1997). For a random permutation, the smallest shingles of two sets
//! are the same with a probability that is their Jaccard similarity `s`. Of `b` bands of `r` permutations, at least one agrees as a whole
//! with probability `1 - (1 - s^r)^b`, an S-curve that is steepest near `(1/b)^(1/r)` (Leskovec, Rajaraman, Ullman: Mining of
//! massive datasets, chapter 3). Shingles are word 5-grams, as in Lee et al. (arXiv 2107.06499).

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::words::is_unspaced;

const WORDS: usize = 5;
const CHARACTERS: usize = 10;

/// Makes the band keys of documents.
#[derive(Debug)]
pub(crate) struct MinHash {
    /// Multiplier and addend of each permutation.
    permutations: Vec<(u64, u64)>,
    rows: usize,
}

impl MinHash {
    /// At most `permutations` permutations, in bands whose S-curve rises at the similarity `jaccard`.
    pub(crate) fn new(jaccard: f64, permutations: usize) -> Self {
        let (bands, rows) = bands(jaccard, permutations);
        let constant = |i: usize| xxh3_64(&(i as u64).to_le_bytes());
        Self { permutations: (0..bands * rows).map(|i| (constant(2 * i), constant(2 * i + 1))).collect(), rows }
    }

    /// The band keys of a folded text; none for an empty one.
    pub(crate) fn keys(&self, folded: &str) -> Vec<u128> {
        if folded.is_empty() {
            return Vec::new();
        }
        let mut signature = vec![u32::MAX; self.permutations.len()];
        shingles(folded, |shingle| self.add(xxh3_64(shingle.as_bytes()) as u32, &mut signature));
        let mut bytes = Vec::with_capacity(4 * self.rows);
        let key = |(band, rows): (usize, &[u32])| {
            bytes.clear();
            rows.iter().for_each(|row| bytes.extend(row.to_le_bytes()));
            // The number of the band is in the seed, so that only like bands agree.
            xxh3_128_with_seed(&bytes, band as u64)
        };
        signature.chunks_exact(self.rows).enumerate().map(key).collect()
    }

    /// Multiply-add-shift hashing (Dietzfelbinger 1996) in place of permutations: 2-independent, from 32 to 32 bits.
    fn add(&self, shingle: u32, signature: &mut [u32]) {
        for (smallest, &(multiplier, addend)) in signature.iter_mut().zip(&self.permutations) {
            let hash = (multiplier.wrapping_mul(u64::from(shingle)).wrapping_add(addend) >> 32) as u32;
            *smallest = hash.min(*smallest);
        }
    }
}

/// Calls `take` with each run of five words, or of ten characters where most letters are of a script without spaces between words; with
/// the whole text where it is shorter.
fn shingles(folded: &str, take: impl FnMut(&str)) {
    let letters = folded.chars().filter(|c| c.is_alphabetic()).count();
    let unspaced = folded.chars().filter(|&c| is_unspaced(c)).count();
    if 2 * unspaced > letters {
        let starts = folded.char_indices().map(|(at, _)| at);
        let ends = folded.char_indices().map(|(at, c)| at + c.len_utf8());
        runs(folded, starts, ends, CHARACTERS, take);
    } else {
        // Folded text has single spaces between words and none at its ends.
        let spaces = || folded.match_indices(' ').map(|(at, _)| at);
        let starts = std::iter::once(0).chain(spaces().map(|at| at + 1));
        let ends = spaces().chain(std::iter::once(folded.len()));
        runs(folded, starts, ends, WORDS, take);
    }
}

/// Runs of `n` pieces that start and end where the iterators say.
fn runs(
    text: &str,
    starts: impl Iterator<Item = usize>,
    ends: impl Iterator<Item = usize>,
    n: usize,
    mut take: impl FnMut(&str),
) {
    let mut any = false;
    for (start, end) in starts.zip(ends.skip(n - 1)) {
        take(&text[start..end]);
        any = true;
    }
    if !any {
        take(text);
    }
}

/// The number of bands and of rows a band that come closest to a step at `jaccard`: the area of false positives below it and of false
/// negatives above it is smallest (as in Zhu et al.: LSH ensemble, VLDB 2016).
fn bands(jaccard: f64, permutations: usize) -> (usize, usize) {
    const POINTS: usize = 200;
    let error = |bands: usize, rows: usize| -> f64 {
        let at = |point: usize| {
            let similarity = (point as f64 + 0.5) / POINTS as f64;
            let missed = (1.0 - similarity.powi(rows as i32)).powi(bands as i32);
            if similarity < jaccard { 1.0 - missed } else { missed }
        };
        (0..POINTS).map(at).sum()
    };
    let mut best = (f64::INFINITY, (1, 1));
    for rows in 1..=permutations.max(1) {
        for bands in 1..=permutations.max(1) / rows {
            let error = error(bands, rows);
            if error < best.0 {
                best = (error, (bands, rows));
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(minhash: &MinHash, a: &str, b: &str) -> bool {
        minhash.keys(a).iter().any(|key| minhash.keys(b).contains(key))
    }

    /// `count` words, of which those from `same` on differ between variants.
    fn text(document: u32, count: u32, same: u32, variant: u32) -> String {
        let word = |i: u32| if i < same { format!("w{document}x{i}") } else { format!("v{variant}d{document}x{i}") };
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn bands_follow_the_similarity() {
        let check = |jaccard, permutations, expect| assert_eq!(bands(jaccard, permutations), expect);
        // The same choice as datasketch's MinHashLSH(threshold, num_perm).
        check(0.8, 128, (9, 13));
        check(0.5, 128, (25, 5));
        check(0.9, 1, (1, 1));
        check(1.0, 16, (1, 16));
    }

    #[test]
    fn shingles_of_words_and_characters() {
        let check = |text: &str, expect: &[&str]| {
            let mut found = Vec::new();
            shingles(text, |shingle| found.push(shingle.to_owned()));
            assert_eq!(found, expect);
        };
        check("a b c d e f", &["a b c d e", "b c d e f"]);
        check("a b c d e", &["a b c d e"]);
        check("a b", &["a b"]);
        check("一二三四五六七八九十百", &["一二三四五六七八九十", "二三四五六七八九十百"]);
        check("红楼梦", &["红楼梦"]);
    }

    /// With n words and n - k shared at the start, the sets share n - k - 4 of n + k - 4 shingles.
    #[test]
    fn found_from_the_stated_similarity_on() {
        let minhash = MinHash::new(0.8, 128);
        let found =
            |same: u32| (0..200).filter(|&d| near(&minhash, &text(d, 200, same, 1), &text(d, 200, same, 2))).count();
        // Similarities 0.96, 0.80, 0.48 and 0: the S-curve of 9 bands of 13 says 199.9, 80, 0.1 and 0 of 200.
        assert!(found(196) >= 196, "{}", found(196));
        assert!((40..=120).contains(&found(178)), "{}", found(178));
        assert!(found(131) <= 3, "{}", found(131));
        assert_eq!(found(0), 0);
    }

    #[test]
    fn scripts_without_spaces() {
        let minhash = MinHash::new(0.8, 128);
        let text: String = (0..400_u32).filter_map(|i| char::from_u32(0x4E00 + i * 7)).collect();
        let changed = text.replace(char::from_u32(0x4E00 + 7).unwrap(), "一");
        assert!(near(&minhash, &text, &changed));
        assert!(minhash.keys("").is_empty());
    }
}
