//! Stop words: lists by language or from a file, and their removal.

use std::{collections::HashSet, path::Path};

use grulm_config::Invalid;
use stop_words::Language;

use super::alignment::Output;
use crate::{Error, words::is_word_character};

/// The languages with a list, sorted by name.
const LANGUAGES: [Language; 58] = [
    Language::Afrikaans,
    Language::Arabic,
    Language::Armenian,
    Language::Basque,
    Language::Bengali,
    Language::Breton,
    Language::Bulgarian,
    Language::Catalan,
    Language::Chinese,
    Language::Croatian,
    Language::Czech,
    Language::Danish,
    Language::Dutch,
    Language::English,
    Language::Esperanto,
    Language::Estonian,
    Language::Finnish,
    Language::French,
    Language::Galician,
    Language::German,
    Language::Greek,
    Language::Gujarati,
    Language::Hausa,
    Language::Hebrew,
    Language::Hindi,
    Language::Hungarian,
    Language::Indonesian,
    Language::Irish,
    Language::Italian,
    Language::Japanese,
    Language::Korean,
    Language::Kurdish,
    Language::Latin,
    Language::Latvian,
    Language::Lithuanian,
    Language::Malay,
    Language::Marathi,
    Language::Norwegian,
    Language::Persian,
    Language::Polish,
    Language::Portuguese,
    Language::Romanian,
    Language::Russian,
    Language::Slovak,
    Language::Slovenian,
    Language::Somali,
    Language::Sotho,
    Language::Spanish,
    Language::Swahili,
    Language::Swedish,
    Language::Tagalog,
    Language::Thai,
    Language::Turkish,
    Language::Ukrainian,
    Language::Urdu,
    Language::Vietnamese,
    Language::Yoruba,
    Language::Zulu,
];

/// Loads the list of a language (English name or ISO 639-1 code, any letter case) or, where there is no such language,
/// of a file with one word a line. Sorted, each once.
///
/// # Errors
///
/// [`Error::Config`] where it is neither, [`Error::Io`] and [`Error::Format`] where the file cannot be read or a line
/// holds more than a word.
pub(super) fn load(name: &str) -> Result<Vec<String>, Error> {
    let mut list = match language(name) {
        Some(list) => list.iter().map(|word| (*word).to_owned()).collect(),
        None if Path::new(name).is_file() => read(Path::new(name))?,
        None => return Err(Invalid::new("corpus.clean.stop_words", name, allowed()).into()),
    };
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

fn language(name: &str) -> Option<&'static [&'static str]> {
    let wanted = name.to_lowercase();
    let language = LANGUAGES.iter().find(|lang| lang.as_str() == wanted || english_name(lang) == wanted)?;
    stop_words::lookup(language)
}

/// The variant is the English name of the language.
fn english_name(language: &Language) -> String {
    format!("{language:?}").to_lowercase()
}

fn allowed() -> String {
    let names: Vec<_> = LANGUAGES.iter().map(|lang| format!("{} ({})", english_name(lang), lang.as_str())).collect();
    format!("{}, or an existing file with one word a line", names.join(", "))
}

fn read(path: &Path) -> Result<Vec<String>, Error> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let text = String::from_utf8(bytes).map_err(|error| Error::Format {
        path: path.to_owned(),
        position: None,
        found: format!("bytes that are not UTF-8 at offset {}", error.utf8_error().valid_up_to()),
        expected: "UTF-8 text with one word a line".into(),
    })?;
    let lines = text.strip_prefix('\u{feff}').unwrap_or(&text).lines().map(str::trim);
    let mut words = Vec::new();
    for (number, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty()) {
        if line.contains(char::is_whitespace) {
            return Err(Error::Format {
                path: path.to_owned(),
                position: Some(number),
                found: format!("{line:?}"),
                expected: "one word a line".into(),
            });
        }
        words.push(line.to_owned());
    }
    Ok(words)
}

/// Stop words, ready to be matched.
///
/// A word of a text is a run of letters, marks and digits that single apostrophes, hyphens, dots and the like may join:
/// "don't", "up-to-date", "example.com". Only whole words are removed, so that "the" leaves "the-saurus" alone. Lists of
/// languages with compound words in several parts (Vietnamese, Korean) match these too, longest first.
/// Scripts without spaces between words (Chinese, Thai) match only in text that was cut into words before.
#[derive(Debug, Clone)]
pub(super) struct StopWords {
    keys: HashSet<String>,
    /// The largest number of words in a key.
    longest: usize,
}

impl StopWords {
    /// `prepare` is what the steps before this one make of a stop word.
    pub(super) fn new(list: &[String], prepare: impl Fn(&str) -> String) -> Self {
        let mut keys = HashSet::new();
        for word in list {
            let prepared = prepare(word);
            let words: Vec<_> = prepared.split_whitespace().map(|word| word.trim_matches(is_apostrophe)).collect();
            let mut key = String::new();
            fold_into(&mut key, &words.join(" "));
            if !key.trim().is_empty() {
                keys.insert(key);
            }
        }
        let longest = keys.iter().map(|key| key.split(' ').count()).max().unwrap_or(0);
        Self { keys, longest }
    }

    /// Removes the stop words and, where both sides have one, one of the spaces around each. `None`: there are none.
    pub(super) fn remove<O: Output>(&self, text: &str) -> Option<O> {
        let words: Vec<_> = Words { text, at: 0 }.collect();
        let mut output: Option<O> = None;
        let (mut next, mut copied, mut key) = (0, 0, String::new());
        while next < words.len() {
            let Some(length) = self.matching(text, &words[next..], &mut key) else {
                next += 1;
                continue;
            };
            let (start, end) = (words[next].0, words[next + length - 1].1);
            let output = output.get_or_insert_default();
            output.keep(&text[copied..start]);
            let at_boundary = output.text().chars().next_back().is_none_or(char::is_whitespace);
            copied = end + usize::from(at_boundary && text[end..].starts_with(' '));
            output.put(copied - start, "");
            next += length;
        }
        output.map(|mut output| {
            output.keep(&text[copied..]);
            output
        })
    }

    /// How many of the leading words make up a stop word: the most that do.
    fn matching(&self, text: &str, words: &[(usize, usize)], key: &mut String) -> Option<usize> {
        let words = &words[..words.len().min(self.longest)];
        let apart = words.windows(2).position(|pair| &text[pair[0].1..pair[1].0] != " ");
        let most = apart.map_or(words.len(), |at| at + 1);
        (1..=most).rev().find(|&length| {
            key.clear();
            fold_into(key, &text[words[0].0..words[length - 1].1]);
            self.keys.contains(key.as_str())
        })
    }
}

/// Lower case, one kind of apostrophe, one kind of sigma.
fn fold_into(key: &mut String, word: &str) {
    for c in word.chars() {
        match c {
            'A'..='Z' => key.push(c.to_ascii_lowercase()),
            '\u{0}'..='\u{7f}' => key.push(c),
            c if is_apostrophe(c) => key.push('\''),
            c => key.extend(c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })),
        }
    }
}

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2bc}' | '\u{ff07}')
}

/// Characters that, one at a time, join two parts into one word.
fn is_connector(c: char) -> bool {
    is_apostrophe(c) || matches!(c, '-' | '\u{2010}' | '\u{2011}' | '.' | '@' | '_' | '/' | ':' | '&')
}

/// The byte ranges of a text's words.
struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at + self.text[self.at..].find(is_word_character)?;
        let mut end = start;
        let mut rest = self.text[start..].chars();
        while let Some(c) = rest.next() {
            if is_word_character(c) {
                end = self.text.len() - rest.as_str().len();
            } else if !is_connector(c) || !rest.as_str().starts_with(is_word_character) {
                break;
            }
        }
        self.at = end;
        Some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[&str], text: &str, expect: &str) {
        let list: Vec<_> = list.iter().map(|word| (*word).to_owned()).collect();
        let stop_words = StopWords::new(&list, str::to_owned);
        let found: Option<String> = stop_words.remove(text);
        assert_eq!(found.as_deref().unwrap_or(text), expect, "{text:?}");
        assert_ne!(found.as_deref(), Some(text), "a change that changes nothing");
    }

    #[test]
    fn whole_words_in_any_case() {
        check(&["the", "of"], "The end of THE theory", "end theory");
        check(&["the"], "(the, end)", "(, end)");
        check(&["the", "to"], "the-saurus up-to-date the.com", "the-saurus up-to-date the.com");
        check(&["the"], "said—the man", "said— man");
        check(&["a"], "b c", "b c");
        check(&["a"], "", "");
        check(&["a"], "a", "");
        check(&["a"], "a\na\nb", "\n\nb");
    }

    #[test]
    fn apostrophes_of_every_kind() {
        for text in ["I don't know", "I don\u{2019}t know", "I DON\u{2bc}T know"] {
            check(&["don't"], text, "I know");
        }
        check(&["don", "t"], "don't", "don't");
        check(&["'tis"], "'tis so", "' so");
    }

    #[test]
    fn other_scripts() {
        check(&["και", "τους"], "ΚΑΙ ΤΟΥΣ φίλους", "φίλους");
        check(&["और"], "राम और श्याम", "राम श्याम");
        check(&["من"], "رسالة من صديق", "رسالة صديق");
        check(&["的"], "我 的 书 目的", "我 书 目的");
        check(&["le"], "yi le ʋu", "yi ʋu");
    }

    #[test]
    fn several_words_longest_first() {
        check(&["a", "a ha", "x"], "a ha b a c", "b c");
        check(&["a ha"], "a, ha a  ha a ha", "a, ha a  ha ");
    }

    #[test]
    fn every_listed_language_has_words() {
        for language in LANGUAGES {
            assert!(!load(language.as_str()).unwrap().is_empty(), "{language:?}");
            assert_eq!(load(&english_name(&language)).unwrap(), load(language.as_str()).unwrap());
        }
        assert_eq!(LANGUAGES.len(), stop_words::available_languages().len());
        assert!(load("English").unwrap().contains(&"the".to_owned()));
    }

    #[test]
    fn unknown_languages_list_the_known() {
        let message = load("klingon").unwrap_err().to_string();
        assert!(message.contains("`corpus.clean.stop_words` = \"klingon\""), "{message}");
        assert!(message.contains("hausa (ha)") && message.contains("existing file"), "{message}");
    }

    #[test]
    fn files_hold_a_word_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words.txt");
        let name = path.to_str().unwrap();
        std::fs::write(&path, "\u{feff}zebra\r\n\n  kple \nzebra\n").unwrap();
        assert_eq!(load(name).unwrap(), ["kple", "zebra"]);
        std::fs::write(&path, "one\ntwo three\n").unwrap();
        assert!(load(name).unwrap_err().to_string().contains("words.txt:2: \"two three\""));
        std::fs::write(&path, b"caf\xe9\n").unwrap();
        assert!(load(name).unwrap_err().to_string().contains("offset 3"));
    }
}
