//! How BLEU cuts text into words, as sacreBLEU's tokenizers do.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::words::{is_white_space, words};

/// How text is cut into the words that BLEU compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BleuTokenizer {
    /// As WMT's mteval-v13a does, for languages that put spaces between words: the default everywhere.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// Punctuation and symbols of all scripts apart (mteval-v14).
    Intl,
    /// Chinese: characters, and words of what is in between.
    Zh,
    /// Characters.
    Char,
}

impl BleuTokenizer {
    /// The name in signatures and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::Intl => "intl",
            Self::Zh => "zh",
            Self::Char => "char",
        }
    }

    /// The words of a sentence.
    #[must_use]
    pub fn tokenize(self, text: &str) -> Vec<String> {
        let text = text.trim_end_matches(is_white_space);
        let apart = match self {
            Self::V13a => western(&format!(" {} ", without_markup(text))),
            Self::Intl => replaced(text, &INTERNATIONAL),
            Self::Zh => western(&chinese_apart(text.trim_start_matches(is_white_space))),
            Self::Char => text.chars().flat_map(|char| [char, ' ']).collect(),
        };
        words(&apart).map(str::to_owned).collect()
    }
}

/// What is replaced in order, and by what.
type Rules<const N: usize> = LazyLock<[(Regex, &'static str); N]>;

/// Western languages: punctuation apart, but periods and commas in numbers and hyphens in words.
static WESTERN: Rules<4> = LazyLock::new(|| {
    [
        (regex(r"([\{-~\[-\x60 -\&\(-\+:-@/])"), " $1 "),
        (regex(r"([^0-9])([.,])"), "$1 $2 "),
        (regex(r"([.,])([^0-9])"), " $1 $2"),
        (regex(r"([0-9])(-)"), "$1 $2 "),
    ]
});

/// Every script: punctuation apart, unless between digits, and symbols apart.
static INTERNATIONAL: Rules<3> = LazyLock::new(|| {
    [(regex(r"(\P{N})(\p{P})"), "$1 $2 "), (regex(r"(\p{P})(\P{N})"), " $1 $2"), (regex(r"(\p{S})"), " $1 ")]
});

fn regex(pattern: &str) -> Regex {
    #[allow(clippy::unwrap_used, reason = "the patterns are constants above")]
    Regex::new(pattern).unwrap()
}

fn western(text: &str) -> String {
    replaced(text, &WESTERN)
}

fn replaced<const N: usize>(text: &str, rules: &Rules<N>) -> String {
    let mut text = Cow::Borrowed(text);
    for (pattern, by) in rules.iter() {
        text = Cow::Owned(pattern.replace_all(&text, *by).into_owned());
    }
    text.into_owned()
}

/// Lines joined, entities resolved.
fn without_markup(text: &str) -> String {
    const REPLACED: [(&str, &str); 7] =
        [("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];
    REPLACED.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Spaces on both sides of every Chinese character.
fn chinese_apart(text: &str) -> String {
    let mut apart = String::with_capacity(2 * text.len());
    for char in text.chars() {
        if is_chinese(char) {
            apart.extend([' ', char, ' ']);
        } else {
            apart.push(char);
        }
    }
    apart
}

/// What sacreBLEU takes for Chinese, which is more (from U+2001 on: punctuation, arrows, symbols) and less (nothing beyond
/// U+FFFF) than what is.
fn is_chinese(char: char) -> bool {
    matches!(char,
        '\u{2001}'..='\u{2A6D}'
        | '\u{2E80}'..='\u{2FDF}'
        | '\u{2FF0}'..='\u{303F}'
        | '\u{3100}'..='\u{312F}'
        | '\u{31A0}'..='\u{31BF}'
        | '\u{31C0}'..='\u{31EF}'
        | '\u{3200}'..='\u{33FF}'
        | '\u{3400}'..='\u{4DB5}'
        | '\u{4E00}'..='\u{9FBB}'
        | '\u{F900}'..='\u{FA2D}'
        | '\u{FA30}'..='\u{FA6A}'
        | '\u{FA70}'..='\u{FAD9}'
        | '\u{FE10}'..='\u{FE1F}'
        | '\u{FE30}'..='\u{FE4F}'
        | '\u{FF00}'..='\u{FFEF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_sacrebleu() {
        // from sacrebleu.metrics.bleu import _get_tokenizer
        // _get_tokenizer(name)()(text.rstrip())
        let check = |tokenizer: BleuTokenizer, text: &str, expect: &str| {
            assert_eq!(tokenizer.tokenize(text).join(" "), expect, "{text:?}");
        };
        use BleuTokenizer::{Char, Intl, V13a, Zh};
        check(
            V13a,
            "Hello, world! It's 3.5-4 (US$1,000.00); e.g. don't-stop.",
            "Hello , world ! It's 3.5 - 4 ( US $ 1,000.00 ) ; e . g . don't-stop .",
        );
        check(V13a, "a.b,c 1.a b,2 x- 3-y &quot;&amp;lt;", "a . b , c 1 . a b , 2 x- 3 - y \" <");
        check(V13a, "..,, 1..2", ". . , , 1 . . 2");
        check(Intl, "Hello, «world»! 3.5€ 1,000 year 2008.", "Hello , « world » ! 3.5 € 1,000 year 2008.");
        check(Intl, "--a--1-2 +5", "- - a - -1-2 + 5");
        check(Zh, "我2.5元，OK?ｋｇ“x”", "我 2.5 元 ， OK ? ｋ ｇ “ x ”");
        check(Char, "a 我\tb", "a 我 b");
    }

    #[test]
    fn names_are_those_of_settings() {
        for tokenizer in [BleuTokenizer::V13a, BleuTokenizer::Intl, BleuTokenizer::Zh, BleuTokenizer::Char] {
            let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(tokenizer.name());
            assert_eq!(BleuTokenizer::deserialize(name), Ok(tokenizer));
        }
    }
}
