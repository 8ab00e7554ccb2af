//! What a text's n-grams are to a linear model.

use grulm_corpus::{Special, Tokenizer};
use grulm_model::Site;

use crate::Error;

/// The longest n-grams that are read.
pub(super) const LONGEST: usize = 8;
/// Numbers that n-grams of one kind are hashed to (Weinberger et al., "Feature hashing for large scale multitask learning", arXiv
/// 0902.2206).
const SLOTS: usize = 1 << 18;

/// The n-grams that are read of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NgramLengths {
    /// Longest n-grams of tokens; 0: none.
    pub(super) tokens: usize,
    /// Longest n-grams of characters, from 2 on, within words in lower case; 0: none.
    pub(super) characters: usize,
}

impl NgramLengths {
    /// Whether there is anything to read.
    pub(super) fn any(self) -> bool {
        self.kinds() > 0
    }

    /// Numbers that the n-grams of all kinds are hashed to.
    pub(super) fn slots(self) -> usize {
        SLOTS * self.kinds()
    }

    fn kinds(self) -> usize {
        usize::from(self.tokens > 0) + usize::from(self.characters > 0)
    }

    /// The slots of a text's n-grams, in order, with logarithms of their counts. Those of each kind are scaled to one length, all
    /// together to 1. Saved models depend on the hash.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    pub(super) fn features(self, tokens: &[i64], tokenizer: &Tokenizer) -> Result<Vec<(u32, f32)>, Error> {
        let mut kinds = Vec::new();
        if self.tokens > 0 {
            kinds.push(of_tokens(tokens, self.tokens));
        }
        if self.characters > 0 {
            kinds.push(of_characters(&words(tokens, tokenizer)?, self.characters));
        }
        let length = 1.0 / (kinds.len() as f32).sqrt();
        let first = |kind: usize| (kind * SLOTS) as u32;
        let scaled = kinds.into_iter().enumerate().flat_map(|(kind, slots)| {
            weighted(slots).into_iter().map(move |(slot, value)| (first(kind) + slot, value * length))
        });
        Ok(scaled.collect())
    }
}

/// The text of the tokens, in lower case. What stood between specials stays apart.
fn words(tokens: &[i64], tokenizer: &Tokenizer) -> Result<String, Error> {
    let ends = [Special::Eos, Special::Sep].map(|special| i64::from(tokenizer.special(special)));
    let mut text = String::new();
    for part in tokens.split(|token| ends.contains(token)) {
        let ids: Vec<u32> = part.iter().map(|&token| token as u32).collect();
        text.push_str(&tokenizer.decode(&ids)?);
        text.push(' ');
    }
    Ok(text.to_lowercase())
}

fn of_tokens(tokens: &[i64], longest: usize) -> Vec<u32> {
    let mut slots = Vec::with_capacity(tokens.len() * longest);
    for start in 0..tokens.len() {
        let mut site = Site::new(0);
        for &token in tokens[start..].iter().take(longest) {
            site = site.at(token.unsigned_abs());
            slots.push(slot(&site));
        }
    }
    slots
}

/// The n-grams within each word, with a space on either side.
fn of_characters(text: &str, longest: usize) -> Vec<u32> {
    let mut slots = Vec::with_capacity(text.len() * longest);
    let mut word = Vec::new();
    for letters in text.split_whitespace() {
        word.clear();
        word.extend([' '].into_iter().chain(letters.chars()).chain([' ']));
        for start in 0..word.len() - 1 {
            let mut site = Site::new(1);
            for (length, &letter) in (1..).zip(word[start..].iter().take(longest)) {
                site = site.at(u64::from(u32::from(letter)));
                if length > 1 {
                    slots.push(slot(&site));
                }
            }
        }
    }
    slots
}

fn slot(site: &Site) -> u32 {
    (site.bits(0) % SLOTS as u64) as u32
}

/// Each slot once, with the logarithm of its count; together of unit length.
fn weighted(mut slots: Vec<u32>) -> Vec<(u32, f32)> {
    slots.sort_unstable();
    let value = |run: &[u32]| (run[0], 1.0 + (run.len() as f32).ln());
    let mut features: Vec<_> = slots.chunk_by(|a, b| a == b).map(value).collect();
    let norm = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    features.iter_mut().for_each(|(_, value)| *value /= norm);
    features
}

#[cfg(test)]
mod tests {
    use grulm_corpus::{TokenizerConfig, TokenizerKind};

    use super::*;

    fn tokenizer(kind: TokenizerKind) -> Tokenizer {
        let config = TokenizerConfig { kind, vocab_size: 300, ..TokenizerConfig::default() };
        Tokenizer::train(&config, &["The cat sat on the mat".to_owned()]).unwrap()
    }

    fn squares(features: &[(u32, f32)]) -> f32 {
        features.iter().map(|(_, value)| value * value).sum()
    }

    #[test]
    fn features_have_unit_length_and_know_order() {
        let tokenizer = tokenizer(TokenizerKind::Char);
        let of = |tokens: &[i64], longest| {
            NgramLengths { tokens: longest, characters: 0 }.features(tokens, &tokenizer).unwrap()
        };
        let (ab, ba) = (of(&[1, 2], 2), of(&[2, 1], 2));
        assert!(ab.len() == 3 && ba.len() == 3 && (squares(&ab) - 1.0).abs() < 1e-6);
        assert_eq!(ab.iter().filter(|feature| ba.contains(feature)).count(), 2, "the tokens, not the pair");
        let once_and_thrice = of(&[1, 2, 2, 2], 1);
        let [small, large] = [f32::min, f32::max].map(|of| of(once_and_thrice[0].1, once_and_thrice[1].1));
        assert!((large / small - (1.0 + 3f32.ln())).abs() < 1e-6, "{once_and_thrice:?}");
        assert_eq!(of(&[], 2), []);
        // What saved models have learned under. G = 0x9E3779B97F4A7C15; mix is SplitMix64's; all modulo 2 ** 64
        // at = lambda s, k: mix((s * G) ^ mix(k + G)); root = mix(G)
        // sorted(mix(s + G) % 2 ** 18 for s in (at(root, 1), at(root, 2), at(at(root, 1), 2)))
        assert_eq!(ab.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [38_659, 49_252, 153_411]);
    }

    #[test]
    fn characters_are_those_of_words_whatever_the_tokenizer() {
        let lengths = NgramLengths { tokens: 0, characters: 3 };
        let features = |kind, text: &str| {
            let tokenizer = tokenizer(kind);
            let mut tokens = vec![tokenizer.special(Special::Eos)];
            tokenizer.encode(text, &mut tokens).unwrap();
            let tokens: Vec<_> = tokens.into_iter().map(i64::from).collect();
            lengths.features(&tokens, &tokenizer).unwrap()
        };
        let of = |text| features(TokenizerKind::Char, text);
        // " c", " ca", "ca", "cat", "at", "at ", "t "
        assert_eq!(of("cat").len(), 7);
        assert!((squares(&of("cat sat")) - 1.0).abs() < 1e-6);
        assert_eq!(of("cat sat"), of("sat cat"), "within words");
        assert_ne!(of("cat"), of("tac"));
        assert_eq!(of("The"), of("the"));
        assert_eq!(of("the cat"), features(TokenizerKind::ByteBpe, "the cat"));
        assert_eq!(of(""), []);
    }

    #[test]
    fn both_kinds_count_the_same_and_share_no_slot() {
        let tokenizer = tokenizer(TokenizerKind::Char);
        let mut tokens = Vec::new();
        tokenizer.encode("the cat sat on the mat", &mut tokens).unwrap();
        let tokens: Vec<_> = tokens.into_iter().map(i64::from).collect();
        let both = NgramLengths { tokens: 2, characters: 4 };
        let (small, large): (Vec<_>, Vec<_>) =
            both.features(&tokens, &tokenizer).unwrap().into_iter().partition(|(slot, _)| (*slot as usize) < SLOTS);
        assert!((squares(&small) - 0.5).abs() < 1e-6 && (squares(&large) - 0.5).abs() < 1e-6);
        assert!(large.iter().all(|(slot, _)| (*slot as usize) < both.slots()));
        assert!(both.features(&[999], &tokenizer).is_err());
    }
}
