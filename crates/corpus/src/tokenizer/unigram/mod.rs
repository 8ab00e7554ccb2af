//! Training of the unigram language model (Kudo, arXiv 1804.10959, section 3.2).
//!
//! Seeds are the frequent substrings of the words. Then, in turn: expectation-maximisation re-estimates the probability
//! of each piece, and the pieces whose loss would cost the likelihood least are dropped, until the vocabulary fits.
//!
//! The library's trainer adds floats in the order and number of threads and settles ties by randomly seeded hash maps.
//! Here partial sums belong to a fixed number of parts, added in order, and every order is total.

mod lexicon;
mod seeds;

use std::cmp::Ordering;

use rayon::prelude::*;

use lexicon::{Edge, Lexicon};

/// A piece and its natural log probability.
pub(super) type Piece = (String, f64);

/// Most characters of a piece.
const MAX_PIECE_CHARS: usize = 16;
/// Most seeds.
const MAX_SEEDS: usize = 1_000_000;
/// Share of the pieces that a round of pruning keeps.
const KEEP: f64 = 0.75;
/// Rounds of expectation-maximisation between prunings.
const ROUNDS: usize = 2;
/// A piece that is expected less often than this goes.
const MIN_EXPECTED: f64 = 0.5;
/// Parts that a pass over the words is cut into, whatever the number of threads: sums come out the same.
const PARTS: usize = 16;

/// Words as runs of characters, and how often each occurs.
#[derive(Default)]
pub(super) struct Words {
    chars: Vec<char>,
    spans: Vec<(usize, usize)>,
    counts: Vec<u64>,
}

impl Words {
    /// Adds a word that occurs `count` times.
    pub(super) fn push(&mut self, word: impl IntoIterator<Item = char>, count: u64) {
        let start = self.chars.len();
        self.chars.extend(word);
        self.spans.push((start, self.chars.len()));
        self.counts.push(count);
    }

    fn iter(&self) -> impl Iterator<Item = (&[char], u64)> {
        self.spans.iter().zip(&self.counts).map(|(&(start, end), &count)| (&self.chars[start..end], count))
    }

    /// Runs a pass over each part of the words, in parallel; the results come in the order of the parts.
    fn parts<T: Send>(&self, pass: impl Fn(&mut dyn Iterator<Item = (&[char], u64)>) -> T + Sync) -> Vec<T> {
        let part = self.spans.len().div_ceil(PARTS).max(1);
        let ranges: Vec<_> = self.spans.chunks(part).zip(self.counts.chunks(part)).collect();
        let words = |(spans, counts): &(&[(usize, usize)], &[u64])| {
            pass(&mut spans.iter().zip(*counts).map(|(&(start, end), &count)| (&self.chars[start..end], count)))
        };
        ranges.par_iter().map(words).collect()
    }
}

/// Trains `size` pieces at most, every character of the words among them. Highest probability first, then by text.
///
/// `size` is at least the number of different characters.
pub(super) fn train(words: &Words, size: usize, min_frequency: u64) -> Vec<Piece> {
    let mut lexicon = Lexicon::new(seeds::seeds(words, min_frequency.max(2)));
    // Pruning stops a little above the size, as in SentencePiece; the last pieces go by probability.
    let nearly = size + size / 10;
    loop {
        for _ in 0..ROUNDS {
            lexicon = maximise(&lexicon, &expect(&lexicon, words));
        }
        if lexicon.len() <= nearly {
            break;
        }
        lexicon = prune(&lexicon, words, nearly);
    }
    finish(lexicon, size)
}

/// The E-step: how often each piece is expected, over all segmentations of all words.
fn expect(lexicon: &Lexicon, words: &Words) -> Vec<f64> {
    let weights = lexicon.tilted_weights();
    let parts = words.parts(|words| {
        let mut expected = vec![0.0; lexicon.len()];
        let (mut edges, mut forward, mut backward) = (Vec::new(), Vec::new(), Vec::new());
        for (word, count) in words {
            lexicon.edges(word, &mut edges);
            forward.clear();
            forward.resize(word.len() + 1, 0.0);
            forward[0] = 1.0;
            for edge in &edges {
                forward[edge.end] += forward[edge.start] * weights[edge.piece];
            }
            backward.clear();
            backward.resize(word.len() + 1, 0.0);
            backward[word.len()] = 1.0;
            for edge in edges.iter().rev() {
                backward[edge.start] += backward[edge.end] * weights[edge.piece];
            }
            let scale = count as f64 / forward[word.len()];
            for &Edge { start, end, piece } in &edges {
                expected[piece] += forward[start] * weights[piece] * backward[end] * scale;
            }
        }
        expected
    });
    let mut total = vec![0.0; lexicon.len()];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    total
}

/// The M-step with a sparse prior (Liang and Klein 2007): digamma in place of the logarithm. Characters always stay.
fn maximise(lexicon: &Lexicon, expected: &[f64]) -> Lexicon {
    let kept: Vec<(Vec<char>, f64)> = lexicon
        .pieces()
        .zip(expected)
        .filter(|((piece, _), expected)| piece.len() == 1 || **expected >= MIN_EXPECTED)
        .map(|((piece, _), expected)| (piece.to_vec(), expected.max(MIN_EXPECTED)))
        .collect();
    let total = digamma(kept.iter().map(|(_, expected)| expected).sum());
    Lexicon::new(kept.into_iter().map(|(piece, expected)| (piece, digamma(expected) - total)).collect())
}

/// Drops the pieces whose removal costs the likelihood least, a quarter at most and down to `size`.
fn prune(lexicon: &Lexicon, words: &Words, size: usize) -> Lexicon {
    let frequency = viterbi_counts(lexicon, words);
    let total: f64 = frequency.iter().sum();
    let loss = |(id, (piece, _)): (usize, (&[char], f64))| {
        let own = frequency[id];
        if piece.len() == 1 {
            return Some((f64::INFINITY, id));
        }
        if own == 0.0 {
            return None;
        }
        // Without the piece, its occurrences go to those that spell it next best.
        let instead = lexicon.best(piece, Some(id));
        let total_instead = (total + own * (instead.len() as f64 - 1.0)).ln();
        let log_instead: f64 = instead.iter().map(|&other| (frequency[other] + own).ln() - total_instead).sum();
        Some((own * (own.ln() - total.ln() - log_instead), id))
    };
    let mut kept: Vec<(f64, usize)> = lexicon.pieces().enumerate().filter_map(loss).collect();
    // Pieces are in a fixed order, so that equal losses are settled by id.
    kept.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let characters = kept.iter().take_while(|(loss, _)| loss.is_infinite()).count();
    kept.truncate(size.max((lexicon.len() as f64 * KEEP) as usize).max(characters));
    kept.sort_unstable_by_key(|(_, id)| *id);
    Lexicon::new(kept.into_iter().map(|(_, id)| lexicon.piece(id)).collect())
}

/// How often each piece is part of the best segmentation. Whole numbers: their sum has no order.
fn viterbi_counts(lexicon: &Lexicon, words: &Words) -> Vec<f64> {
    let parts = words.parts(|words| {
        let mut counts = vec![0_u64; lexicon.len()];
        for (word, count) in words {
            lexicon.best(word, None).into_iter().for_each(|piece| counts[piece] += count);
        }
        counts
    });
    (0..lexicon.len()).map(|id| parts.iter().map(|part| part[id]).sum::<u64>() as f64).collect()
}

/// Keeps every character and the most probable pieces beside them.
fn finish(lexicon: Lexicon, size: usize) -> Vec<Piece> {
    let by_score = |a: &(Vec<char>, f64), b: &(Vec<char>, f64)| -> Ordering { b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)) };
    let (mut kept, mut longer): (Vec<_>, Vec<_>) = lexicon.into_pieces().partition(|(piece, _)| piece.len() == 1);
    longer.sort_by(by_score);
    longer.truncate(size.saturating_sub(kept.len()));
    kept.append(&mut longer);
    // Six decimals are read back exactly by every JSON parser, and hide the last bits of the logarithm.
    kept.iter_mut().for_each(|(_, score)| *score = (*score * 1e6).round() / 1e6);
    kept.sort_by(by_score);
    kept.into_iter().map(|(piece, score)| (piece.into_iter().collect(), score)).collect()
}

/// The derivative of the logarithm of the gamma function, by recurrence and asymptotic series (Abramowitz and Stegun,
/// 6.3.5 and 6.3.18). `x` is positive.
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 8.0 {
        below -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    below + x.ln()
        - 0.5 / x
        - inverse * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse / 240.0)))
}

#[cfg(test)]
mod tests;
