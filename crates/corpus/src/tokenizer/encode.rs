//! Encoding without the library's bookkeeping of offsets.
//!
//! A tokenizer that was trained here is recognised by its pipeline; its words are split here, and looked up in a cache
//! before its model is asked. Any other goes through the library. Both ways give the same ids (a property test).

use std::sync::{PoisonError, RwLock};

use foldhash::{HashMap, HashMapExt};
use serde_json::Value;
use tokenizers::models::ModelWrapper;
use tokenizers::{Model, Tokenizer as Library};

use super::pipeline::{self, BYTE_CHARS, SPACE_MARK};
use super::specials::{self, Special};
use crate::{Error, TokenizerKind};

/// Most words in the cache; frequent ones come early.
const CACHE_WORDS: usize = 1 << 17;

/// How text becomes ids.
pub(super) enum Encoder {
    /// Subwords of pre-tokens.
    Subword { kind: TokenizerKind, cache: RwLock<HashMap<Box<str>, Box<[u32]>>> },
    /// Words, each an id.
    Word { ids: HashMap<String, u32> },
    /// Characters, each an id.
    Char { ids: HashMap<char, u32> },
    /// Bytes, each an id.
    Byte { ids: Box<[u32; 256]> },
    /// As the file says, by the library.
    Library,
}

impl Encoder {
    /// The way for a tokenizer of a kind that was trained here, or any other (`None`).
    pub(super) fn of(kind: Option<TokenizerKind>, library: &Library) -> Self {
        let vocabulary = library.get_vocab(false);
        match kind {
            Some(kind @ (TokenizerKind::ByteBpe | TokenizerKind::Bpe | TokenizerKind::Unigram)) => {
                Self::Subword { kind, cache: RwLock::new(HashMap::new()) }
            }
            Some(TokenizerKind::Word) => Self::Word { ids: vocabulary.into_iter().collect() },
            Some(TokenizerKind::Char) => {
                let single = |(token, id): (String, u32)| {
                    let mut chars = token.chars();
                    chars.next().filter(|_| chars.next().is_none()).map(|c| (c, id))
                };
                Self::Char { ids: vocabulary.into_iter().filter_map(single).collect() }
            }
            Some(TokenizerKind::Byte) => {
                let id = |c: char| vocabulary.get(String::from(c).as_str()).copied();
                let ids: Option<Vec<u32>> = BYTE_CHARS.iter().map(|&c| id(c)).collect();
                ids.and_then(|ids| ids.try_into().ok()).map_or(Self::Library, |ids| Self::Byte { ids })
            }
            None => Self::Library,
        }
    }

    /// Appends the ids of a text.
    pub(super) fn encode(
        &self,
        library: &Library,
        in_text: &[Special],
        specials: &[u32; Special::ALL.len()],
        text: &str,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        if matches!(self, Self::Library) {
            let encode = || library.encode_fast(text, false).map_err(|error| error.to_string());
            out.extend_from_slice(super::guarded(encode).map_err(Error::Tokenizer)?.get_ids());
            return Ok(());
        }
        let unknown = specials[Special::Unk as usize];
        if in_text.is_empty() {
            return self.encode_plain(library, unknown, text, out);
        }
        for part in specials::split(text, in_text) {
            match part {
                Ok(text) => self.encode_plain(library, unknown, text, out)?,
                Err(special) => out.push(specials[special as usize]),
            }
        }
        Ok(())
    }

    fn encode_plain(&self, library: &Library, unknown: u32, text: &str, out: &mut Vec<u32>) -> Result<(), Error> {
        match self {
            Self::Subword { kind, cache } => return subwords(*kind, cache, library.get_model(), text, out),
            Self::Word { ids } => {
                out.extend(text.split_whitespace().map(|word| ids.get(word).copied().unwrap_or(unknown)));
            }
            Self::Char { ids } => out.extend(text.chars().map(|c| ids.get(&c).copied().unwrap_or(unknown))),
            Self::Byte { ids } => out.extend(text.bytes().map(|byte| ids[usize::from(byte)])),
            Self::Library => {}
        }
        Ok(())
    }
}

/// The kind that a file has if it was written here.
pub(super) fn kind(library: &Library, json: &Value) -> Option<TokenizerKind> {
    use TokenizerKind::{Bpe, Byte, ByteBpe, Char, Unigram, Word};
    let is_ours = |kind: &TokenizerKind| {
        let model = match (kind, library.get_model()) {
            (ByteBpe, ModelWrapper::BPE(_)) | (Unigram, ModelWrapper::Unigram(_)) => true,
            // Without merges, each character is a token.
            (Char | Byte, ModelWrapper::BPE(model)) => {
                json["model"]["merges"].as_array().is_some_and(Vec::is_empty)
                    && (!model.fuse_unk && !model.byte_fallback && !model.ignore_merges)
                    && model.continuing_subword_prefix.is_none()
                    && model.end_of_word_suffix.is_none()
                    && model.unk_token.as_deref() == (*kind == Char).then_some(Special::Unk.text())
            }
            (Bpe, ModelWrapper::BPE(_)) => true,
            (Word, ModelWrapper::WordLevel(model)) => model.unk_token == Special::Unk.text(),
            _ => false,
        };
        model && json["pre_tokenizer"] == pipeline::pre_tokenizer(*kind) && json["decoder"] == pipeline::decoder(*kind)
    };
    let plain = json["normalizer"].is_null() && json["post_processor"].is_null();
    let added = json["added_tokens"].as_array()?;
    let in_text: Vec<Special> = added
        .iter()
        .filter(|token| token["special"] == false)
        .filter_map(|token| Special::from_text(token["content"].as_str()?))
        .collect();
    if !plain || *added != specials::added_tokens(&in_text) {
        return None;
    }
    [ByteBpe, Bpe, Unigram, Word, Char, Byte].into_iter().find(is_ours)
}

type Cache = RwLock<HashMap<Box<str>, Box<[u32]>>>;

fn subwords(
    kind: TokenizerKind,
    cache: &Cache,
    model: &ModelWrapper,
    text: &str,
    out: &mut Vec<u32>,
) -> Result<(), Error> {
    let mut fresh: Vec<(&str, Box<[u32]>)> = Vec::new();
    {
        let known = cache.read().unwrap_or_else(PoisonError::into_inner);
        let mut mapped = String::new();
        for word in pipeline::pre_tokens(text) {
            if let Some(ids) = known.get(word) {
                out.extend_from_slice(ids);
                continue;
            }
            let start = out.len();
            tokenize(kind, model, word, &mut mapped, out)?;
            if known.len() + fresh.len() < CACHE_WORDS {
                fresh.push((word, out[start..].into()));
            }
        }
    }
    if !fresh.is_empty() {
        let mut known = cache.write().unwrap_or_else(PoisonError::into_inner);
        let room = CACHE_WORDS.saturating_sub(known.len());
        known.extend(fresh.into_iter().take(room).map(|(word, ids)| (word.into(), ids)));
    }
    Ok(())
}

/// Appends the ids of one pre-token; `mapped` is scratch space.
fn tokenize(
    kind: TokenizerKind,
    model: &ModelWrapper,
    word: &str,
    mapped: &mut String,
    out: &mut Vec<u32>,
) -> Result<(), Error> {
    for_each_token(kind, model, word, mapped, |id, _| out.push(id))
}

/// Calls `each` with the id of every token of one pre-token, and how many characters of what the model sees (bytes of the
/// word, or its characters with marks for spaces) the token stands for; `mapped` is scratch space.
pub(super) fn for_each_token(
    kind: TokenizerKind,
    model: &ModelWrapper,
    word: &str,
    mapped: &mut String,
    mut each: impl FnMut(u32, usize),
) -> Result<(), Error> {
    mapped.clear();
    let words: &mut dyn Iterator<Item = &str> = if kind == TokenizerKind::ByteBpe {
        mapped.extend(word.bytes().map(|byte| BYTE_CHARS[usize::from(byte)]));
        &mut std::iter::once(mapped.as_str())
    } else {
        mapped.extend(word.chars().map(|c| if c == ' ' { SPACE_MARK } else { c }));
        &mut pipeline::marked_words(mapped)
    };
    for marked in words {
        for token in model.tokenize(marked).map_err(super::refused)? {
            each(token.id, marked.get(token.offsets.0..token.offsets.1).map_or(0, |part| part.chars().count()));
        }
    }
    Ok(())
}
