//! The `[corpus]` and `[tokenizer]` sections of a config file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::TextFields;

/// `[corpus]`: which text, how it is read, cleaned, filtered and split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusConfig {
    /// The folder that `prepare` writes: tokenizer, shards, manifest.
    pub dir: PathBuf,
    /// Training text: files, folders and globs.
    pub train: Vec<String>,
    /// Validation text: cleaned like the rest, but neither filtered nor freed of duplicates, so that figures stay comparable. A file that is
    /// also among `train` is left out there. Where it is empty, `valid_fraction` of the training documents is taken.
    pub valid: Vec<String>,
    /// Test text, taken as `valid` is. Where it is empty, `test_fraction` of the training documents is taken.
    pub test: Vec<String>,
    /// The field (JSON Lines) or column (CSV, TSV, Parquet) that holds the text, or a list of those that do.
    pub text_field: TextFields,
    /// What one document is in a plain text file.
    pub unit: Unit,
    /// Share of the training documents that goes to validation, by document hash, in `0..1`.
    pub valid_fraction: f64,
    /// Share of the training documents that goes to test, by document hash, in `0..1`.
    pub test_fraction: f64,
    /// Encoding of files without a byte order mark: a WHATWG label ("utf-8", "gb18030", "windows-1252") or "auto".
    pub encoding: String,
    /// Cleaning steps.
    pub clean: CleanConfig,
    /// Quality filters.
    pub filter: FilterConfig,
    /// Duplicate removal.
    pub dedup: DedupConfig,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            train: Vec::new(),
            valid: Vec::new(),
            test: Vec::new(),
            text_field: "text".into(),
            unit: Unit::Line,
            valid_fraction: 0.0,
            test_fraction: 0.0,
            encoding: "utf-8".into(),
            clean: CleanConfig::default(),
            filter: FilterConfig::default(),
            dedup: DedupConfig::default(),
        }
    }
}

/// What one document is in a plain text file. Records of JSON Lines, CSV, TSV and Parquet are a document each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A line, blank ones too.
    Line,
    /// Lines up to a blank one.
    Paragraph,
    /// The whole file.
    File,
}

/// `[corpus.clean]`: each step by its own switch, applied in the order of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanConfig {
    /// Unicode normalization form.
    pub unicode: UnicodeForm,
    /// Removes tags, comments, scripts and styles and resolves entities. What only looks like a tag (`<unk>`, `a < b`) stays.
    pub strip_html: bool,
    /// Removes control and format characters other than line feed and tab (zero-width joiners, which scripts need, stay).
    /// Carriage returns become line feeds.
    pub control_characters: bool,
    /// What becomes of URLs (with a scheme, or from "www." on).
    pub urls: Replace,
    /// What becomes of e-mail addresses.
    pub emails: Replace,
    /// Lower-cases by Unicode rules.
    pub lowercase: bool,
    /// Removes every Unicode punctuation character (category P) and symbol (category S). Inside a run of text one leaves
    /// a space ("and/or": "and or"), but an apostrophe inside a word leaves nothing ("don't": "dont").
    pub remove_punctuation: bool,
    /// Stop words to remove, in any letter case: a language ("english", "en", ...), or a file with one word a line.
    /// Empty: none. Chinese, Japanese and Thai text must be cut into words by spaces for this.
    pub stop_words: String,
    /// Folds runs of white space into one space, keeps line feeds (two at most in a row), trims both ends.
    pub whitespace: bool,
}

impl Default for CleanConfig {
    fn default() -> Self {
        Self {
            unicode: UnicodeForm::Nfc,
            strip_html: false,
            control_characters: true,
            urls: Replace::Keep,
            emails: Replace::Keep,
            lowercase: false,
            remove_punctuation: false,
            stop_words: String::new(),
            whitespace: true,
        }
    }
}

/// Unicode normalization forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnicodeForm {
    /// As it is.
    None,
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

/// What becomes of a URL or an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replace {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// A word stands for it: `URL` or `EMAIL`.
    Word,
}

/// `[corpus.filter]`: rules that drop documents. A rule that is not set does not apply; a preset sets several, and a
/// rule that is set beside a preset wins over it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// A named set of rules.
    pub preset: Option<Preset>,
    /// Fewest words (characters where the script has no spaces between words).
    pub min_words: Option<usize>,
    /// Most words.
    pub max_words: Option<usize>,
    /// Fewest characters.
    pub min_chars: Option<usize>,
    /// Most characters.
    pub max_chars: Option<usize>,
    /// Shortest mean word length, in characters.
    pub min_mean_word_length: Option<f64>,
    /// Longest mean word length, in characters.
    pub max_mean_word_length: Option<f64>,
    /// Largest ratio of hash signs, and of ellipses, to words.
    pub max_symbol_ratio: Option<f64>,
    /// Smallest share of words with a letter of any script.
    pub min_alphabetic_ratio: Option<f64>,
    /// Largest share of characters that are no text: control, private and unassigned characters, U+FFFD, and symbols other
    /// than ASCII, currencies, mathematics and emoji.
    pub max_garbage_ratio: Option<f64>,
    /// Fewest different words of the eight most English ones (the, be, to, of, and, that, have, with).
    pub min_stop_words: Option<usize>,
    /// Largest share of lines that start with a bullet.
    pub max_bullet_lines: Option<f64>,
    /// Largest share of lines that end in an ellipsis.
    pub max_ellipsis_lines: Option<f64>,
    /// Largest share of lines that repeat an earlier line.
    pub max_duplicate_lines: Option<f64>,
    /// Largest share of text (characters of words) in word 5-grams that stood earlier in the document.
    pub max_duplicate_text: Option<f64>,
    /// Applies Gopher's thresholds for repeated paragraphs, characters in repeated lines and paragraphs, and repeated
    /// 2- to 10-grams (arXiv 2112.11446, table A1).
    pub repetition: Option<bool>,
    /// Keeps only lines that end in terminal punctuation (of any script).
    pub terminal_punctuation: Option<bool>,
    /// Fewest words a line; shorter lines are removed from their document.
    pub min_line_words: Option<usize>,
    /// Fewest sentences.
    pub min_sentences: Option<usize>,
    /// Drops documents with placeholder text or curly braces and removes lines with notices on JavaScript, cookies and
    /// policies (C4, arXiv 1910.10683, section 2.2).
    pub boilerplate: Option<bool>,
    /// The language (ISO 639-3 code or English name) that a document must be in.
    pub language: Option<String>,
    /// Smallest confidence of the language identification, in `0..=1`.
    pub min_language_confidence: Option<f64>,
}

/// Named sets of filter rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Fits any language and script.
    Basic,
    /// English web pages, the rules of Gopher (arXiv 2112.11446, section A.1.1).
    Gopher,
    /// English web pages, the rules of C4 (arXiv 1910.10683, section 2.2).
    C4,
}

/// `[corpus.dedup]`: duplicate removal. Off by default: in a corpus of sentences, repeated lines are data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupConfig {
    /// Removes documents whose text, letter case and white space aside, stood earlier.
    pub exact: bool,
    /// Removes documents whose MinHash signature says that they are near-duplicates of an earlier one.
    pub near: bool,
    /// Jaccard similarity of word 5-gram sets (character 10-grams where the script has no spaces) from which on two documents are near-duplicates.
    pub jaccard: f64,
    /// Number of MinHash permutations.
    pub permutations: usize,
    /// Removes from train what also stands in valid or test (exactly, and nearly where `near` is set).
    pub held_out: bool,
}

impl Default for DedupConfig {
    fn default() -> Self {
        Self { exact: false, near: false, jaccard: 0.8, permutations: 128, held_out: false }
    }
}

/// `[tokenizer]`: which tokenizer is trained, or which file is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerConfig {
    /// The kind that is trained.
    pub kind: TokenizerKind,
    /// Largest number of entries, the six special tokens included.
    pub vocab_size: usize,
    /// Fewest occurrences of an entry.
    pub min_frequency: u64,
    /// Specials that stand in the corpus as words and mean the special there (`<unk>` in PTB and WikiText).
    pub specials_in_text: Vec<String>,
    /// Text that the tokenizer is trained on, at most, in MiB: a sample by document hash where the corpus is larger.
    pub sample_mib: usize,
    /// An existing `tokenizer.json` to use instead.
    pub file: Option<PathBuf>,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            kind: TokenizerKind::ByteBpe,
            vocab_size: 8000,
            min_frequency: 1,
            specials_in_text: Vec::new(),
            sample_mib: 64,
            file: None,
        }
    }
}

/// Kinds of tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerKind {
    /// Byte-level byte-pair encoding: no text is unknown to it.
    ByteBpe,
    /// Byte-pair encoding over characters.
    Bpe,
    /// Unigram language model (arXiv 1804.10959).
    Unigram,
    /// Words between white space, by frequency.
    Word,
    /// Characters.
    Char,
    /// Bytes.
    Byte,
}
