//! Encoding with what each token stands for.

use std::ops::Range;

use super::encode::{self, Encoder};
use super::{Tokenizer, guarded, pipeline, specials};
use crate::{Error, Special, TokenizerKind};

impl Tokenizer {
    /// The ids of a text as the vocabulary has them, and the bytes that each stands for, white space too.
    pub(super) fn spans(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        let mut spans = Vec::new();
        if matches!(self.encoder, Encoder::Library) {
            let encoding = || self.library.encode(text, false).map_err(|error| error.to_string());
            let encoding = guarded(encoding).map_err(Error::Tokenizer)?;
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            spans.extend(tokens.map(|(&id, &(start, end))| (id, start..end)));
            return Ok(spans);
        }
        let mut at = 0;
        for part in specials::split(text, &self.in_text) {
            match part {
                Ok(plain) => {
                    self.spans_of(plain, at, &mut spans)?;
                    at += plain.len();
                }
                Err(special) => {
                    spans.push((self.special(special), at..at + special.text().len()));
                    at += special.text().len();
                }
            }
        }
        Ok(spans)
    }

    /// Appends those of a part without specials, which begins at byte `start` of the text.
    fn spans_of(&self, text: &str, start: usize, spans: &mut Vec<(u32, Range<usize>)>) -> Result<(), Error> {
        let unknown = self.special(Special::Unk);
        let place = |part: &str| {
            // A part of the text, so their addresses say where it stands.
            let at = start + (part.as_ptr() as usize - text.as_ptr() as usize);
            at..at + part.len()
        };
        match &self.encoder {
            Encoder::Subword { kind, .. } => {
                let mut mapped = String::new();
                for word in pipeline::pre_tokens(text) {
                    let (start, mut done) = (place(word).start, 0);
                    encode::for_each_token(*kind, self.library.get_model(), word, &mut mapped, |id, length| {
                        let bytes = match kind {
                            TokenizerKind::ByteBpe => length,
                            _ => word[done..].chars().take(length).map(char::len_utf8).sum(),
                        };
                        spans.push((id, start + done..start + done + bytes));
                        done += bytes;
                    })?;
                }
            }
            Encoder::Word { ids } => {
                spans.extend(
                    text.split_whitespace().map(|word| (ids.get(word).copied().unwrap_or(unknown), place(word))),
                );
            }
            Encoder::Char { ids } => {
                let char = |(at, c): (usize, char)| {
                    (ids.get(&c).copied().unwrap_or(unknown), start + at..start + at + c.len_utf8())
                };
                spans.extend(text.char_indices().map(char));
            }
            Encoder::Byte { ids } => {
                let byte = |(at, byte): (usize, u8)| (ids[usize::from(byte)], start + at..start + at + 1);
                spans.extend(text.bytes().enumerate().map(byte));
            }
            Encoder::Library => {}
        }
        Ok(())
    }
}

/// The part of a range that is not white space, widened to whole characters.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let start = (0..=range.start.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let end = (range.end..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let part = &text[start..end.max(start)];
    let start = start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}
