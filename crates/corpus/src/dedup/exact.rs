//! The key of a text, letter case and white space aside.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Fixed for good: splits and samples depend on the keys.
const SEED: u64 = 0x6772_756C_6D00_0001;

/// A reusable buffer for folded text.
#[derive(Debug, Default)]
pub(crate) struct Folded(String);

impl Folded {
    /// Lower-cases `text` by Unicode rules, folds runs of white space to one space and trims both ends.
    pub(crate) fn fold(&mut self, text: &str) -> &str {
        self.0.clear();
        for word in text.split_whitespace() {
            if !self.0.is_empty() {
                self.0.push(' ');
            }
            if word.is_ascii() {
                let start = self.0.len();
                self.0.push_str(word);
                self.0[start..].make_ascii_lowercase();
            } else {
                // Character by character: a sigma at the end of a word is then the same as any other.
                self.0.extend(word.chars().flat_map(char::to_lowercase));
            }
        }
        &self.0
    }
}

/// The 128-bit key of a folded text. Two different texts among `n` share one with a probability of about `n^2 / 2^129`.
pub(crate) fn text_key(folded: &str) -> u128 {
    xxh3_128_with_seed(folded.as_bytes(), SEED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        let check = |text: &str, expect: &str| assert_eq!(Folded::default().fold(text), expect);
        check("", "");
        check(" \n\u{3000}", "");
        check("  The  CAT\tsat\r\n", "the cat sat");
        check("ÉCOLE ΌΔΟΣ", "école όδοσ");
        check("红楼梦 第一回", "红楼梦 第一回");
    }

    /// The key decides on splits: a change of it would move documents between train and test.
    #[test]
    fn the_key_is_fixed() {
        assert_eq!(text_key("the cat sat"), xxh3_128_with_seed(b"the cat sat", 0x6772_756C_6D00_0001));
        assert_ne!(text_key("the cat sat"), text_key("the cat sits"));
    }
}
