//! The pieces that unigram training starts from: characters and frequent substrings.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt};
use rayon::prelude::*;

use super::{MAX_PIECE_CHARS, MAX_SEEDS, Words};

/// A suffix of a word, cut to the longest piece.
struct Suffixes<'w> {
    words: &'w Words,
    /// Where each starts, in the order of their text.
    starts: Vec<u32>,
    /// The word that each character is part of.
    word_of: Vec<u32>,
}

/// The characters of the words, and the substrings of 2 to 16 characters that occur `min_frequency` times and that
/// cannot be longer without becoming rarer, with their log share; by text.
pub(super) fn seeds(words: &Words, min_frequency: u64) -> Vec<(Vec<char>, f64)> {
    let mut substrings = Suffixes::sort(words).substrings(min_frequency);
    substrings.par_sort_unstable_by(|a, b| {
        let weight = |(piece, count): &(&[char], u64)| Reverse(count * piece.len() as u64);
        weight(a).cmp(&weight(b)).then(a.0.cmp(b.0))
    });
    substrings.truncate(MAX_SEEDS);

    let mut seeds: Vec<(Vec<char>, f64)> =
        characters(words).into_iter().map(|(c, count)| (vec![c], count as f64)).collect();
    seeds.extend(substrings.into_iter().map(|(piece, count)| (piece.to_vec(), (count * piece.len() as u64) as f64)));
    seeds.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let total = seeds.iter().map(|(_, weight)| weight).sum::<f64>().ln();
    seeds.iter_mut().for_each(|(_, weight)| *weight = weight.ln() - total);
    seeds
}

fn characters(words: &Words) -> HashMap<char, u64> {
    let mut counts = HashMap::new();
    for (word, count) in words.iter() {
        word.iter().for_each(|&c| *counts.entry(c).or_default() += count);
    }
    counts
}

impl<'w> Suffixes<'w> {
    fn sort(words: &'w Words) -> Self {
        let mut word_of = Vec::with_capacity(words.chars.len());
        for (word, &(start, end)) in words.spans.iter().enumerate() {
            word_of.extend((start..end).map(|_| word as u32));
        }
        let mut suffixes = Self { words, starts: Vec::new(), word_of };
        let mut starts: Vec<u32> = (0..words.chars.len() as u32).collect();
        // Equal suffixes are counted together: their order does not matter.
        starts.par_sort_unstable_by(|&a, &b| suffixes.text(a).cmp(suffixes.text(b)));
        suffixes.starts = starts;
        suffixes
    }

    fn text(&self, start: u32) -> &'w [char] {
        let (_, end) = self.words.spans[self.word_of[start as usize] as usize];
        let start = start as usize;
        &self.words.chars[start..end.min(start + MAX_PIECE_CHARS)]
    }

    /// The inner nodes of the suffix tree, that is, the common prefixes of neighbours in the sorted suffixes, and whole
    /// words.
    fn substrings(&self, min_frequency: u64) -> Vec<(&'w [char], u64)> {
        let mut found = Vec::new();
        let mut emit = |start: u32, length: usize, count: u64| {
            if length >= 2 && count >= min_frequency {
                found.push((&self.text(start)[..length], count));
            }
        };
        // Prefixes that are still common to the suffixes read: length and count, longest last.
        let mut open: Vec<(usize, u64)> = Vec::new();
        for (at, &start) in self.starts.iter().enumerate() {
            let text = self.text(start);
            let common = self.starts.get(at + 1).map_or(0, |&next| common_prefix(text, self.text(next)));
            let word = self.word_of[start as usize] as usize;
            let mut count = self.words.counts[word];
            let longest = open.last().map_or(0, |(length, _)| *length).max(common);
            if start as usize == self.words.spans[word].0 && longest < text.len() {
                emit(start, text.len(), count);
            }
            while let Some((length, closed)) = open.pop_if(|(length, _)| *length > common) {
                count += closed;
                emit(start, length, count);
            }
            match open.last_mut() {
                Some((length, sum)) if *length == common => *sum += count,
                _ if common > 0 => open.push((common, count)),
                _ => {}
            }
        }
        found
    }
}

fn common_prefix(a: &[char], b: &[char]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Against counting every substring: what is found has the right count, and whatever occurs twice is found or is
    /// part of something longer that occurs as often.
    #[test]
    fn substrings_are_counted_exactly() {
        let list = [("banana", 3_u64), ("bandana", 2), ("nab", 1), ("a", 5), ("solitary", 1), ("frequent", 9)];
        let mut words = Words::default();
        let mut brute: BTreeMap<Vec<char>, u64> = BTreeMap::new();
        for (word, count) in list {
            let word: Vec<char> = word.chars().collect();
            for start in 0..word.len() {
                for end in start + 2..=word.len() {
                    *brute.entry(word[start..end].to_vec()).or_default() += count;
                }
            }
            words.push(word, count);
        }
        let found: BTreeMap<Vec<char>, u64> =
            Suffixes::sort(&words).substrings(2).into_iter().map(|(piece, count)| (piece.to_vec(), count)).collect();
        for (piece, count) in &found {
            assert_eq!(brute.get(piece), Some(count), "{piece:?}");
        }
        for (piece, count) in brute.iter().filter(|(_, count)| **count >= 2) {
            let covered = |(longer, other): (&Vec<char>, &u64)| {
                other == count && longer.windows(piece.len()).any(|window| window == piece)
            };
            assert!(found.iter().any(covered), "{piece:?}");
        }
    }
}
