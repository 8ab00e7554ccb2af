//! The pieces of a unigram model in a trie, and segmentations of words into them.

use foldhash::{HashMap, HashMapExt};

use super::super::pipeline::PRE_TOKEN_CHARS;

/// No piece ends at a node.
const NONE: u32 = u32::MAX;

/// Added to the log probability of a piece for each of its characters. All segmentations of a word have as many
/// characters, so that it cancels out of their ratios; it keeps products over a pre-token far from underflow.
const TILT: f64 = 10.0;
const _: () = assert!(PRE_TOKEN_CHARS as f64 * TILT < 600.0, "e^600 is near the largest f64");

/// A piece in a word: characters `start..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) piece: usize,
}

/// Pieces with their log probabilities. Every character of a word that is segmented is a piece.
pub(super) struct Lexicon {
    pieces: Vec<(Vec<char>, f64)>,
    next: HashMap<(u32, char), u32>,
    /// The piece that ends at each node.
    ends: Vec<u32>,
}

impl Lexicon {
    pub(super) fn new(pieces: Vec<(Vec<char>, f64)>) -> Self {
        let mut next: HashMap<(u32, char), u32> = HashMap::with_capacity(pieces.len() * 2);
        let mut ends = vec![NONE];
        for (id, (piece, _)) in pieces.iter().enumerate() {
            let mut node = 0;
            for &c in piece {
                node = *next.entry((node, c)).or_insert_with(|| {
                    ends.push(NONE);
                    (ends.len() - 1) as u32
                });
            }
            ends[node as usize] = id as u32;
        }
        Self { pieces, next, ends }
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = (&[char], f64)> {
        self.pieces.iter().map(|(piece, score)| (piece.as_slice(), *score))
    }

    pub(super) fn piece(&self, id: usize) -> (Vec<char>, f64) {
        self.pieces[id].clone()
    }

    pub(super) fn into_pieces(self) -> impl Iterator<Item = (Vec<char>, f64)> {
        self.pieces.into_iter()
    }

    /// The probability of each piece, scaled by its length (see [`TILT`]).
    pub(super) fn tilted_weights(&self) -> Vec<f64> {
        self.pieces.iter().map(|(piece, score)| (score + TILT * piece.len() as f64).exp()).collect()
    }

    /// All pieces in a word, by start, then by end.
    pub(super) fn edges(&self, word: &[char], edges: &mut Vec<Edge>) {
        edges.clear();
        for start in 0..word.len() {
            let mut node = 0;
            for (at, &c) in word.iter().enumerate().skip(start) {
                let Some(&child) = self.next.get(&(node, c)) else { break };
                node = child;
                let piece = self.ends[node as usize];
                if piece != NONE {
                    edges.push(Edge { start, end: at + 1, piece: piece as usize });
                }
            }
        }
    }

    /// The most probable segmentation (Viterbi), as ids; without the piece `except`. Of equal ones, that whose last
    /// piece is longest.
    pub(super) fn best(&self, word: &[char], except: Option<usize>) -> Vec<usize> {
        let mut edges = Vec::new();
        self.edges(word, &mut edges);
        let mut scores = vec![f64::NEG_INFINITY; word.len() + 1];
        let mut last: Vec<Option<Edge>> = vec![None; word.len() + 1];
        scores[0] = 0.0;
        for edge in edges.into_iter().filter(|edge| Some(edge.piece) != except) {
            let score = scores[edge.start] + self.pieces[edge.piece].1;
            if score > scores[edge.end] {
                scores[edge.end] = score;
                last[edge.end] = Some(edge);
            }
        }
        let mut path = Vec::new();
        let mut end = word.len();
        while let Some(edge) = last[end] {
            path.push(edge.piece);
            end = edge.start;
        }
        path.reverse();
        path
    }
}
