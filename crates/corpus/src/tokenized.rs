//! Text files as tokens in memory, cleaned and encoded as a corpus was: what a model is scored on.

use crate::{Cleaner, Encoding, Error, Format, ReadOptions, Special, Tokenizer, Unit, documents, inputs};

/// Text as one sequence of tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizedText {
    /// The tokens: those of each document, then one `<eos>`.
    pub tokens: Vec<u32>,
    /// UTF-8 bytes of the cleaned text, and one a document for its end.
    pub bytes: u64,
    /// Number of documents.
    pub documents: u64,
    /// Number of words between white space.
    pub words: u64,
    /// How many of the tokens are `<unk>`.
    pub unknown: u64,
}

/// Reads files, folders and globs, cleans every document as `cleaner` says, and encodes it. Nothing is filtered; a document that cleaning
/// leaves empty is left out, unless documents are lines of plain text: there a blank line is one `<eos>`, as the literature counts.
/// `key` is what errors call the patterns.
///
/// # Errors
/// A file cannot be found or read, or the tokenizer refuses.
pub fn tokenize_files(
    key: &str,
    patterns: &[String],
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<TokenizedText, Error> {
    let options = ReadOptions {
        unit: cleaner.unit(),
        text_field: cleaner.text_field().clone(),
        encoding: Encoding::parse("corpus.encoding", cleaner.encoding())?,
    };
    let (eos, unknown) = (tokenizer.special(Special::Eos), tokenizer.special(Special::Unk));
    let mut all = TokenizedText::default();
    for input in inputs(key, patterns)? {
        let keeps_blank = keeps_blank(options.unit, input.format);
        for document in documents(&input, &options)? {
            let document = document?;
            let text = cleaner.clean(&document.text);
            if !keeps_blank && is_blank(&text) {
                continue;
            }
            tokenizer.encode(&text, &mut all.tokens)?;
            all.tokens.push(eos);
            all.bytes += text.len() as u64 + 1;
            all.documents += 1;
            all.words += text.split_whitespace().count() as u64;
        }
    }
    all.unknown = all.tokens.iter().filter(|&&token| token == unknown).count() as u64;
    Ok(all)
}

/// Whether blank documents are part of the text: as lines of plain text they are.
pub(crate) fn keeps_blank(unit: Unit, format: Format) -> bool {
    unit == Unit::Line && format == Format::Text
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}
