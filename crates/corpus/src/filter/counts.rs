//! Characters and words, counted in one pass.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

use crate::words::{is_joiner, words};

/// Gopher's stop words (arXiv 2112.11446, section A.1.1).
pub(super) const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

/// What the word rules need to know of a text.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Words; characters where the script has no spaces.
    pub(super) words: usize,
    /// Words of scripts with spaces, and their characters.
    spaced: usize,
    spaced_chars: usize,
    /// Words with a letter.
    alphabetic: usize,
    hashes: usize,
    ellipses: usize,
    /// A bit for each of [`STOP_WORDS`] that occurs.
    stop_words: u8,
}

impl Counts {
    pub(super) fn of(text: &str) -> Self {
        let mut counts = Self {
            hashes: text.bytes().filter(|&byte| byte == b'#').count(),
            ellipses: text.matches("...").count() + text.matches('…').count(),
            ..Self::default()
        };
        for word in words(text) {
            counts.words += 1;
            if word.unspaced {
                counts.alphabetic += 1;
                continue;
            }
            counts.spaced += 1;
            counts.spaced_chars += word.text.chars().count();
            counts.alphabetic += usize::from(word.text.chars().any(char::is_alphabetic));
            counts.stop_words |= stop_word(word.text);
        }
        counts
    }

    /// `None`: no word of a script with spaces.
    pub(super) fn mean_word_length(&self) -> Option<f64> {
        (self.spaced > 0).then(|| ratio(self.spaced_chars, self.spaced))
    }

    /// Hash signs or ellipses, whichever there are more of, a word.
    pub(super) fn symbol_ratio(&self) -> f64 {
        ratio(self.hashes.max(self.ellipses), self.words)
    }

    pub(super) fn alphabetic_ratio(&self) -> f64 {
        ratio(self.alphabetic, self.words)
    }

    /// How many different stop words occur.
    pub(super) fn stop_words(&self) -> usize {
        self.stop_words.count_ones() as usize
    }
}

/// The bit of the stop word that a word, punctuation around it aside, is; none, if it is none.
fn stop_word(word: &str) -> u8 {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    if !(2..=4).contains(&bare.len()) {
        return 0;
    }
    STOP_WORDS.iter().position(|stop| stop.eq_ignore_ascii_case(bare)).map_or(0, |index| 1 << index)
}

/// Of nothing, nothing.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The share of characters that are no text: see [`is_garbage`].
pub(super) fn garbage_ratio(text: &str) -> f64 {
    let (mut garbage, mut all) = (0, 0);
    for c in text.chars() {
        all += 1;
        garbage += usize::from(is_garbage(c));
    }
    ratio(garbage, all)
}

/// Control, format, private and unassigned characters (joiners aside), and symbols such as U+FFFD and line drawing. Symbols
/// that people write are none: ASCII, currencies, mathematics, emoji.
fn is_garbage(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && !c.is_ascii_whitespace();
    }
    if c.is_alphanumeric() || c.is_whitespace() {
        return false;
    }
    match c.general_category() {
        GeneralCategory::ModifierSymbol | GeneralCategory::OtherSymbol => !c.is_emoji_char(),
        GeneralCategory::Format => !is_joiner(c),
        _ => c.general_category_group() == GeneralCategoryGroup::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_what_is_no_text() {
        for c in "aéж汉ก\u{301}١1.,。؟—“ \n😀👍🏽\u{200d}ŋ#%@<=|~$€×".chars() {
            assert!(!is_garbage(c), "{c:?}");
        }
        for c in "\0\u{1b}\u{fffd}\u{e000}\u{ffff}║■\u{200b}\u{feff}".chars() {
            assert!(is_garbage(c), "{c:?}");
        }
    }

    #[test]
    fn counts() {
        let counts = Counts::of("The #1 thing... to 3 ends, 你好。");
        assert_eq!((counts.words, counts.spaced, counts.alphabetic), (8, 6, 6));
        assert_eq!((counts.hashes, counts.ellipses, counts.stop_words()), (1, 1, 2));
        assert_eq!(counts.symbol_ratio(), 1.0 / 8.0);
        assert_eq!(counts.mean_word_length(), Some((3 + 2 + 8 + 2 + 1 + 5) as f64 / 6.0));
        assert_eq!(Counts::of("你好").mean_word_length(), None);
        assert_eq!(Counts::of("").alphabetic_ratio(), 0.0);
    }
}
