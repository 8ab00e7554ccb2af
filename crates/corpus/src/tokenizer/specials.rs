//! The six special tokens.

use std::sync::LazyLock;

use grulm_config::Invalid;
use regex::Regex;
use serde_json::{Value, json};

use crate::{Error, TokenizerConfig};

/// A token that stands for something other than text. Tokenizers trained here give them the ids 0 to 5, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Special {
    /// Fills up a batch: `<pad>`.
    Pad,
    /// What the vocabulary lacks: `<unk>`.
    Unk,
    /// Before a text: `<bos>`.
    Bos,
    /// After a text: `<eos>`.
    Eos,
    /// Between two texts: `<sep>`.
    Sep,
    /// In place of a token: `<mask>`.
    Mask,
}

impl Special {
    /// Every special token, by id.
    pub const ALL: [Self; 6] = [Self::Pad, Self::Unk, Self::Bos, Self::Eos, Self::Sep, Self::Mask];

    /// Its text in `tokenizer.json`.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Pad => "<pad>",
            Self::Unk => "<unk>",
            Self::Bos => "<bos>",
            Self::Eos => "<eos>",
            Self::Sep => "<sep>",
            Self::Mask => "<mask>",
        }
    }

    /// The special of this text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.text() == text)
    }
}

/// The specials that `specials_in_text` names.
pub(super) fn in_text(config: &TokenizerConfig) -> Result<Vec<Special>, Error> {
    let special = |text: &String| {
        let allowed = Special::ALL.map(Special::text).join(", ");
        Special::from_text(text).ok_or_else(|| Invalid::new("tokenizer.specials_in_text", text, allowed).into())
    };
    config.specials_in_text.iter().map(special).collect()
}

/// The `added_tokens` of `tokenizer.json`. One that stands in the text is not `special` there: the library takes it out
/// of the text then even when it is told to read special tokens as text, here and in Python.
pub(super) fn added_tokens(in_text: &[Special]) -> Vec<Value> {
    let added = |(id, special): (usize, Special)| {
        let in_text = in_text.contains(&special);
        json!({
            "id": id,
            "content": special.text(),
            "single_word": in_text,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": !in_text,
        })
    };
    Special::ALL.into_iter().enumerate().map(added).collect()
}

/// A text as it is cut at the specials that stand in it: `Err` is such a special, `Ok` the text between.
///
/// A special stands in the text where no word character (`\w`) touches it: the rule of `single_word` in the library.
pub(super) fn split<'t>(text: &'t str, in_text: &[Special]) -> Vec<Result<&'t str, Special>> {
    let mut parts = Vec::new();
    let (mut done, mut from) = (0, 0);
    while let Some((at, special)) = first(&text[from..], in_text) {
        let (start, end) = (from + at, from + at + special.text().len());
        from = end;
        if touches_word(&text[..start], &text[end..]) {
            continue;
        }
        if done < start {
            parts.push(Ok(&text[done..start]));
        }
        parts.push(Err(special));
        done = end;
    }
    if done < text.len() {
        parts.push(Ok(&text[done..]));
    }
    parts
}

fn first(text: &str, in_text: &[Special]) -> Option<(usize, Special)> {
    in_text.iter().filter_map(|&special| Some((text.find(special.text())?, special))).min()
}

fn touches_word(before: &str, after: &str) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\w").ok());
    let is_word = |start: &str| WORD.as_ref().is_some_and(|word| word.is_match(start));
    let last = before.char_indices().next_back().map_or(0, |(at, _)| at);
    is_word(&before[last..]) || is_word(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specials_are_found_where_no_word_touches() {
        let unk = Err(Special::Unk);
        let check = |text: &str, expect: &[Result<&str, Special>]| {
            assert_eq!(split(text, &[Special::Unk, Special::Eos]), expect, "{text:?}");
        };
        check("", &[]);
        check("a b", &[Ok("a b")]);
        check("<unk>", &[unk]);
        check("a <unk> b<unk>c", &[Ok("a "), unk, Ok(" b<unk>c")]);
        check("<unk><unk>.<eos>", &[unk, unk, Ok("."), Err(Special::Eos)]);
        check("é<unk> <bos>", &[Ok("é<unk> <bos>")]);
    }
}
