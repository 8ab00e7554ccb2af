//! Texts as tokens, in a file of their own that is mapped into memory.

use grulm_corpus::{Cleaner, ShardWriter, Special, TokenStream, Tokenizer, Width};
use grulm_model::Site;
use rayon::prelude::*;
use tempfile::TempDir;

use crate::Error;

/// A text, or two that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The one after it.
    pub pair: Option<String>,
}

impl Text {
    /// Its tokens, `<eos>`, the text, (`<sep>`, its pair,) `<eos>`, and the bytes of what they stand for. Cleaned and encoded as
    /// in pretraining, where each document stands between two `<eos>`.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode(&self, cleaner: &Cleaner, tokenizer: &Tokenizer) -> Result<(Vec<u32>, u64), Error> {
        let mut tokens = vec![tokenizer.special(Special::Eos)];
        let text = cleaner.clean(&self.text);
        tokenizer.encode(&text, &mut tokens)?;
        let mut bytes = text.len() as u64 + 1;
        if let Some(pair) = &self.pair {
            let separator = tokenizer.special(Special::Sep);
            let place = tokens.len();
            tokens.push(separator);
            let pair = cleaner.clean(pair);
            tokenizer.encode(&pair, &mut tokens)?;
            bytes += pair.len() as u64 + 1;
            // There is one between two texts, even where tokenizer.specials_in_text finds it in them.
            let within = tokens.iter_mut().enumerate().filter(|(at, token)| *at != place && **token == separator);
            within.for_each(|(_, token)| *token = tokenizer.special(Special::Unk));
        }
        tokens.push(tokenizer.special(Special::Eos));
        Ok((tokens, bytes))
    }
}

/// Whether an example is held out for validation, where a share of `fraction` is: by a hash of its text, so that copies of a text
/// stay together.
pub(crate) fn is_held_out(text: &str, fraction: f64) -> bool {
    fraction > 0.0 && Site::new(0).named(text).uniform(0) < fraction
}

/// Tokens of many texts. They lie in a temporary file, so that memory holds 12 bytes a text.
#[derive(Debug)]
pub struct Examples {
    stream: TokenStream,
    /// Where each text ends in the stream.
    ends: Vec<u64>,
    bytes: u64,
    sha256: String,
    /// Removes the file at the end.
    _folder: TempDir,
}

impl Examples {
    /// Tokens of text number `index`.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        (self.ends[index] - self.start(index)) as usize
    }

    /// Tokens of every text.
    #[must_use]
    pub fn lengths(&self) -> Vec<u32> {
        (0..self.len()).map(|index| u32::try_from(self.length(index)).unwrap_or(u32::MAX)).collect()
    }

    /// The tokens of text number `index`.
    #[must_use]
    pub fn tokens(&self, index: usize) -> Vec<i64> {
        let mut tokens = vec![0; self.length(index)];
        self.stream.copy(self.start(index)..self.ends[index], &mut tokens);
        tokens
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The tokens of all texts, one after the other.
    #[must_use]
    pub fn stream(&self) -> &TokenStream {
        &self.stream
    }

    /// UTF-8 bytes of the cleaned texts, and one a text for its end.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the tokens, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Writes [`Examples`].
#[derive(Debug)]
pub struct ExamplesWriter<'a> {
    cleaner: &'a Cleaner,
    tokenizer: &'a Tokenizer,
    folder: TempDir,
    shard: ShardWriter,
    ends: Vec<u64>,
    /// Texts that wait to be encoded side by side, and their bytes.
    waiting: Vec<Text>,
    waiting_bytes: usize,
    framing: Framing,
    bytes: u64,
}

/// Where `<eos>` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Before and after each text, which is then read by itself.
    Around,
    /// After each text: all are read as one stream.
    After,
}

const SHARD: &str = "examples.bin";
const SIDE_BY_SIDE: usize = 4096;
/// Bytes of texts that wait, at most, but for the last of them.
const MOST_WAITING: usize = 16 << 20;

impl<'a> ExamplesWriter<'a> {
    /// Begins a temporary file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(cleaner: &'a Cleaner, tokenizer: &'a Tokenizer, framing: Framing) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
        let shard = ShardWriter::create(&folder.path().join(SHARD), Width::of_vocabulary(tokenizer.vocab_size()))?;
        Ok(Self {
            cleaner,
            tokenizer,
            folder,
            shard,
            ends: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            framing,
            bytes: 0,
        })
    }

    /// Adds a text.
    ///
    /// # Errors
    /// When the tokenizer refuses, or the disk is full.
    pub fn push(&mut self, text: Text) -> Result<(), Error> {
        self.waiting_bytes += text.text.len() + text.pair.as_ref().map_or(0, String::len);
        self.waiting.push(text);
        let full = self.waiting.len() >= SIDE_BY_SIDE || self.waiting_bytes >= MOST_WAITING;
        if full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let encode = |text: &Text| text.encode(self.cleaner, self.tokenizer);
        let encoded: Vec<_> = self.waiting.par_iter().map(encode).collect::<Result<_, Error>>()?;
        for (tokens, bytes) in encoded {
            self.shard.push(if self.framing == Framing::After { &tokens[1..] } else { &tokens })?;
            self.ends.push(self.shard.tokens());
            self.bytes += bytes;
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Ends the file and maps it.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn finish(mut self) -> Result<Examples, Error> {
        self.flush()?;
        let shard = self.shard.finish()?;
        let sha256 = shard.sha256.clone();
        let stream = TokenStream::open(self.folder.path(), &[shard])?;
        Ok(Examples { stream, ends: self.ends, bytes: self.bytes, sha256, _folder: self.folder })
    }
}
