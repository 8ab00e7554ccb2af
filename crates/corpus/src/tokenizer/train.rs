//! From texts to `tokenizer.json`, for each kind.

use foldhash::{HashMap, HashMapExt};
use grulm_config::Invalid;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::pipeline::{self, BYTE_CHARS, SPACE_MARK};
use super::specials::{self, Special};
use super::{bpe, unigram};
use crate::{Error, TokenizerConfig, TokenizerKind};

const BYTES: usize = 256;
const SPECIALS: usize = Special::ALL.len();

/// Trains the kind that the config names and writes it as `tokenizer.json`.
pub(super) fn train(config: &TokenizerConfig, texts: &[String]) -> Result<Value, Error> {
    let in_text = specials::in_text(config)?;
    // Positions in the text are 32 bits wide.
    let bytes: usize = texts.iter().map(String::len).sum();
    if u32::try_from(bytes).is_err() {
        return Err(Invalid::new("tokenizer.sample_mib", bytes >> 20, "at most 4095").into());
    }
    let pieces = |text| in_text_free(text, &in_text);
    let model = match config.kind {
        TokenizerKind::ByteBpe => byte_bpe(config, &count(texts, |text| pieces(text).flat_map(pipeline::pre_tokens)))?,
        TokenizerKind::Bpe => bpe(config, &count(texts, |text| pieces(text).flat_map(pipeline::pre_tokens)))?,
        TokenizerKind::Unigram => unigram(config, &count(texts, |text| pieces(text).flat_map(pipeline::pre_tokens)))?,
        TokenizerKind::Word => word(config, count(texts, |text| pieces(text).flat_map(str::split_whitespace)))?,
        TokenizerKind::Char => char(config, count(texts, |text| pieces(text).flat_map(str::chars)))?,
        TokenizerKind::Byte => byte(config)?,
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": specials::added_tokens(&in_text),
        "normalizer": null,
        "pre_tokenizer": pipeline::pre_tokenizer(config.kind),
        "post_processor": null,
        "decoder": pipeline::decoder(config.kind),
        "model": model,
    }))
}

/// What lies between the specials of a text: they are nothing to learn.
fn in_text_free<'t>(text: &'t str, in_text: &[Special]) -> impl Iterator<Item = &'t str> + use<'t> {
    specials::split(text, in_text).into_iter().filter_map(Result::ok)
}

/// Counts the units of all texts. Sums of whole numbers: the order of the threads does not show.
fn count<'t, U, I>(texts: &'t [String], units: impl Fn(&'t str) -> I + Sync) -> HashMap<U, u64>
where
    U: Eq + std::hash::Hash + Send + 't,
    I: Iterator<Item = U>,
{
    let add = |mut counts: HashMap<U, u64>, text: &'t String| {
        units(text).for_each(|unit| *counts.entry(unit).or_default() += 1);
        counts
    };
    let join = |a: HashMap<U, u64>, b: HashMap<U, u64>| {
        let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
        small.into_iter().for_each(|(unit, count)| *large.entry(unit).or_default() += count);
        large
    };
    texts.par_iter().fold(HashMap::new, add).reduce(HashMap::new, join)
}

/// Units by text.
fn sorted<U: Ord + Copy>(counts: &HashMap<U, u64>) -> Vec<(U, u64)> {
    let mut sorted: Vec<_> = counts.iter().map(|(&unit, &count)| (unit, count)).collect();
    sorted.sort_unstable();
    sorted
}

/// Units by frequency, then by text, those that occur often enough.
fn by_frequency<U: Ord>(counts: HashMap<U, u64>, min_frequency: u64) -> Vec<U> {
    let mut units: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= min_frequency).collect();
    units.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    units.into_iter().map(|(unit, _)| unit).collect()
}

fn special_texts() -> impl Iterator<Item = String> {
    Special::ALL.into_iter().map(|special| special.text().to_owned())
}

/// Refuses a vocabulary that has no room for what every text needs.
fn room(config: &TokenizerConfig, needed: usize, why: &str) -> Result<(), Error> {
    if config.vocab_size < SPECIALS + needed {
        let allowed = format!("at least {}: {SPECIALS} specials and {needed} {why}", SPECIALS + needed);
        return Err(Invalid::new("tokenizer.vocab_size", config.vocab_size, allowed).into());
    }
    Ok(())
}

fn byte_tokens() -> Vec<String> {
    let mut alphabet = *BYTE_CHARS;
    alphabet.sort_unstable();
    special_texts().chain(alphabet.into_iter().map(String::from)).collect()
}

fn byte(config: &TokenizerConfig) -> Result<Value, Error> {
    room(config, BYTES, "bytes")?;
    Ok(bpe_model(&byte_tokens(), &[], None))
}

fn byte_bpe(config: &TokenizerConfig, counts: &HashMap<&str, u64>) -> Result<Value, Error> {
    room(config, BYTES, "bytes")?;
    let tokens = byte_tokens();
    let mut symbols = [0; BYTES];
    for (id, token) in (0..).zip(&tokens).skip(SPECIALS) {
        let byte = BYTE_CHARS.iter().position(|&c| token.starts_with(c));
        byte.into_iter().for_each(|byte| symbols[byte] = id);
    }
    let mut words = bpe::Words::default();
    for (word, count) in sorted(counts) {
        words.push(word.bytes().map(|byte| symbols[usize::from(byte)]), count);
    }
    let merged = bpe::merge(tokens, words, config.vocab_size, config.min_frequency);
    Ok(bpe_model(&merged.tokens, &merged.merges, None))
}

fn bpe(config: &TokenizerConfig, counts: &HashMap<&str, u64>) -> Result<Value, Error> {
    let Marked { alphabet, segments } = marked(config, counts)?;
    let tokens: Vec<String> = special_texts().chain(alphabet.iter().map(|&c| String::from(c))).collect();
    let symbols: HashMap<char, u32> = alphabet.into_iter().zip(SPECIALS as u32..).collect();
    let mut words = bpe::Words::default();
    for (segment, count) in segments {
        words.push(segment.chars().filter_map(|c| symbols.get(&c).copied()), count);
    }
    let merged = bpe::merge(tokens, words, config.vocab_size, config.min_frequency);
    Ok(bpe_model(&merged.tokens, &merged.merges, Some(true)))
}

fn unigram(config: &TokenizerConfig, counts: &HashMap<&str, u64>) -> Result<Value, Error> {
    let Marked { segments, .. } = marked(config, counts)?;
    let mut words = unigram::Words::default();
    segments.iter().for_each(|(segment, count)| words.push(segment.chars(), *count));
    let pieces = unigram::train(&words, config.vocab_size - SPECIALS, config.min_frequency);
    let vocab: Vec<_> = special_texts().map(|text| (text, 0.0)).chain(pieces).collect();
    Ok(json!({"type": "Unigram", "unk_id": Special::Unk as u32, "vocab": vocab, "byte_fallback": false}))
}

/// Words as `bpe` and `unigram` see them: spaces as marks, and what is rarer than `min_frequency` (unknown to the
/// vocabulary) left out, with a cut there.
struct Marked {
    /// The characters of the segments, by code point.
    alphabet: Vec<char>,
    /// Words or parts of them, and how often each occurs.
    segments: Vec<(String, u64)>,
}

fn marked(config: &TokenizerConfig, counts: &HashMap<&str, u64>) -> Result<Marked, Error> {
    let mark = |c| if c == ' ' { SPACE_MARK } else { c };
    let mut frequency: HashMap<char, u64> = HashMap::new();
    for (word, count) in counts {
        word.chars().for_each(|c| *frequency.entry(mark(c)).or_default() += count);
    }
    frequency.retain(|_, count| *count >= config.min_frequency);
    let why = "different characters that occur `tokenizer.min_frequency` times in the text (raise that to leave rare ones out)";
    room(config, frequency.len(), why)?;

    let mut segments = Vec::with_capacity(counts.len());
    for (word, count) in sorted(counts) {
        let marked: String = word.chars().map(mark).collect();
        let known = marked.split(|c| !frequency.contains_key(&c)).flat_map(pipeline::marked_words);
        segments.extend(known.map(|segment| (segment.to_owned(), count)));
    }
    let mut alphabet: Vec<char> = frequency.into_keys().collect();
    alphabet.sort_unstable();
    Ok(Marked { alphabet, segments })
}

fn word(config: &TokenizerConfig, mut counts: HashMap<&str, u64>) -> Result<Value, Error> {
    room(config, 1, "word")?;
    // Written out in the text, a special is a word that the vocabulary must not hold twice.
    Special::ALL.into_iter().for_each(|special| {
        counts.remove(special.text());
    });
    let words = by_frequency(counts, config.min_frequency).into_iter().map(str::to_owned);
    let vocab = ids(special_texts().chain(words).take(config.vocab_size));
    Ok(json!({"type": "WordLevel", "vocab": vocab, "unk_token": Special::Unk.text()}))
}

/// Characters by frequency, as words are: what does not fit is unknown.
fn char(config: &TokenizerConfig, counts: HashMap<char, u64>) -> Result<Value, Error> {
    room(config, 1, "character")?;
    let chars = by_frequency(counts, config.min_frequency).into_iter().map(String::from);
    let tokens: Vec<String> = special_texts().chain(chars).take(config.vocab_size).collect();
    Ok(bpe_model(&tokens, &[], Some(false)))
}

/// `fuse_unknown`: whether a run of unknown characters is one token; `None` where nothing is unknown.
fn bpe_model(tokens: &[String], merges: &[(u32, u32)], fuse_unknown: Option<bool>) -> Value {
    let token = |id: u32| tokens[id as usize].as_str();
    let merges: Vec<[&str; 2]> = merges.iter().map(|&(a, b)| [token(a), token(b)]).collect();
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": fuse_unknown.map(|_| Special::Unk.text()),
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": fuse_unknown.unwrap_or(false),
        "byte_fallback": false,
        "ignore_merges": false,
        "vocab": ids(tokens.iter().cloned()),
        "merges": merges,
    })
}

fn ids(tokens: impl Iterator<Item = String>) -> Value {
    Value::Object(tokens.zip(0_u32..).map(|(token, id)| (token, id.into())).collect())
}
