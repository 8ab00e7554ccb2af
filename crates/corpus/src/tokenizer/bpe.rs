//! Training of byte-pair encoding (Sennrich et al., arXiv 1508.07909).
//!
//! The library's trainer keeps its candidates in the order of a randomly seeded hash map where two are equal, so that
//! the same text can give another file. Here the order is total: higher count first, then the smaller pair of ids.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

type Pair = (u32, u32);

/// Tokens and the merges that made them.
pub(super) struct Merged {
    /// The tokens, by id: those given, then those that merges made.
    pub(super) tokens: Vec<String>,
    /// The pairs of ids, in the order in which they are applied.
    pub(super) merges: Vec<Pair>,
}

/// Words as runs of symbols, and how often each occurs.
#[derive(Default)]
pub(super) struct Words {
    symbols: Vec<u32>,
    spans: Vec<(usize, usize)>,
    counts: Vec<i64>,
}

impl Words {
    /// Adds a word of these symbols that occurs `count` times.
    pub(super) fn push(&mut self, symbols: impl IntoIterator<Item = u32>, count: u64) {
        let start = self.symbols.len();
        self.symbols.extend(symbols);
        self.spans.push((start, self.symbols.len() - start));
        self.counts.push(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Merges the most frequent pair of neighbours until there are `size` tokens or no pair occurs `min_frequency` times.
///
/// `tokens` are the symbols that the words are made of (and others that never merge), by id.
pub(super) fn merge(tokens: Vec<String>, words: Words, size: usize, min_frequency: u64) -> Merged {
    let min_frequency = i64::try_from(min_frequency.max(1)).unwrap_or(i64::MAX);
    let mut ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
    let mut merged = Merged { tokens, merges: Vec::new() };
    let mut seen = HashSet::new();
    let mut candidates = Candidates::count(words);
    while merged.tokens.len() < size {
        let Some((count, pair)) = candidates.pop() else { break };
        if count < min_frequency {
            break;
        }
        let text = format!("{}{}", merged.tokens[pair.0 as usize], merged.tokens[pair.1 as usize]);
        // "a" + "bc" after "ab" + "c" is the same token.
        let id = *ids.entry(text).or_insert_with_key(|text| {
            merged.tokens.push(text.clone());
            (merged.tokens.len() - 1) as u32
        });
        if seen.insert(pair) {
            merged.merges.push(pair);
        }
        candidates.apply(pair, id);
    }
    merged
}

/// Pairs of neighbours: how often and in which words, and the most frequent first.
struct Candidates {
    words: Words,
    counts: HashMap<Pair, i64>,
    places: HashMap<Pair, Vec<u32>>,
    /// May hold counts that have fallen since; a count that rises is pushed again.
    queue: BinaryHeap<(i64, Reverse<Pair>)>,
}

impl Candidates {
    fn count(words: Words) -> Self {
        let mut counts: HashMap<Pair, i64> = HashMap::new();
        let mut places: HashMap<Pair, Vec<u32>> = HashMap::new();
        for (word, (&(start, length), &count)) in words.spans.iter().zip(&words.counts).enumerate() {
            for window in words.symbols[start..start + length].windows(2) {
                let pair = (window[0], window[1]);
                *counts.entry(pair).or_default() += count;
                note(places.entry(pair).or_default(), word as u32);
            }
        }
        let queue = counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        Self { words, counts, places, queue }
    }

    /// The most frequent pair, and how often it occurs.
    fn pop(&mut self) -> Option<(i64, Pair)> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            match self.counts.get(&pair) {
                Some(&current) if current == count => return Some((count, pair)),
                Some(&current) if current > 0 => self.queue.push((current, Reverse(pair))),
                _ => {}
            }
        }
        None
    }

    /// Makes one symbol of every occurrence of a pair.
    fn apply(&mut self, pair: Pair, id: u32) {
        self.counts.remove(&pair);
        let mut changes: HashMap<Pair, i64> = HashMap::new();
        for word in self.places.remove(&pair).unwrap_or_default() {
            self.merge_word(word, pair, id, &mut changes);
        }
        changes.remove(&pair);
        for (changed, change) in changes {
            let count = self.counts.entry(changed).or_default();
            *count += change;
            if change > 0 {
                self.queue.push((*count, Reverse(changed)));
            } else if *count <= 0 {
                self.counts.remove(&changed);
                self.places.remove(&changed);
            }
        }
    }

    fn merge_word(&mut self, word: u32, pair: Pair, id: u32, changes: &mut HashMap<Pair, i64>) {
        let (start, length) = self.words.spans[word as usize];
        let count = self.words.counts[word as usize];
        let symbols = &mut self.words.symbols[start..start + length];
        let (mut read, mut write) = (0, 0);
        while read < length {
            if read + 1 == length || (symbols[read], symbols[read + 1]) != pair {
                symbols[write] = symbols[read];
                read += 1;
                write += 1;
                continue;
            }
            let before = (write > 0).then(|| symbols[write - 1]);
            if let Some(before) = before {
                *changes.entry((before, pair.0)).or_default() -= count;
                *changes.entry((before, id)).or_default() += count;
                note(self.places.entry((before, id)).or_default(), word);
            }
            if let Some(&after) = symbols.get(read + 2) {
                *changes.entry((pair.1, after)).or_default() -= count;
                *changes.entry((id, after)).or_default() += count;
                note(self.places.entry((id, after)).or_default(), word);
            }
            symbols[write] = id;
            read += 2;
            write += 1;
        }
        self.words.spans[word as usize].1 = write;
    }
}

fn note(places: &mut Vec<u32>, word: u32) {
    if places.last() != Some(&word) {
        places.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[(&str, u64)], size: usize, min_frequency: u64, expect: &[&str]) {
        let tokens: Vec<String> = ('a'..='z').map(String::from).collect();
        let mut counted = Words::default();
        for (word, count) in words {
            counted.push(word.bytes().map(|byte| u32::from(byte - b'a')), *count);
        }
        let merged = merge(tokens, counted, 26 + size, min_frequency);
        assert_eq!(merged.tokens[26..], *expect, "{words:?}");
    }

    #[test]
    fn frequent_pairs_merge_first() {
        check(&[("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)], 4, 1, &["es", "est", "lo", "low"]);
        check(&[("low", 5), ("newest", 6)], 9, 6, &["es", "ew", "new", "est", "newest"]);
        check(&[("aaaa", 1)], 9, 1, &["aa", "aaaa"]);
        check(&[("abab", 1)], 9, 1, &["ab", "abab"]);
        check(&[("ba", 1), ("ab", 1)], 1, 1, &["ab"]);
        check(&[], 9, 1, &[]);
    }

    /// Counts kept while merging are those of a recount from scratch.
    #[test]
    fn counts_stay_exact() {
        let mut words = Words::default();
        for (word, count) in [("abcabcab", 3), ("aabbaabb", 5), ("cabbage", 7), ("aaaaa", 2)] {
            words.push(word.bytes().map(u32::from), count);
        }
        let mut candidates = Candidates::count(words);
        for id in 1000..1006 {
            let Some((_, pair)) = candidates.pop() else { break };
            candidates.apply(pair, id);
            let mut recount = Words::default();
            for (&(start, length), &count) in candidates.words.spans.iter().zip(&candidates.words.counts) {
                recount.push(candidates.words.symbols[start..start + length].iter().copied(), count as u64);
            }
            let expect = Candidates::count(recount).counts;
            let nonzero: HashMap<Pair, i64> =
                candidates.counts.iter().filter(|(_, count)| **count != 0).map(|(p, c)| (*p, *c)).collect();
            assert_eq!(nonzero, expect);
        }
    }
}
