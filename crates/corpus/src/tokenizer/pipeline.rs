//! What surrounds the model of each kind in `tokenizer.json`: how text is split, and how tokens become text again.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::TokenizerKind;

/// Splits text before subwords are learned or looked up: contractions, letters with their marks, digits, other
/// characters, each with the space before it, line ends, and other white space one character at a time.
///
/// GPT-2's pattern (Radford et al. 2019) with two differences: marks belong to their letters, which Indic and Thai
/// scripts need, and no look-around, so that it runs in linear time. Every character is part of a match.
const PRE_TOKEN: &str = r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|[\r\n]+|\s";

/// Most characters of a pre-token; longer ones (a sentence without spaces, a run of one letter) are cut. This bounds
/// the time and memory of a pre-token, in training and in encoding.
pub(super) const PRE_TOKEN_CHARS: usize = 32;

/// Stands for a space in the tokens of `bpe` and `unigram`.
pub(super) const SPACE_MARK: char = '▁';

static SPLIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PRE_TOKEN).ok());

/// The pre-tokens of a text, in order; together they are the text.
pub(super) fn pre_tokens(text: &str) -> impl Iterator<Item = &str> {
    // The pattern is a constant that the tests compile.
    SPLIT.iter().flat_map(|regex| regex.find_iter(text)).flat_map(|found| Cut(found.as_str()))
}

/// Cuts a text into pieces of [`PRE_TOKEN_CHARS`] characters.
struct Cut<'t>(&'t str);

impl<'t> Iterator for Cut<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.0.is_empty() {
            return None;
        }
        // As many bytes are at most as many characters.
        let end = if self.0.len() <= PRE_TOKEN_CHARS {
            self.0.len()
        } else {
            self.0.char_indices().nth(PRE_TOKEN_CHARS).map_or(self.0.len(), |(at, _)| at)
        };
        let (piece, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(piece)
    }
}

/// The piece of a pre-token that starts at each space mark, spaces being marks already.
pub(super) fn marked_words(marked: &str) -> impl Iterator<Item = &str> {
    let mut rest = marked;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest[first.len_utf8()..].find(SPACE_MARK).map_or(rest.len(), |at| at + first.len_utf8());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// The `pre_tokenizer` of a kind in `tokenizer.json`.
pub(super) fn pre_tokenizer(kind: TokenizerKind) -> Value {
    let split = json!({"type": "Split", "pattern": {"Regex": PRE_TOKEN}, "behavior": "Isolated", "invert": false});
    let cut = json!({"type": "FixedLength", "length": PRE_TOKEN_CHARS});
    match kind {
        TokenizerKind::ByteBpe => json!({"type": "Sequence", "pretokenizers": [split, cut, byte_level()]}),
        TokenizerKind::Bpe | TokenizerKind::Unigram => {
            json!({"type": "Sequence", "pretokenizers": [split, cut, metaspace()]})
        }
        TokenizerKind::Word => json!({"type": "WhitespaceSplit"}),
        TokenizerKind::Char => Value::Null,
        TokenizerKind::Byte => byte_level(),
    }
}

/// The `decoder` of a kind in `tokenizer.json`; without one, tokens are joined by spaces.
pub(super) fn decoder(kind: TokenizerKind) -> Value {
    match kind {
        TokenizerKind::ByteBpe | TokenizerKind::Byte => byte_level(),
        TokenizerKind::Bpe | TokenizerKind::Unigram => metaspace(),
        TokenizerKind::Word => Value::Null,
        TokenizerKind::Char => json!({"type": "Fuse"}),
    }
}

fn byte_level() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})
}

/// No mark before the first word: a text decodes to what it was, and a part of a text too.
fn metaspace() -> Value {
    json!({"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "never", "split": true})
}

/// The character that stands for a byte in byte-level tokens: itself where it is printable in Latin-1, otherwise the
/// next free one from U+0100 (GPT-2's `bytes_to_unicode`).
pub(super) static BYTE_CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
});

/// The bytes that a byte-level token stands for.
pub(super) fn token_bytes(token: &str) -> Option<Vec<u8>> {
    token.chars().map(|c| BYTE_CHARS.iter().position(|&mapped| mapped == c).map(|byte| byte as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_tokens_follow_the_pattern() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(pre_tokens(text).collect::<Vec<_>>(), expect, "{text:?}");
        };
        check("", &[]);
        check("It's 12 o'clock.", &["It", "'s", " 12", " o", "'", "clock", "."]);
        check("a   b\n\n c\t", &["a", " ", " ", " b", "\n\n", " c", "\t"]);
        check("<eos>", &["<", "eos", ">"]);
        check("你好，世界。", &["你好", "，", "世界", "。"]);
        check("हिन्दी में", &["हिन्दी", " में"]);
    }

    #[test]
    fn long_runs_are_cut() {
        for letter in ["a", "红", "😀"] {
            let pieces: Vec<usize> = pre_tokens(&letter.repeat(70)).map(|piece| piece.chars().count()).collect();
            assert_eq!(pieces, [32, 32, 6], "{letter}");
        }
    }

    #[test]
    fn byte_characters_are_those_of_gpt_2() {
        // >>> from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode
        for (byte, expect) in [(b' ', 'Ġ'), (b'\n', 'Ċ'), (b'a', 'a'), (0x7f, 'ġ'), (0xad, 'Ń'), (0, 'Ā'), (0xff, 'ÿ')]
        {
            assert_eq!(BYTE_CHARS[usize::from(byte)], expect, "{byte}");
        }
        assert_eq!(token_bytes("Ġhé"), Some(vec![b' ', b'h', 0xe9]));
        assert_eq!(token_bytes("世"), None);
    }

    #[test]
    fn marks_begin_words() {
        for (text, expect) in [("▁a", vec!["▁a"]), ("▁▁", vec!["▁", "▁"]), ("a▁b", vec!["a", "▁b"]), ("", vec![])]
        {
            assert_eq!(marked_words(text).collect::<Vec<_>>(), expect);
        }
    }
}
