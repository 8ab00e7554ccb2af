//! Words in any script: what is counted, compared and matched as one.

use std::ops::Range;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

/// A word, with the punctuation that touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'t> {
    /// The characters.
    pub(crate) text: &'t str,
    /// It is one character of a script that puts no spaces between words.
    pub(crate) unspaced: bool,
}

/// Whether a character is a letter of a script that puts no spaces between words (Han, Kana, Thai, ...).
pub(crate) fn is_unspaced(c: char) -> bool {
    match c {
        // Thai is the first such script in code point order.
        ..'\u{e00}' | '\u{ac00}'..='\u{d7a3}' => false,
        '\u{4e00}'..='\u{9fff}' | 'ー' => true,
        _ => {
            use Script as S;
            let script = matches!(
                c.script(),
                S::Han
                    | S::Hiragana
                    | S::Katakana
                    | S::Bopomofo
                    | S::Thai
                    | S::Lao
                    | S::Khmer
                    | S::Myanmar
                    | S::Tibetan
                    | S::Yi
                    | S::Tai_Le
                    | S::New_Tai_Lue
                    | S::Tai_Tham
                    | S::Tai_Viet
                    | S::Javanese
                    | S::Balinese
                    | S::Tangut
                    | S::Nushu
                    | S::Cuneiform
                    | S::Egyptian_Hieroglyphs
            );
            script && c.general_category_group() == GeneralCategoryGroup::Letter
        }
    }
}

/// Whether a character belongs to the inside of a word: a letter, mark, number, or a zero-width (non-)joiner.
pub(crate) fn is_word_character(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    c.is_alphanumeric() || is_joiner(c) || c.general_category_group() == GeneralCategoryGroup::Mark
}

/// Zero-width non-joiner and joiner, which Persian, the Indic scripts and emoji need.
pub(crate) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// The words of a text: what stands between white space; every letter by itself where the script has no spaces.
/// Punctuation stays with the word before it (with the one after it at the start of a run).
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (word, after) = first_word(rest);
        rest = after;
        Some(word)
    })
}

/// The bytes of each word of a text without the punctuation around it: a run of letters, marks and digits, or a single letter
/// with its marks where the script has no spaces. What two texts have in common is compared by these.
///
/// ```
/// let text = "Rock'n'roll, 1954: 你好!";
/// let words: Vec<_> = grulm_corpus::word_spans(text).map(|span| &text[span]).collect();
/// assert_eq!(words, ["Rock", "n", "roll", "1954", "你", "好"]);
/// ```
pub fn word_spans(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_word_character)?;
        let mut characters = text[start..].char_indices();
        let alone = characters.next().is_some_and(|(_, first)| is_unspaced(first));
        let ends = |&(_, c): &(usize, char)| {
            !is_word_character(c)
                || is_unspaced(c)
                || (alone && c.general_category_group() != GeneralCategoryGroup::Mark)
        };
        at = characters.find(ends).map_or(text.len(), |(length, _)| start + length);
        Some(start..at)
    })
}

/// Cuts the first word off a text that starts with a character other than white space.
fn first_word(text: &str) -> (Word<'_>, &str) {
    let mut kind: Option<bool> = None;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        let letter = if c.is_ascii() {
            c.is_ascii_alphanumeric().then_some(false)
        } else if is_unspaced(c) {
            Some(true)
        } else {
            (c.is_alphanumeric() && c.general_category_group() != GeneralCategoryGroup::Mark).then_some(false)
        };
        let ends = match (kind, letter) {
            (Some(before), Some(now)) => before || now,
            _ => c.is_whitespace(),
        };
        if ends {
            end = at;
            break;
        }
        kind = kind.or(letter);
    }
    let (word, after) = text.split_at(end);
    (Word { text: word, unspaced: kind == Some(true) }, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let found: Vec<_> = words(text).map(|word| word.text).collect();
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn splits_by_white_space_and_single_letters() {
        check("", &[]);
        check(" \n\u{3000} ", &[]);
        check("don't stop, now", &["don't", "stop,", "now"]);
        check("你好，世界。", &["你", "好，", "世", "界。"]);
        check("（你好）OK吗", &["（你", "好）", "OK", "吗"]);
        check("カレーを食べた", &["カ", "レ", "ー", "を", "食", "べ", "た"]);
        check("한국어 문장", &["한국어", "문장"]);
        check("नमस्ते दुनिया", &["नमस्ते", "दुनिया"]);
        check("Ðìvíá ŋutɔ", &["Ðìvíá", "ŋutɔ"]);
        check("... 😀", &["...", "😀"]);
    }

    #[test]
    fn bare_words() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(word_spans(text).map(|span| &text[span]).collect::<Vec<_>>(), expect, "{text:?}");
        };
        check("", &[]);
        check(" ... 😀", &[]);
        check("(don't) U.S. $3.50", &["don", "t", "U", "S", "3", "50"]);
        check("你好，世界OK吗2", &["你", "好", "世", "界", "OK", "吗", "2"]);
        check("ที่นี่ नमस्ते cafe\u{301}s", &["ที่", "นี่", "नमस्ते", "cafe\u{301}s"]);
    }

    #[test]
    fn thai_marks_stay_with_their_consonant() {
        check("ที่นี่", &["ที่", "นี่"]);
    }

    #[test]
    fn knows_scripts_without_spaces() {
        for c in "汉々あアーกລខမཀ".chars() {
            assert!(is_unspaced(c), "{c}");
        }
        for c in "aéжع한हŋ1。 😀".chars() {
            assert!(!is_unspaced(c), "{c}");
        }
    }
}
