//! Tokenizers: trained on text, kept as HuggingFace `tokenizer.json`.
//!
//! | kind | units | unknown text |
//! | --- | --- | --- |
//! | `byte_bpe` | merged bytes | none |
//! | `bpe` | merged characters, `▁` for a space | a run of characters that training did not see is one `<unk>` |
//! | `unigram` | pieces of a unigram language model, `▁` for a space | as `bpe` |
//! | `word` | words between white space | `<unk>` |
//! | `char` | characters | `<unk>` each |
//! | `byte` | bytes | none |
//!
//! All but `word` give back the text that they encoded, unknown characters aside.

mod bpe;
mod decode;
mod encode;
mod pipeline;
mod spans;
mod specials;
mod train;
mod unigram;

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use grulm_durable::digest::sha256;
use serde_json::Value;
use tokenizers::Tokenizer as Library;

use crate::{Error, TokenizerConfig};
use decode::Detokenizer;
pub use decode::StreamDecoder;
use encode::Encoder;
pub use specials::Special;

/// Turns text into token ids and back.
///
/// ```
/// use grulm_corpus::{Special, Tokenizer, TokenizerConfig};
///
/// let config = TokenizerConfig { vocab_size: 300, ..Default::default() };
/// let tokenizer = Tokenizer::train(&config, &["the cat and the dog and the bird".to_owned()])?;
/// let mut ids = vec![tokenizer.special(Special::Bos)];
/// tokenizer.encode("the bat <eos>", &mut ids)?;
/// assert!(!ids.contains(&tokenizer.special(Special::Eos)), "a special typed in a text is text");
/// assert_eq!(tokenizer.decode(&ids)?, "the bat <eos>");
/// # Ok::<(), grulm_corpus::Error>(())
/// ```
pub struct Tokenizer {
    library: Library,
    encoder: Encoder,
    detokenizer: Detokenizer,
    /// Tokens by id.
    tokens: Vec<String>,
    /// Ids of the specials, in their order.
    specials: [u32; Special::ALL.len()],
    /// Those that stand in the corpus as words.
    in_text: Vec<Special>,
    json: Vec<u8>,
    hash: String,
}

impl Tokenizer {
    /// Trains on documents, as the config says. The same texts give the same file, in any process, whatever the number
    /// of threads.
    ///
    /// # Errors
    /// [`Error::Config`]: a vocabulary too small for the alphabet, an entry of `specials_in_text` that is no special,
    /// or 4 GiB of text and more. [`Error::Tokenizer`]: the library refuses what was trained.
    pub fn train(config: &TokenizerConfig, texts: &[String]) -> Result<Self, Error> {
        let json = train::train(config, texts)?;
        // The library writes the file: in its own layout, tokens by id.
        let library: Library = serde_json::from_value(json).map_err(refused)?;
        let json = library.to_string(true).map_err(refused)?;
        Self::parse(json.into_bytes()).map_err(Error::Tokenizer)
    }

    /// Opens a `tokenizer.json`, trained here or elsewhere.
    ///
    /// # Errors
    /// [`Error::Io`]: the file cannot be read. [`Error::Format`]: it is no tokenizer, lacks one of the special tokens,
    /// has ids that are not 0, 1, 2, ..., or encodes at random (dropout).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = fs::read(path).map_err(Error::io(path))?;
        Self::parse(json).map_err(|found| Error::Format {
            path: path.to_owned(),
            position: None,
            found,
            expected: format!("a HuggingFace tokenizer.json with {}", Special::ALL.map(Special::text).join(", ")),
        })
    }

    fn parse(json: Vec<u8>) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(&json).map_err(|error| format!("no JSON: {error}"))?;
        check(&value)?;
        let mut library = guarded(|| Library::from_bytes(&json).map_err(|error| error.to_string()))?;
        library.set_encode_special_tokens(true);
        // A file from elsewhere may shorten or fill up what it encodes.
        library.with_truncation(None).map_err(|error| error.to_string())?;
        library.with_padding(None);

        let tokens = tokens_by_id(&library)?;
        let mut specials = [0; Special::ALL.len()];
        for (id, special) in specials.iter_mut().zip(Special::ALL) {
            *id = library.token_to_id(special.text()).ok_or_else(|| format!("no token {}", special.text()))?;
        }
        let in_text: Vec<Special> = library
            .get_added_tokens_decoder()
            .values()
            .filter(|token| !token.special)
            .filter_map(|token| Special::from_text(&token.content))
            .collect();
        let kind = encode::kind(&library, &value);
        let encoder = Encoder::of(kind, &library);
        let skipped = |id| Special::ALL.into_iter().zip(specials).any(|(s, of)| of == id && !in_text.contains(&s));
        let detokenizer = Detokenizer::of(kind, &tokens, skipped);
        let hash = sha256(&json);
        Ok(Self { library, encoder, detokenizer, tokens, specials, in_text, json, hash })
    }

    /// Writes `tokenizer.json`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        grulm_durable::write(path, &self.json).map_err(Error::io(path))
    }

    /// The content of `tokenizer.json`.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Specials that stand in the corpus as words.
    pub(crate) fn in_text(&self) -> &[Special] {
        &self.in_text
    }

    /// SHA-256 of the file, in lower-case hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Number of tokens, specials included; ids are below it.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// Appends the ids of a text. None of them is a special but `<unk>` and those of `specials_in_text`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`]: the library refuses; what was trained here takes any text.
    pub fn encode(&self, text: &str, out: &mut Vec<u32>) -> Result<(), Error> {
        let start = out.len();
        self.encoder.encode(&self.library, &self.in_text, &self.specials, text, out)?;
        // A vocabulary of words holds "<eos>", too, and finds it in the text.
        for id in &mut out[start..] {
            if self.is_skipped(*id) {
                *id = self.special(Special::Unk);
            }
        }
        Ok(())
    }

    /// The ids of a text, those of [`encode`](Self::encode), each with the bytes of the text that it stands for: whole
    /// characters, without the white space around them. Nothing but white space is an empty range.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_spans(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        let mut spans = self.spans(text)?;
        for (id, span) in &mut spans {
            if self.is_skipped(*id) {
                *id = self.special(Special::Unk);
            }
            *span = spans::trimmed(text, span.clone());
        }
        Ok(spans)
    }

    /// The text of tokens; specials, but for those of `specials_in_text`, are skipped. Bytes that are no UTF-8 become
    /// U+FFFD.
    ///
    /// # Errors
    /// [`Error::Tokenizer`]: an id outside of the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.tokens.len()) {
            return Err(Error::Tokenizer(format!(
                "no token has the id {id}: the vocabulary ends at {}",
                self.tokens.len() - 1
            )));
        }
        match &self.detokenizer {
            Detokenizer::Bytes { pieces, between } => Ok(decode::join(pieces, between, ids)),
            Detokenizer::Library => {
                let ids: Vec<u32> = ids.iter().copied().filter(|&id| !self.is_skipped(id)).collect();
                guarded(|| self.library.decode(&ids, true).map_err(|error| error.to_string())).map_err(Error::Tokenizer)
            }
        }
    }

    /// Decodes tokens as they come.
    #[must_use]
    pub fn decoder(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self)
    }

    /// The id of a special.
    #[must_use]
    pub fn special(&self, special: Special) -> u32 {
        self.specials[special as usize]
    }

    /// The token of an id, as `tokenizer.json` spells it.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokens.get(id as usize).cloned()
    }

    /// Whether an id is a special that never stands in a text.
    fn is_skipped(&self, id: u32) -> bool {
        Special::ALL.into_iter().zip(self.specials).any(|(special, of)| of == id && !self.in_text.contains(&special))
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// Refuses what the library reads but does not do in a reproducible way, or at all.
fn check(json: &Value) -> Result<(), String> {
    match &json["model"]["dropout"] {
        Value::Null => {}
        dropout if dropout.as_f64() == Some(0.0) => {}
        dropout => return Err(format!("model.dropout = {dropout}, which encodes at random")),
    }
    if has_empty_cut(&json["pre_tokenizer"]) {
        return Err("a pre-tokenizer FixedLength of length 0".into());
    }
    // The library cuts the prefix off the right part of a merge without looking.
    let prefix = json["model"]["continuing_subword_prefix"].as_str().unwrap_or_default();
    let right = |merge: &Value| match merge {
        Value::String(both) => both.split_once(' ').map(|(_, right)| right.to_owned()),
        parts => parts[1].as_str().map(str::to_owned),
    };
    let merges = json["model"]["merges"].as_array().into_iter().flatten();
    match merges.filter_map(right).find(|right| !right.starts_with(prefix)) {
        Some(right) => Err(format!("a merge with {right:?}, which lacks the continuing_subword_prefix {prefix:?}")),
        None => Ok(()),
    }
}

fn has_empty_cut(json: &Value) -> bool {
    match json {
        Value::Object(fields) => {
            (json["type"] == "FixedLength" && json["length"] == 0) || fields.values().any(has_empty_cut)
        }
        Value::Array(items) => items.iter().any(has_empty_cut),
        _ => false,
    }
}

/// The tokens, whose ids have to be 0, 1, 2, ...: they are rows of an embedding.
fn tokens_by_id(library: &Library) -> Result<Vec<String>, String> {
    let vocabulary = library.get_vocab(true);
    let size = vocabulary.len();
    let mut tokens = vec![None; size];
    for (token, id) in vocabulary {
        let place = tokens.get_mut(id as usize).ok_or_else(|| format!("id {id} of {token:?} among {size} tokens"))?;
        if let Some(other) = place.replace(token) {
            return Err(format!("more than one token with the id {id}, {other:?} among them"));
        }
    }
    Ok(tokens.into_iter().flatten().collect())
}

/// Runs the library on a file from elsewhere: it has assertions that such a file can reach.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("the tokenizer library cannot work with it".into()))
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Tokenizer(error.to_string())
}
