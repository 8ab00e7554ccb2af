//! Quality filters: which documents, and which of their lines, are worth training on.

use std::borrow::Cow;

use grulm_config::Invalid;
use whatlang::Lang;

use self::{counts::Counts, repetition::Repetition};
use crate::{Error, FilterConfig, language};

mod counts;
mod lines;
mod presets;
mod repetition;
mod sentences;

#[cfg(test)]
mod tests;

/// Why a document was dropped: the key of the rule in `[corpus.filter]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Rule {
    Boilerplate,
    TerminalPunctuation,
    MinLineWords,
    MinChars,
    MaxChars,
    MaxGarbageRatio,
    MinWords,
    MaxWords,
    MinMeanWordLength,
    MaxMeanWordLength,
    MaxSymbolRatio,
    MinAlphabeticRatio,
    MinStopWords,
    MaxBulletLines,
    MaxEllipsisLines,
    MaxDuplicateLines,
    MaxDuplicateText,
    Repetition,
    MinSentences,
    Language,
    MinLanguageConfidence,
}

impl Rule {
    /// Every rule, in the order in which they are applied.
    pub const ALL: [Self; 21] = [
        Self::Boilerplate,
        Self::TerminalPunctuation,
        Self::MinLineWords,
        Self::MinChars,
        Self::MaxChars,
        Self::MaxGarbageRatio,
        Self::MinWords,
        Self::MaxWords,
        Self::MinMeanWordLength,
        Self::MaxMeanWordLength,
        Self::MaxSymbolRatio,
        Self::MinAlphabeticRatio,
        Self::MinStopWords,
        Self::MaxBulletLines,
        Self::MaxEllipsisLines,
        Self::MaxDuplicateLines,
        Self::MaxDuplicateText,
        Self::Repetition,
        Self::MinSentences,
        Self::Language,
        Self::MinLanguageConfidence,
    ];

    /// The key in `[corpus.filter]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boilerplate => "boilerplate",
            Self::TerminalPunctuation => "terminal_punctuation",
            Self::MinLineWords => "min_line_words",
            Self::MinChars => "min_chars",
            Self::MaxChars => "max_chars",
            Self::MaxGarbageRatio => "max_garbage_ratio",
            Self::MinWords => "min_words",
            Self::MaxWords => "max_words",
            Self::MinMeanWordLength => "min_mean_word_length",
            Self::MaxMeanWordLength => "max_mean_word_length",
            Self::MaxSymbolRatio => "max_symbol_ratio",
            Self::MinAlphabeticRatio => "min_alphabetic_ratio",
            Self::MinStopWords => "min_stop_words",
            Self::MaxBulletLines => "max_bullet_lines",
            Self::MaxEllipsisLines => "max_ellipsis_lines",
            Self::MaxDuplicateLines => "max_duplicate_lines",
            Self::MaxDuplicateText => "max_duplicate_text",
            Self::Repetition => "repetition",
            Self::MinSentences => "min_sentences",
            Self::Language => "language",
            Self::MinLanguageConfidence => "min_language_confidence",
        }
    }
}

/// What the filter makes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// It stays.
    Keep {
        /// Its text. Borrowed where no line was removed.
        text: Cow<'t, str>,
        /// How many lines were removed.
        removed_lines: usize,
    },
    /// It goes.
    Drop {
        /// The first rule that it breaks.
        rule: Rule,
        /// What was measured.
        value: String,
    },
}

/// The quality filter of a corpus.
///
/// Lines are removed first (`boilerplate`, `terminal_punctuation`, `min_line_words`); the other rules see what is left, in
/// the order of [`Rule::ALL`]. Words are what stands between white space. Where a script has no spaces, each character
/// counts as a word; the mean word length leaves them out.
///
/// ```
/// use grulm_corpus::{Filter, FilterConfig, Rule, Verdict};
///
/// let filter = Filter::new(&FilterConfig { min_words: Some(3), ..Default::default() })?;
/// assert!(matches!(filter.apply("床前明月光"), Verdict::Keep { .. }));
/// assert_eq!(filter.apply("Too short"), Verdict::Drop { rule: Rule::MinWords, value: "2".into() });
/// # Ok::<(), grulm_corpus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    /// With the preset's rules filled in.
    rules: FilterConfig,
    language: Option<Lang>,
}

type Check = Result<(), (Rule, String)>;

impl Filter {
    /// Fills in the preset and checks the ranges.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a value out of range, a least value above its greatest, a language that identification does
    /// not know, or a confidence without a language.
    pub fn new(config: &FilterConfig) -> Result<Self, Error> {
        let rules = presets::fill_in(config);
        validate(&rules)?;
        let language = rules.language.as_deref().map(language::parse).transpose()?;
        Ok(Self { rules, language })
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let switches = FilterConfig { preset: None, ..self.rules.clone() };
        switches == FilterConfig::default()
    }

    /// Judges a document.
    #[must_use]
    pub fn apply<'t>(&self, text: &'t str) -> Verdict<'t> {
        let (text, removed_lines) = match lines::keep(text, &self.rules) {
            Ok(kept) => kept,
            Err((rule, value)) => return Verdict::Drop { rule, value },
        };
        match self.check(&text) {
            Ok(()) => Verdict::Keep { text, removed_lines },
            Err((rule, value)) => Verdict::Drop { rule, value },
        }
    }

    fn check(&self, text: &str) -> Check {
        self.check_characters(text)?;
        self.check_words(text)?;
        self.check_lines(text)?;
        self.check_repetition(text)?;
        let min_sentences = self.rules.min_sentences;
        at_least(Rule::MinSentences, min_sentences, || sentences::count(text, min_sentences.unwrap_or(0)))?;
        self.check_language(text)
    }

    fn check_characters(&self, text: &str) -> Check {
        let rules = &self.rules;
        if rules.min_chars.or(rules.max_chars).is_some() {
            let chars = text.chars().count();
            at_least(Rule::MinChars, rules.min_chars, || chars)?;
            at_most(Rule::MaxChars, rules.max_chars, || chars)?;
        }
        at_most(Rule::MaxGarbageRatio, rules.max_garbage_ratio, || counts::garbage_ratio(text))
    }

    fn check_words(&self, text: &str) -> Check {
        let rules = &self.rules;
        let ratios = [
            rules.min_mean_word_length,
            rules.max_mean_word_length,
            rules.max_symbol_ratio,
            rules.min_alphabetic_ratio,
        ];
        let numbers = [rules.min_words, rules.max_words, rules.min_stop_words];
        if ratios.iter().all(Option::is_none) && numbers.iter().all(Option::is_none) {
            return Ok(());
        }
        let counts = Counts::of(text);
        at_least(Rule::MinWords, rules.min_words, || counts.words)?;
        at_most(Rule::MaxWords, rules.max_words, || counts.words)?;
        if let Some(length) = counts.mean_word_length() {
            at_least(Rule::MinMeanWordLength, rules.min_mean_word_length, || length)?;
            at_most(Rule::MaxMeanWordLength, rules.max_mean_word_length, || length)?;
        }
        at_most(Rule::MaxSymbolRatio, rules.max_symbol_ratio, || counts.symbol_ratio())?;
        at_least(Rule::MinAlphabeticRatio, rules.min_alphabetic_ratio, || counts.alphabetic_ratio())?;
        at_least(Rule::MinStopWords, rules.min_stop_words, || counts.stop_words())
    }

    fn check_lines(&self, text: &str) -> Check {
        at_most(Rule::MaxBulletLines, self.rules.max_bullet_lines, || lines::share(text, lines::starts_with_bullet))?;
        at_most(Rule::MaxEllipsisLines, self.rules.max_ellipsis_lines, || {
            lines::share(text, lines::ends_with_ellipsis)
        })?;
        at_most(Rule::MaxDuplicateLines, self.rules.max_duplicate_lines, || repetition::duplicate_lines(text))
    }

    fn check_repetition(&self, text: &str) -> Check {
        let gopher = self.rules.repetition == Some(true);
        if self.rules.max_duplicate_text.is_none() && !gopher {
            return Ok(());
        }
        let repetition = Repetition::of(text);
        at_most(Rule::MaxDuplicateText, self.rules.max_duplicate_text, || repetition.duplicate_text())?;
        match repetition.beyond_gopher(text).filter(|_| gopher) {
            Some(found) => Err((Rule::Repetition, found)),
            None => Ok(()),
        }
    }

    fn check_language(&self, text: &str) -> Check {
        let Some(wanted) = self.language else { return Ok(()) };
        match language::identify(text) {
            None => Err((Rule::Language, "none".into())),
            Some((found, confidence)) if found != wanted => {
                Err((Rule::Language, format!("{} {confidence:.3}", found.code())))
            }
            Some((_, confidence)) => {
                at_least(Rule::MinLanguageConfidence, self.rules.min_language_confidence, || confidence)
            }
        }
    }
}

/// A figure that is compared and shown.
trait Figure: Copy + PartialOrd {
    fn show(self) -> String;
}

impl Figure for usize {
    fn show(self) -> String {
        self.to_string()
    }
}

impl Figure for f64 {
    fn show(self) -> String {
        format!("{self:.3}")
    }
}

fn at_least<F: Figure>(rule: Rule, least: Option<F>, measure: impl FnOnce() -> F) -> Check {
    match least.map(|least| (least, measure())) {
        Some((least, found)) if found < least => Err((rule, found.show())),
        _ => Ok(()),
    }
}

fn at_most<F: Figure>(rule: Rule, most: Option<F>, measure: impl FnOnce() -> F) -> Check {
    match most.map(|most| (most, measure())) {
        Some((most, found)) if found > most => Err((rule, found.show())),
        _ => Ok(()),
    }
}

fn validate(rules: &FilterConfig) -> Result<(), Error> {
    let shares = [
        (Rule::MinAlphabeticRatio, rules.min_alphabetic_ratio),
        (Rule::MaxGarbageRatio, rules.max_garbage_ratio),
        (Rule::MaxBulletLines, rules.max_bullet_lines),
        (Rule::MaxEllipsisLines, rules.max_ellipsis_lines),
        (Rule::MaxDuplicateLines, rules.max_duplicate_lines),
        (Rule::MaxDuplicateText, rules.max_duplicate_text),
        (Rule::MinLanguageConfidence, rules.min_language_confidence),
    ];
    for (rule, value) in shares {
        require(rule, value, |value| (0.0..=1.0).contains(&value), "a number from 0 to 1")?;
    }
    let sizes = [
        (Rule::MinMeanWordLength, rules.min_mean_word_length),
        (Rule::MaxMeanWordLength, rules.max_mean_word_length),
        (Rule::MaxSymbolRatio, rules.max_symbol_ratio),
    ];
    for (rule, value) in sizes {
        require(rule, value, |value| value >= 0.0 && value.is_finite(), "a number that is not negative")?;
    }
    order(Rule::MinChars, rules.min_chars, rules.max_chars)?;
    order(Rule::MinWords, rules.min_words, rules.max_words)?;
    order(Rule::MinMeanWordLength, rules.min_mean_word_length, rules.max_mean_word_length)?;
    let max_stop_words = counts::STOP_WORDS.len();
    require(
        Rule::MinStopWords,
        rules.min_stop_words,
        |min| min <= max_stop_words,
        "an integer from 0 to 8, the number of stop words",
    )?;
    let alone = rules.min_language_confidence.filter(|_| rules.language.is_none());
    require(Rule::MinLanguageConfidence, alone, |_| false, "a number from 0 to 1 where `corpus.filter.language` is set")
}

fn require<T: Copy + std::fmt::Debug>(
    rule: Rule,
    value: Option<T>,
    fits: impl Fn(T) -> bool,
    allowed: &str,
) -> Result<(), Error> {
    match value {
        Some(value) if !fits(value) => {
            Err(Invalid::new(format!("corpus.filter.{}", rule.name()), value, allowed).into())
        }
        _ => Ok(()),
    }
}

fn order<T: Copy + PartialOrd + std::fmt::Debug>(rule: Rule, least: Option<T>, most: Option<T>) -> Result<(), Error> {
    match most {
        Some(most) => {
            require(rule, least, |least| least <= most, &format!("{most:?} (the greatest value set) at most"))
        }
        None => Ok(()),
    }
}
