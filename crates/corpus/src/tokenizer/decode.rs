//! From ids back to text, at once or as they come.

use tokenizers::Tokenizer as Library;

use super::Tokenizer;
use super::pipeline::{self, SPACE_MARK};
use crate::TokenizerKind;

/// How ids become text.
pub(super) enum Detokenizer {
    /// Tokens stand for these bytes, by id; between two tokens stands `between`. Specials stand for nothing.
    Bytes { pieces: Vec<Option<Box<[u8]>>>, between: &'static str },
    /// As the file says, by the library.
    Library,
}

impl Detokenizer {
    /// For a tokenizer of a kind that was trained here, or any other (`None`). `skipped` are ids that stand for nothing.
    pub(super) fn of(kind: Option<TokenizerKind>, tokens: &[String], skipped: impl Fn(u32) -> bool) -> Self {
        let Some(kind) = kind else { return Self::Library };
        let bytes = |token: &String| match kind {
            TokenizerKind::ByteBpe | TokenizerKind::Byte => {
                // A special that stands in the text, "<unk>", is spelt as itself, too.
                pipeline::token_bytes(token).unwrap_or_else(|| token.clone().into_bytes())
            }
            TokenizerKind::Bpe | TokenizerKind::Unigram => token.replace(SPACE_MARK, " ").into_bytes(),
            TokenizerKind::Word | TokenizerKind::Char => token.clone().into_bytes(),
        };
        let piece = |(id, token): (u32, &String)| (!skipped(id)).then(|| bytes(token).into_boxed_slice());
        let pieces = (0..).zip(tokens).map(piece).collect();
        Self::Bytes { pieces, between: if kind == TokenizerKind::Word { " " } else { "" } }
    }
}

/// Text from tokens that come one by one, as in generation. It never splits a character, and what [`push`] and
/// [`finish`] return is together what [`Tokenizer::decode`] returns for all ids (for a `tokenizer.json` from elsewhere:
/// as far as its decoder works from left to right).
///
/// [`push`]: Self::push
/// [`finish`]: Self::finish
#[derive(Debug)]
pub struct StreamDecoder<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes that may yet become a character.
    pending: Vec<u8>,
    /// Whether a token came.
    begun: bool,
    /// The ids of which the library decodes `shown`, and more with what follows.
    window: Vec<u32>,
    shown: String,
}

/// Most ids that the window of a tokenizer from elsewhere waits for to end in a whole character.
const WINDOW: usize = 16;

impl<'t> StreamDecoder<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, pending: Vec::new(), begun: false, window: Vec::new(), shown: String::new() }
    }

    /// The text that this token completes; `None` for a special, an id outside of the vocabulary, or part of a character.
    pub fn push(&mut self, id: u32) -> Option<String> {
        let (pieces, between) = match &self.tokenizer.detokenizer {
            Detokenizer::Bytes { pieces, between } => (pieces, between),
            Detokenizer::Library => return self.push_window(id),
        };
        let piece = pieces.get(id as usize)?.as_ref()?;
        if self.begun {
            self.pending.extend_from_slice(between.as_bytes());
        }
        self.begun = true;
        self.pending.extend_from_slice(piece);
        let whole = whole_characters(&self.pending);
        let text = String::from_utf8_lossy(&self.pending[..whole]).into_owned();
        self.pending.drain(..whole);
        (!text.is_empty()).then_some(text)
    }

    /// What is left: a replacement character for part of a character that did not get its end.
    pub fn finish(self) -> Option<String> {
        let text = match self.tokenizer.detokenizer {
            Detokenizer::Bytes { .. } => String::from_utf8_lossy(&self.pending).into_owned(),
            Detokenizer::Library => {
                let text = library_decode(&self.tokenizer.library, &self.window)?;
                text.strip_prefix(&self.shown)?.to_owned()
            }
        };
        (!text.is_empty()).then_some(text)
    }

    fn push_window(&mut self, id: u32) -> Option<String> {
        if self.tokenizer.is_skipped(id) {
            return None;
        }
        self.window.push(id);
        let text = library_decode(&self.tokenizer.library, &self.window)?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.window.len() < WINDOW {
            return None;
        }
        let fresh = text.strip_prefix(&self.shown).unwrap_or_default().to_owned();
        // The last token stays, so that the next one is not taken for the first of a text.
        self.window = vec![id];
        self.shown = library_decode(&self.tokenizer.library, &self.window).unwrap_or_default();
        (!fresh.is_empty()).then_some(fresh)
    }
}

/// How many bytes come before an unfinished character at the end, if there is one.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let broken = last.map_or(&[][..], |chunk| chunk.invalid());
    // Bytes that no further byte can complete are broken for good.
    match std::str::from_utf8(broken) {
        Err(error) if error.error_len().is_none() => bytes.len() - broken.len(),
        _ => bytes.len(),
    }
}

fn library_decode(library: &Library, ids: &[u32]) -> Option<String> {
    super::guarded(|| library.decode(ids, true).map_err(|error| error.to_string())).ok()
}

/// Joins pieces as [`Detokenizer::Bytes`] says.
pub(super) fn join(pieces: &[Option<Box<[u8]>>], between: &str, ids: &[u32]) -> String {
    let mut bytes = Vec::new();
    let mut begun = false;
    for piece in ids.iter().filter_map(|&id| pieces.get(id as usize)?.as_ref()) {
        if begun {
            bytes.extend_from_slice(between.as_bytes());
        }
        begun = true;
        bytes.extend_from_slice(piece);
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unfinished_character_waits() {
        for (bytes, expect) in [
            (&b""[..], 0),
            (b"ab", 2),
            ("é".as_bytes(), 2),
            (b"a\xc3", 1),
            (b"a\xe4\xbd", 1),
            (b"a\xf0\x9f\x98", 1),
            (b"\xff", 1),
            (b"\xe4\xbdA", 3),
            (b"\x80\x80", 2),
        ] {
            assert_eq!(whole_characters(bytes), expect, "{bytes:?}");
        }
    }
}
