//! A context or a question as tokens, and what each token stands for.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Range,
    sync::Arc,
};

use grulm_corpus::{Cleaner, Special, Tokenizer, word_spans};

use crate::Error;

/// A text as tokens, each of which knows which part of the text it is.
#[derive(Debug)]
pub(super) struct Passage {
    /// The text as it was given.
    text: Arc<str>,
    tokens: Vec<Token>,
    words: Vec<Word>,
    /// The words in lower case, one behind the other.
    lower: String,
    /// What stands before and behind each text.
    eos: u32,
}

#[derive(Debug)]
struct Token {
    id: u32,
    /// The bytes of the text that it stands for; empty for white space.
    span: Range<usize>,
    /// The words that it is, or is part of.
    words: Range<usize>,
    shape: Shape,
}

/// What the form of a token says in any language.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// A word begins here.
    begins: bool,
    /// Its word begins with a capital letter.
    capital: bool,
    /// It has a digit.
    digit: bool,
}

/// A word without the punctuation around it.
#[derive(Debug)]
pub(super) struct Word {
    /// Equal for equal words.
    pub(super) exact: u64,
    /// Equal for words that are equal but for letter case.
    pub(super) folded: u64,
    /// Its place in what `lower` holds.
    lower: Range<usize>,
    /// One in so many words of this text is this one, letter case aside: 1 / how often it comes.
    pub(super) rarity: f32,
}

/// Numbers of [`Passage::features`].
pub(super) const TOKEN_FEATURES: usize = 4;

impl Passage {
    /// Cleans and encodes a text as the model's own text was.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub(super) fn new(text: Arc<str>, cleaner: &Cleaner, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let clean = cleaner.clean_aligned(&text);
        let spans: Vec<_> = word_spans(clean.text()).collect();
        let mut lower = String::new();
        let mut counts: HashMap<u64, u32> = HashMap::new();
        let mut words = Vec::with_capacity(spans.len());
        for span in &spans {
            let word = &clean.text()[span.clone()];
            let start = lower.len();
            lower.push_str(&word.to_lowercase());
            let folded = hash(&lower[start..]);
            *counts.entry(folded).or_default() += 1;
            words.push(Word { exact: hash(word), folded, lower: start..lower.len(), rarity: 0.0 });
        }
        for word in &mut words {
            word.rarity = 1.0 / counts.get(&word.folded).copied().unwrap_or(1) as f32;
        }
        let token = |(id, span): (u32, Range<usize>)| {
            let of = spans.partition_point(|word| word.end <= span.start)
                ..spans.partition_point(|word| word.start < span.end);
            // White space, or nothing but punctuation, is no word.
            let of = if span.is_empty() || of.start >= of.end { 0..0 } else { of };
            let first = spans.get(of.start).filter(|_| !of.is_empty());
            let part = &clean.text()[span.clone()];
            let shape = Shape {
                begins: first.is_some_and(|word| word.start >= span.start),
                capital: first.is_some_and(|word| clean.text()[word.clone()].starts_with(char::is_uppercase)),
                digit: part.contains(char::is_numeric),
            };
            Token { id, span: clean.source(span), words: of, shape }
        };
        let tokens = tokenizer.encode_spans(clean.text())?.into_iter().map(token).collect();
        let eos = tokenizer.special(Special::Eos);
        Ok(Self { text, tokens, words, lower, eos })
    }

    /// The text as it was given.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The ids of the tokens in `range`, between two `<eos>`.
    pub(super) fn ids(&self, range: Range<usize>) -> Vec<i64> {
        let eos = i64::from(self.eos);
        let ids = self.tokens[range].iter().map(|token| i64::from(token.id));
        std::iter::once(eos).chain(ids).chain([eos]).collect()
    }

    /// The bytes of the text that the tokens from `first` to `last` stand for; the text between them too.
    pub(super) fn span(&self, first: usize, last: usize) -> Range<usize> {
        let own: Vec<_> =
            self.tokens[first..=last].iter().map(|token| &token.span).filter(|span| !span.is_empty()).collect();
        match (own.first(), own.last()) {
            (Some(first), Some(last)) => first.start..last.end.max(first.start),
            _ => 0..0,
        }
    }

    /// The tokens that stand for the bytes `span` of the text or for some of them; `None` where there are none.
    pub(super) fn tokens_of(&self, span: &Range<usize>) -> Option<Range<usize>> {
        let inside = |token: &Token| token.span.start < span.end && token.span.end > span.start;
        let first = self.tokens.iter().position(inside)?;
        let last = self.tokens.iter().rposition(inside)?;
        Some(first..last + 1)
    }

    /// All ranges of tokens that stand for the same bytes as `tokens`: white space around it may be tokens of its own, and a character
    /// several of them.
    pub(super) fn alike(&self, tokens: &Range<usize>) -> Vec<Range<usize>> {
        let (first, last) = (tokens.start, tokens.end - 1);
        let span = self.span(first, last);
        let begins = |&start: &usize| self.span(start, last) == span;
        let ends = |&end: &usize| self.span(first, end) == span;
        let starts = (0..first).rev().take_while(begins).chain((first..=last).take_while(begins));
        let ends: Vec<usize> =
            (last..self.len()).take_while(ends).chain((first..last).rev().take_while(ends)).collect();
        let alike = |start: usize| ends.iter().map(move |&end| (start, end)).collect::<Vec<_>>();
        let same = |&(start, end): &(usize, usize)| start <= end && self.span(start, end) == span;
        starts.flat_map(alike).filter(same).map(|(start, end)| start..end + 1).collect()
    }

    /// Every word.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// A word in lower case.
    pub(super) fn lower(&self, word: &Word) -> &str {
        &self.lower[word.lower.clone()]
    }

    /// The words that token number `token` is, or is part of.
    pub(super) fn words_of(&self, token: usize) -> Range<usize> {
        self.tokens[token].words.clone()
    }

    /// What the form of token number `token` says: whether a word begins there, and with a capital letter, whether it has a digit,
    /// whether it is no word.
    pub(super) fn features(&self, token: usize) -> [f32; TOKEN_FEATURES] {
        let Token { shape: Shape { begins, capital, digit }, words, .. } = &self.tokens[token];
        [*begins, *capital, *digit, words.is_empty()].map(|holds| f32::from(u8::from(holds)))
    }
}

fn hash(word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use grulm_corpus::{CleanConfig, TokenizerConfig, TokenizerKind, UnicodeForm, Unit};
    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 6] = [
        "In 1066 the Normans came.  They wrote \"Café\" -- (R&amp;D) -- and left.",
        "<p>The <b>cafe\u{301}s</b> of Paris&nbsp;open at 8.</p>",
        "红楼梦是曹雪芹写的\u{200b}小说，共一百二十回。",
        "東京タワーは３３３メートルです。",
        "👨\u{200d}👩\u{200d}👧 said: «नमस्ते दुनिया» \u{202b}عربي\u{202c} ﬁne",
        "ที่นี่ Z\u{304}\u{327}algo e\u{301}e\u{301}e\u{301}",
    ];

    fn tokenizers() -> Vec<Tokenizer> {
        use TokenizerKind::{Bpe, Byte, ByteBpe, Char, Unigram, Word};
        let texts: Vec<String> = TEXTS.iter().map(|text| (*text).repeat(3)).collect();
        let train = |kind| Tokenizer::train(&TokenizerConfig { kind, vocab_size: 330, ..Default::default() }, &texts);
        [ByteBpe, Bpe, Unigram, Word, Char, Byte].into_iter().map(|kind| train(kind).unwrap()).collect()
    }

    fn cleaners() -> Vec<Cleaner> {
        let cleaner = |config: &CleanConfig| Cleaner::new(config, Unit::Line, "text", "utf-8").unwrap();
        let html = CleanConfig { strip_html: true, unicode: UnicodeForm::Nfkc, lowercase: true, ..Default::default() };
        vec![cleaner(&CleanConfig::default()), cleaner(&html)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Whatever the tokens, what they stand for is a part of the text as it was given, and every part of it whose tokens are
        /// asked for lies within what these stand for, unless cleaning removed some of it.
        #[test]
        fn answers_are_parts_of_the_text(
            parts in prop::collection::vec(prop::sample::select(TEXTS.to_vec()), 1..3),
            extra in "\\PC{0,6}",
            places in any::<[prop::sample::Index; 2]>(),
        ) {
            let text: Arc<str> = (parts.concat() + &extra).into();
            for tokenizer in tokenizers() {
                for cleaner in cleaners() {
                    let passage = Passage::new(Arc::clone(&text), &cleaner, &tokenizer).unwrap();
                    if passage.len() == 0 {
                        continue;
                    }
                    let [a, b] = places.map(|place| place.index(passage.len()));
                    let (first, last) = (a.min(b), a.max(b));
                    let span = passage.span(first, last);
                    let answer = text.get(span.clone());
                    prop_assert!(answer.is_some(), "{:?} of {:?}", span, text);
                    if !span.is_empty() {
                        let back = passage.tokens_of(&span).unwrap();
                        let alike = passage.alike(&back);
                        prop_assert!(alike.contains(&back));
                        let exact = passage.span(back.start, back.end - 1);
                        for start in 0..passage.len().min(40) {
                            for end in start..passage.len().min(40) {
                                let same = passage.span(start, end) == exact;
                                prop_assert!(!same || alike.contains(&(start..end + 1)), "{}..={} of {:?}", start, end, back);
                            }
                        }
                        prop_assert!(back.start <= last && back.end > first, "{:?} for {}..={}", back, first, last);
                        let again = passage.span(back.start, back.end - 1);
                        prop_assert!(again.start <= span.start && again.end >= span.end);
                    }
                    prop_assert_eq!(passage.ids(0..passage.len()).len(), passage.len() + 2);
                }
            }
        }
    }

    #[test]
    fn tokens_find_answers_and_answers_tokens() {
        let tokenizer = tokenizers().swap_remove(0);
        for (cleaner, text, answer, expect) in [
            (0, TEXTS[0], "Normans", "Normans"),
            (0, TEXTS[0], "1066", "1066"),
            (0, TEXTS[0], "the Normans came.  They", "the Normans came.  They"),
            (1, TEXTS[0], "R&amp;D", "R&amp;D"),
            (1, TEXTS[1], "cafe\u{301}s</b> of", "cafe\u{301}s</b> of"),
            (0, TEXTS[2], "小说", "小说"),
            (1, TEXTS[3], "３３３", "３３３"),
            (0, TEXTS[4], "नमस्ते", "नमस्ते"),
        ] {
            let text: Arc<str> = text.into();
            let passage = Passage::new(Arc::clone(&text), &cleaners()[cleaner], &tokenizer).unwrap();
            let at = text.find(answer).unwrap();
            let tokens = passage.tokens_of(&(at..at + answer.len())).unwrap();
            assert_eq!(&text[passage.span(tokens.start, tokens.end - 1)], expect, "{tokens:?}");
        }
        let html = Passage::new("a <br> b".into(), &cleaners()[1], &tokenizer).unwrap();
        assert_eq!(html.tokens_of(&(2..6)), None, "nothing is left of it");
    }

    #[test]
    fn words_and_shapes() {
        let tokenizer = tokenizers().swap_remove(3);
        let passage = Passage::new("The Normans, the 1066".into(), &cleaners()[0], &tokenizer).unwrap();
        let words: Vec<_> = passage.words().iter().map(|word| (passage.lower(word), word.rarity)).collect();
        assert_eq!(words, [("the", 0.5), ("normans", 1.0), ("the", 0.5), ("1066", 1.0)]);
        let of: Vec<_> = (0..passage.len()).map(|token| passage.words_of(token)).collect();
        assert_eq!(of, [0..1, 1..2, 2..3, 3..4]);
        let features: Vec<_> = (0..passage.len()).map(|token| passage.features(token)).collect();
        assert_eq!(features, [[1., 1., 0., 0.], [1., 1., 0., 0.], [1., 0., 0., 0.], [1., 0., 1., 0.]]);
    }
}
