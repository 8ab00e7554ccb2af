//! Text that repeats itself (Gopher, arXiv 2112.11446, section A.1.1 and table A1).

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::counts::ratio;
use crate::words::words;

/// Largest share of characters in the most frequent 2-, 3- and 4-gram.
const TOP: [(usize, f64); 3] = [(2, 0.20), (3, 0.18), (4, 0.16)];

/// Largest share of characters in 5- to 10-grams that stood earlier.
const DUPLICATE: [(usize, f64); 6] = [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)];

const DUPLICATE_PARAGRAPHS: f64 = 0.30;
const DUPLICATE_LINE_CHARS: f64 = 0.20;
const DUPLICATE_PARAGRAPH_CHARS: f64 = 0.20;

/// The share of lines with text that repeat an earlier line.
pub(super) fn duplicate_lines(text: &str) -> f64 {
    duplicates(text.split('\n')).0
}

/// The shares of parts with text, and of characters, that lie in parts that stood earlier.
fn duplicates<'t>(parts: impl Iterator<Item = &'t str>) -> (f64, f64) {
    let mut seen = HashSet::new();
    let (mut repeated, mut repeated_bytes, mut all, mut all_bytes) = (0, 0, 0, 0);
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        all += 1;
        all_bytes += part.len();
        if !seen.insert(part) {
            repeated += 1;
            repeated_bytes += part.len();
        }
    }
    (ratio(repeated, all), ratio(repeated_bytes, all_bytes))
}

/// The words of a text, ready for n-grams.
#[derive(Debug)]
pub(super) struct Repetition {
    hashes: Vec<u64>,
    chars: Vec<usize>,
    total: usize,
}

impl Repetition {
    pub(super) fn of(text: &str) -> Self {
        let (hashes, chars): (Vec<_>, Vec<_>) =
            words(text).map(|word| (xxh3_64(word.text.as_bytes()), word.text.chars().count())).unzip();
        let total = chars.iter().sum();
        Self { hashes, chars, total }
    }

    /// The share of characters in words of 5-grams that stood earlier.
    pub(super) fn duplicate_text(&self) -> f64 {
        self.duplicate_share(5)
    }

    /// What exceeds Gopher's thresholds. `None`: nothing.
    pub(super) fn beyond_gopher(&self, text: &str) -> Option<String> {
        let (paragraphs, paragraph_chars) = duplicates(text.split("\n\n"));
        let (_, line_chars) = duplicates(text.split('\n'));
        for (name, share, most) in [
            ("duplicate paragraphs", paragraphs, DUPLICATE_PARAGRAPHS),
            ("characters in duplicate lines", line_chars, DUPLICATE_LINE_CHARS),
            ("characters in duplicate paragraphs", paragraph_chars, DUPLICATE_PARAGRAPH_CHARS),
        ] {
            if share > most {
                return Some(format!("{name} {share:.3}"));
            }
        }
        for (n, most) in TOP {
            let share = self.top_share(n);
            if share > most {
                return Some(format!("top {n}-gram {share:.3}"));
            }
        }
        for (n, most) in DUPLICATE {
            let share = self.duplicate_share(n);
            if share > most {
                return Some(format!("duplicate {n}-grams {share:.3}"));
            }
            // What lies in repeated (n + 1)-grams lies in repeated n-grams too, so no later share is larger.
            if share <= DUPLICATE[DUPLICATE.len() - 1].1 {
                break;
            }
        }
        None
    }

    /// The n-grams by hash and, where hashes are equal, position.
    fn sorted(&self, n: usize) -> Vec<(u64, usize)> {
        let hash = |gram: &[u64]| {
            gram.iter().fold(0_u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        };
        let mut grams: Vec<_> = self.hashes.windows(n).enumerate().map(|(at, gram)| (hash(gram), at)).collect();
        grams.sort_unstable();
        grams
    }

    /// The share of characters in the most frequent n-gram, where one occurs twice.
    fn top_share(&self, n: usize) -> f64 {
        let chars = |at: usize| self.chars[at..at + n].iter().sum::<usize>();
        let grams = self.sorted(n);
        let repeated = grams.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
        // Of several that are as frequent, the longest.
        let top = repeated.map(|same| (same.len(), same.len() * chars(same[0].1))).max();
        // Occurrences may overlap.
        top.map_or(0.0, |(_, chars)| ratio(chars, self.total).min(1.0))
    }

    /// The share of characters in words that lie in an n-gram that stood earlier; each word counts once.
    fn duplicate_share(&self, n: usize) -> f64 {
        let grams = self.sorted(n);
        let mut repeats: Vec<_> =
            grams.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).collect();
        repeats.sort_unstable();
        let (mut chars, mut covered) = (0, 0);
        for at in repeats {
            chars += self.chars[at.max(covered)..at + n].iter().sum::<usize>();
            covered = at + n;
        }
        ratio(chars, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (text, expect) in [("", 0.0), ("a\nb", 0.0), ("a\na", 0.5), ("a\n\n\na \nb\nc", 0.25)] {
            assert_eq!(duplicate_lines(text), expect, "{text:?}");
        }
    }

    #[test]
    fn top_ngrams() {
        let text = Repetition::of("a b c a b d a b");
        assert_eq!(text.top_share(2), 6.0 / 8.0);
        assert_eq!(text.top_share(3), 0.0, "no 3-gram occurs twice");
        assert_eq!(Repetition::of("a a a a").top_share(2), 1.0);
        assert_eq!(Repetition::of("").top_share(2), 0.0);
    }

    #[test]
    fn duplicate_ngrams_count_each_word_once() {
        assert_eq!(Repetition::of("a b c d e a b c d e").duplicate_share(5), 0.5);
        assert_eq!(Repetition::of("a b c d e f a b c d e").duplicate_share(5), 5.0 / 11.0);
        assert_eq!(Repetition::of("a b c d e f g").duplicate_share(5), 0.0);
        assert_eq!(Repetition::of(&"ha ".repeat(20)).duplicate_share(5), 19.0 / 20.0);
        assert_eq!(Repetition::of("床前明月光床前明月光").duplicate_share(5), 0.5);
    }
}
