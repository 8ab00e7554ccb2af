//! Cleaning: what happens to the text of a document before anything counts or encodes it.

use std::{borrow::Cow, fs, path::Path};

use grulm_durable::digest::sha256;
use serde::{Deserialize, Serialize};
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc_quick, is_nfd_quick, is_nfkc_quick,
    is_nfkd_quick,
};

pub use self::alignment::Alignment;
use self::{
    alignment::{Output, Text},
    stop_words::StopWords,
};
use crate::{CleanConfig, Error, Replace, TextFields, UnicodeForm, Unit};

mod alignment;
mod control;
mod html;
mod links;
mod punctuation;
mod stop_words;
mod whitespace;

#[cfg(test)]
mod tests;

/// The version of `cleaning.json`.
const VERSION: u32 = 1;

/// Rounds of the steps behind HTML, at most. Text settles in two or three.
const ROUNDS: usize = 8;

/// The cleaning that a corpus had.
///
/// Serialized to JSON it is the `cleaning.json` of a bundle: self-contained (stop words inlined), versioned, with the
/// document unit, so that evaluation, fine-tuning and prediction see text as pretraining did.
///
/// The steps, each by its own switch, in this order:
///
/// 1. Unicode normalization form
/// 2. HTML: tags, comments, scripts and styles go, entities are resolved
/// 3. control and format characters
/// 4. URLs and e-mail addresses
/// 5. lower case
/// 6. punctuation and symbols
/// 7. stop words
/// 8. white space
///
/// A step can leave something for an earlier one: removing a zero-width space can bring a letter and its accent together,
/// which then compose. So all but HTML are repeated until the text stays as it is, and cleaning what is clean changes
/// nothing. With `strip_html` that cannot be: `&lt;b&gt;` is the text `<b>`, which is a tag if it is read as HTML again. So
/// HTML is read once, and clean text should not be cleaned again.
///
/// ```
/// use grulm_corpus::{CleanConfig, Cleaner, Unit};
///
/// let config = CleanConfig { strip_html: true, lowercase: true, ..Default::default() };
/// let cleaner = Cleaner::new(&config, Unit::Line, "text", "utf-8")?;
/// assert_eq!(cleaner.clean("<b>Caf&eacute;</b>  au\u{a0}lait &amp; <3"), "café au lait & <3");
/// # Ok::<(), grulm_corpus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cleaner {
    recipe: Recipe,
    stop_words: Option<StopWords>,
}

/// What `cleaning.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    version: u32,
    unit: Unit,
    text_field: TextFields,
    encoding: String,
    unicode: UnicodeForm,
    strip_html: bool,
    control_characters: bool,
    urls: Replace,
    emails: Replace,
    lowercase: bool,
    remove_punctuation: bool,
    /// Sorted.
    stop_words: Vec<String>,
    whitespace: bool,
}

/// The part of `cleaning.json` that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Cleaner {
    /// The cleaning of a corpus; loads the stop words.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where `stop_words` is neither a language with a list nor a file, [`Error::Io`] and
    /// [`Error::Format`] where the file is no list of words.
    pub fn new(
        config: &CleanConfig,
        unit: Unit,
        text_field: impl Into<TextFields>,
        encoding: &str,
    ) -> Result<Self, Error> {
        let stop_words = match config.stop_words.as_str() {
            "" => Vec::new(),
            name => stop_words::load(name)?,
        };
        Ok(Self::from_recipe(Recipe {
            version: VERSION,
            unit,
            text_field: text_field.into(),
            encoding: encoding.to_owned(),
            unicode: config.unicode,
            strip_html: config.strip_html,
            control_characters: config.control_characters,
            urls: config.urls,
            emails: config.emails,
            lowercase: config.lowercase,
            remove_punctuation: config.remove_punctuation,
            stop_words,
            whitespace: config.whitespace,
        }))
    }

    fn from_recipe(recipe: Recipe) -> Self {
        let prepare = |word: &str| {
            let word = normalize(word, recipe.unicode).unwrap_or_else(|| word.to_owned());
            let removed = if recipe.remove_punctuation { punctuation::remove(&word) } else { None };
            removed.unwrap_or(word)
        };
        let stop_words = (!recipe.stop_words.is_empty()).then(|| StopWords::new(&recipe.stop_words, prepare));
        Self { recipe, stop_words }
    }

    /// The same cleaning, of documents that are read in another way.
    #[must_use]
    pub fn reading(self, unit: Unit, text_field: impl Into<TextFields>, encoding: &str) -> Self {
        let recipe = Recipe { unit, text_field: text_field.into(), encoding: encoding.to_owned(), ..self.recipe };
        Self { recipe, ..self }
    }

    /// What one document is in a plain text file.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.recipe.unit
    }

    /// The fields or columns that hold the text in structured files.
    #[must_use]
    pub fn text_field(&self) -> &TextFields {
        &self.recipe.text_field
    }

    /// The encoding of files without a byte order mark.
    #[must_use]
    pub fn encoding(&self) -> &str {
        &self.recipe.encoding
    }

    /// Cleans the text of a document. Borrowed where nothing changes.
    #[must_use]
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.settled(Cow::Borrowed(text))
    }

    /// Cleans the text of a document, and remembers where each part of the result comes from.
    #[must_use]
    pub fn clean_aligned(&self, text: &str) -> Alignment {
        self.settled(Alignment::new(text))
    }

    /// The text when no step changes it any more.
    fn settled<T: Text>(&self, mut text: T) -> T {
        if self.recipe.strip_html {
            replace(&mut text, |text| normalize(text, self.recipe.unicode));
            replace(&mut text, html::strip);
        }
        for _ in 0..ROUNDS {
            if !self.round(&mut text) {
                break;
            }
        }
        text
    }

    /// Every step but HTML, once. Tells whether one changed the text.
    fn round(&self, text: &mut impl Text) -> bool {
        let recipe = &self.recipe;
        let mut changed = replace(text, |text| normalize(text, recipe.unicode));
        if recipe.control_characters {
            changed |= replace(text, control::remove);
        }
        changed |= replace(text, |text| links::replace(text, recipe.urls, recipe.emails));
        if recipe.lowercase {
            changed |= replace(text, lowercase);
        }
        if recipe.remove_punctuation {
            changed |= replace(text, punctuation::remove);
        }
        if let Some(stop_words) = &self.stop_words {
            changed |= replace(text, |text| stop_words.remove(text));
        }
        if recipe.whitespace {
            changed |= replace(text, whitespace::fold);
        }
        changed
    }

    /// SHA-256 of the JSON, in hexadecimal: two corpora with the same hash were cleaned alike.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256(self.json().as_bytes())
    }

    /// Writes `cleaning.json`, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the folder cannot be written to.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        grulm_durable::write(path, self.json().as_bytes()).map_err(Error::io(path))
    }

    /// Reads `cleaning.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no cleaning of this version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = fs::read_to_string(path).map_err(Error::io(path))?;
        let format = |error: serde_json::Error| Error::Format {
            path: path.to_owned(),
            position: Some(error.line() as u64).filter(|&line| line > 0),
            found: error.to_string(),
            expected: format!("the cleaning of a corpus, version {VERSION}"),
        };
        let Versioned { version } = serde_json::from_str(&json).map_err(format)?;
        if version != VERSION {
            return Err(Error::Format {
                path: path.to_owned(),
                position: None,
                found: format!("version {version}"),
                expected: format!("version {VERSION}"),
            });
        }
        serde_json::from_str(&json).map(Self::from_recipe).map_err(format)
    }

    /// The JSON in its one form: fields in order of declaration, a line each.
    fn json(&self) -> String {
        // A struct of strings, switches and numbers has no value that JSON lacks.
        serde_json::to_string_pretty(&self.recipe).unwrap_or_default()
    }
}

/// Applies a step. Tells whether it changed the text.
fn replace<T: Text>(text: &mut T, step: impl FnOnce(&str) -> Option<T::Output>) -> bool {
    match step(text.text()) {
        Some(changed) => {
            text.take(changed);
            true
        }
        None => false,
    }
}

/// `None`: the text is in that form.
fn normalize<O: Output>(text: &str, form: UnicodeForm) -> Option<O> {
    if form == UnicodeForm::None || text.is_ascii() || is_normalized(text, form) {
        return None;
    }
    let mut output = O::default();
    let mut rest = text;
    while !rest.is_empty() {
        let begins = |&(at, c): &(usize, char)| at > 0 && stands_apart(c, form);
        let (part, after) = rest.split_at(rest.char_indices().find(begins).map_or(rest.len(), |(at, _)| at));
        rest = after;
        if part.is_ascii() || is_normalized(part, form) {
            output.keep(part);
            continue;
        }
        let normalized: String = match form {
            UnicodeForm::None => part.to_owned(),
            UnicodeForm::Nfc => part.nfc().collect(),
            UnicodeForm::Nfd => part.nfd().collect(),
            UnicodeForm::Nfkc => part.nfkc().collect(),
            UnicodeForm::Nfkd => part.nfkd().collect(),
        };
        if normalized == part {
            output.keep(part);
        } else {
            output.put(part.len(), &normalized);
        }
    }
    Some(output).filter(|output| output.text() != text)
}

/// Whether a character never combines with one before it, so that the text can be cut there (UAX 15, section 9.1).
fn stands_apart(c: char, form: UnicodeForm) -> bool {
    let alone = std::iter::once(c);
    let first = match form {
        UnicodeForm::None | UnicodeForm::Nfc | UnicodeForm::Nfd => alone.nfd().next(),
        UnicodeForm::Nfkc | UnicodeForm::Nfkd => alone.nfkd().next(),
    };
    first.is_some_and(|first| {
        canonical_combining_class(first) == 0 && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
    })
}

/// Whether a text is known, at a glance, to be in that form.
fn is_normalized(text: &str, form: UnicodeForm) -> bool {
    let quick = match form {
        UnicodeForm::None => IsNormalized::Yes,
        UnicodeForm::Nfc => is_nfc_quick(text.chars()),
        UnicodeForm::Nfd => is_nfd_quick(text.chars()),
        UnicodeForm::Nfkc => is_nfkc_quick(text.chars()),
        UnicodeForm::Nfkd => is_nfkd_quick(text.chars()),
    };
    quick == IsNormalized::Yes
}

/// `None`: the text is in lower case.
fn lowercase<O: Output>(text: &str) -> Option<O> {
    let is_lower = |c: char| if c.is_ascii() { !c.is_ascii_uppercase() } else { c.to_lowercase().eq([c]) };
    if text.chars().all(is_lower) {
        return None;
    }
    // As a whole, since a sigma at the end of a word has a form of its own; it is as long as the other.
    let lower = text.to_lowercase();
    let mut output = O::default();
    let mut at = 0;
    for (start, c) in text.char_indices() {
        let length = c.to_lowercase().map(char::len_utf8).sum::<usize>();
        let (upper, lower) = (&text[start..start + c.len_utf8()], &lower[at..at + length]);
        if upper == lower {
            output.keep(upper);
        } else {
            output.put(upper.len(), lower);
        }
        at += length;
    }
    Some(output)
}
