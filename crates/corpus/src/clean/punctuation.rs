//! Punctuation and symbols.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{alignment::Output, stop_words::is_apostrophe};
use crate::words::is_word_character;

/// Removes every character of the Unicode categories P (punctuation) and S (symbols), and the joiners, variation
/// selectors and keycaps that hang on one.
///
/// An apostrophe between two letters goes without a trace: "don't" becomes "dont". Anything else between two characters
/// that are not white space leaves a space, so that words do not run together: "and/or" becomes "and or", "3.14" becomes
/// "3 14". `None`: nothing to do.
pub(super) fn remove<O: Output>(text: &str) -> Option<O> {
    let (first, _) = text.char_indices().find(|&(_, c)| is_punctuation_or_symbol(c))?;
    let mut output = O::default();
    output.keep(&text[..first]);
    // What was removed since the last character that stayed, and its bytes.
    let (mut gap, mut removed) = (Gap::None, 0);
    for (at, c) in text[first..].char_indices() {
        if is_punctuation_or_symbol(c) {
            gap = if gap == Gap::None && is_apostrophe(c) { Gap::Apostrophe } else { Gap::Other };
            removed += c.len_utf8();
            continue;
        }
        if gap != Gap::None {
            if hangs_on_symbol(c) {
                removed += c.len_utf8();
                continue;
            }
            let apart = output.text().chars().next_back().is_some_and(|before| {
                let inside_word = gap == Gap::Apostrophe && is_word_character(before) && is_word_character(c);
                !inside_word && !before.is_whitespace() && !c.is_whitespace()
            });
            output.put(removed, if apart { " " } else { "" });
            (gap, removed) = (Gap::None, 0);
        }
        output.keep(&text[first + at..first + at + c.len_utf8()]);
    }
    Some(output)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    Apostrophe,
    Other,
}

pub(crate) fn is_punctuation_or_symbol(c: char) -> bool {
    match c {
        // The printable ASCII characters that are neither letters nor digits are all P or S.
        ..='\u{7f}' => c.is_ascii_punctuation(),
        '\u{4e00}'..='\u{9fff}' => false,
        c => matches!(c.general_category_group(), GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol),
    }
}

fn hangs_on_symbol(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{20e3}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found: Option<String> = remove(text);
        assert_eq!(found.as_deref().unwrap_or(text), expect, "{text:?}");
        assert_eq!(found.is_none(), text == expect, "{text:?}: a copy where none is needed");
    }

    #[test]
    fn latin() {
        check("", "");
        check("plain text 12", "plain text 12");
        check("Hello, world!", "Hello world");
        check("don't l’homme rock'n'roll", "dont lhomme rocknroll");
        check("'quoted' dogs' 'n", "quoted dogs n");
        check("and/or 3.14 U.S.A. a--b", "and or 3 14 U S A a b");
        check("snake_case $5 50% a+b=c", "snake case 5 50 a b c");
        check("!?…", "");
    }

    #[test]
    fn every_script() {
        check("你好，世界。《红楼梦》！", "你好 世界 红楼梦");
        check("مرحبا، كيف؟", "مرحبا كيف");
        check("राम। श्याम॥", "राम श्याम");
        check("«Ðe» „ŋutɔ“", "Ðe ŋutɔ");
    }

    #[test]
    fn emoji_go_with_what_hangs_on_them() {
        check("hi 👨\u{200d}👩\u{200d}👧!", "hi ");
        check("a❤\u{fe0f}b 👍🏽", "a b ");
        check("می\u{200c}خواهم", "می\u{200c}خواهم");
    }
}
