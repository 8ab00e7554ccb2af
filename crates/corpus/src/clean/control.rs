//! Control and format characters.

use super::alignment::Output;

/// Removes control and format characters that carry no text:
///
/// - C0 and C1 controls. A carriage return is a line end and becomes a line feed (CR LF: one); the vertical tab, the form
///   feed and U+0085 are white space and become a space. Line feed and tab stay.
/// - the soft hyphen, the zero-width space, the word joiner and the byte order mark
/// - direction marks, embeddings, overrides and isolates
/// - invisible operators, deprecated format characters, annotation anchors and tags
///
/// Format characters that scripts need stay: the zero-width joiner and non-joiner, the Mongolian vowel separator, the
/// Arabic and Syriac signs that span digits, the controls of hieroglyphs, music and shorthand.
/// `None`: nothing to do.
pub(super) fn remove<O: Output>(text: &str) -> Option<O> {
    let (first, _) = text.char_indices().find(|&(_, c)| goes(c))?;
    let mut output = O::default();
    output.keep(&text[..first]);
    let mut rest = &text[first..];
    while let Some((at, c)) = rest.char_indices().find(|&(_, c)| goes(c)) {
        output.keep(&rest[..at]);
        rest = &rest[at + c.len_utf8()..];
        output.put(
            c.len_utf8(),
            match c {
                '\r' if !rest.starts_with('\n') => "\n",
                '\u{b}' | '\u{c}' | '\u{85}' => " ",
                _ => "",
            },
        );
    }
    output.keep(rest);
    Some(output)
}

fn goes(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        ' '..='~' => false,
        c => {
            c.is_control()
                || matches!(c,
                    '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'
                    | '\u{e0020}'..='\u{e007f}')
        }
    }
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
    fn removes_what_carries_no_text() {
        check("", "");
        check("a\tb\nc", "a\tb\nc");
        check("a\0b\u{1}\u{1f}\u{7f}\u{9f}", "ab");
        check("a\r\nb\rc", "a\nb\nc");
        check("a\u{c}b\u{b}c\u{85}d", "a b c d");
        check("\u{feff}so\u{ad}ft\u{200b}\u{2060}", "soft");
        check("\u{202b}عربي\u{202c} \u{2067}x\u{2069}\u{200f}\u{61c}", "عربي x");
        check("\u{e0067}\u{fff9}\u{2063}x", "x");
    }

    #[test]
    fn keeps_what_scripts_need() {
        for text in ["می\u{200c}خواهم", "क्\u{200d}ष", "👨\u{200d}👩\u{200d}👧", "ᠠ\u{180e}", "\u{600}١٢", "❤\u{fe0f}"]
        {
            check(text, text);
        }
    }
}
