//! Bytes to UTF-8 text, with line ends made one and undecodable characters counted.

use std::io::{self, BufRead, Chain, Cursor, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, UTF_8};

use super::encoding::{self, DETECTED, Encoding, Setting, TOLERATED, count_characters, count_multibyte};

/// Bytes that are decoded at a time.
pub(super) const BUFFER: usize = 1 << 16;

/// Bytes of UTF-8 that one document may hold: a bound for memory that no real document meets.
pub(super) const LONGEST_DOCUMENT: usize = 1 << 28;

/// Once so many characters have been read, ten times the tolerated share of undecodable ones ends the reading.
const ENOUGH: u64 = 1 << 20;

/// How files begin that some name text, what they are, and what to do. Most would decode as something.
const NO_TEXT: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b\x08", "data compressed by gzip", "text; a file that is named .gz is decompressed"),
    (b"\x28\xb5\x2f\xfd", "data compressed by Zstandard", "text; a file that is named .zst is decompressed"),
    (b"PK\x03\x04", "a ZIP archive (.docx, .xlsx and .epub are that too)", "text: unpack it"),
    (b"%PDF-", "a PDF document", "text: extract it first"),
    // Behind the name stands the header of a page.
    (b"PAR1\x15", "an Apache Parquet file", "text; such a file is read where it is named .parquet"),
];

/// What is wrong with the text itself; travels inside an [`io::Error`] through readers that know of no other.
#[derive(Debug, thiserror::Error)]
#[error("{found}; expected {expected}")]
pub(super) struct Fault {
    pub(super) found: String,
    pub(super) expected: String,
    /// Whether the document that is being read is at fault, rather than the file.
    pub(super) in_document: bool,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

/// What becomes of line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// They stay as they are.
    Keep,
    /// CRLF and CR become LF.
    Fold,
}

/// A reader of UTF-8 over bytes of any encoding.
pub(crate) struct TextReader<R> {
    bytes: Chain<Cursor<Vec<u8>>, R>,
    raw: Vec<u8>,
    /// The part of `raw` that is not decoded yet.
    undecoded: std::ops::Range<usize>,
    decoder: Decoder,
    marked: bool,
    text: String,
    /// How much of `text` has been handed out.
    taken: usize,
    ended: bool,
    line_ends: LineEnds,
    after_cr: bool,
    document: usize,
    longest: usize,
    characters: u64,
    multibyte: u64,
    replaced: u64,
    suspect: Option<Suspect>,
}

/// Bytes around undecodable characters, for a guess at what they are.
struct Suspect {
    detector: EncodingDetector,
    fed: usize,
}

impl<R: Read> TextReader<R> {
    /// Reads the beginning of `source` to settle the encoding, in which a byte order mark wins over `encoding`.
    pub(crate) fn new(source: R, encoding: Encoding, line_ends: LineEnds) -> io::Result<Self> {
        Self::with_bounds(source, encoding, line_ends, BUFFER, LONGEST_DOCUMENT)
    }

    /// As [`TextReader::new`], decoding `buffer` bytes at a time and refusing documents beyond `longest` bytes.
    pub(super) fn with_bounds(
        mut source: R,
        encoding: Encoding,
        line_ends: LineEnds,
        buffer: usize,
        longest: usize,
    ) -> io::Result<Self> {
        const LONGEST_MARK: usize = 5;
        let wanted = if encoding.0 == Setting::Detect { DETECTED } else { LONGEST_MARK };
        let mut prefix = Vec::new();
        source.by_ref().take(wanted as u64).read_to_end(&mut prefix)?;
        if let Some((_, found, expected)) = NO_TEXT.into_iter().find(|(magic, ..)| prefix.starts_with(magic)) {
            return Err(Fault { found: found.into(), expected: expected.into(), in_document: false }.into());
        }
        let mark = encoding_rs::Encoding::for_bom(&prefix);
        let used = match (mark, encoding.0) {
            (Some((marked, length)), _) => {
                prefix.drain(..length);
                marked
            }
            (None, Setting::Known(known)) => known,
            (None, Setting::Detect) => encoding::detect(&prefix, prefix.len() < wanted),
        };
        Ok(Self {
            bytes: Cursor::new(prefix).chain(source),
            raw: vec![0; buffer],
            undecoded: 0..0,
            decoder: used.new_decoder_without_bom_handling(),
            marked: mark.is_some(),
            text: String::new(),
            taken: 0,
            ended: false,
            line_ends,
            after_cr: false,
            document: 0,
            longest,
            characters: 0,
            multibyte: 0,
            replaced: 0,
            suspect: None,
        })
    }

    /// What the bytes are read from.
    pub(super) fn source(&self) -> &R {
        self.bytes.get_ref().1
    }

    /// Undecodable characters that U+FFFD stands for, so far.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Says that what is read from here on belongs to another document.
    pub(super) fn next_document(&mut self) {
        self.document = 0;
    }

    /// Decodes the next piece of text; none is left where `text` stays empty.
    fn decode(&mut self) -> io::Result<()> {
        self.text.clear();
        self.taken = 0;
        while self.text.is_empty() && !self.ended {
            if self.undecoded.is_empty() {
                self.undecoded = 0..read_some(&mut self.bytes, &mut self.raw)?;
            }
            self.decode_raw();
            self.characters += count_characters(&self.text);
            self.multibyte += count_multibyte(&self.text);
            self.check_undecodable()?;
            if self.line_ends == LineEnds::Fold && !self.text.is_empty() {
                fold_line_ends(&mut self.text, &mut self.after_cr);
            }
        }
        self.document += self.text.len();
        self.check_length()
    }

    /// Decodes what `raw` holds, or the end where it holds nothing, as far as `text` has room.
    fn decode_raw(&mut self) {
        /// Room for the longest that one step of the decoder writes.
        const STEP: usize = 16;
        let last = self.undecoded.is_empty();
        self.text.reserve(self.raw.len() + STEP);
        let mut suspicious = false;
        let start = self.undecoded.start;
        loop {
            let raw = &self.raw[self.undecoded.clone()];
            let (result, read) = self.decoder.decode_to_string_without_replacement(raw, &mut self.text, last);
            self.undecoded.start += read;
            match result {
                DecoderResult::InputEmpty => {
                    self.ended = last;
                    break;
                }
                DecoderResult::OutputFull => break,
                DecoderResult::Malformed(..) => {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    self.replaced += 1;
                    suspicious = true;
                    self.text.reserve(STEP);
                }
            }
        }
        if suspicious {
            let raw = &self.raw[start..self.undecoded.start];
            self.suspect.get_or_insert_with(Suspect::new).show(raw);
        }
    }

    fn check_undecodable(&mut self) -> io::Result<()> {
        let share = if self.ended { TOLERATED } else { TOLERATED / 10 };
        let decided = self.ended || self.characters >= ENOUGH;
        if decided && self.replaced * share > self.characters {
            self.ended = true;
            return Err(self.undecodable().into());
        }
        Ok(())
    }

    fn undecodable(&self) -> Fault {
        let used = self.decoder.encoding();
        // `multibyte` counts the replacements as well: do they outnumber what did decode?
        let damaged = used == UTF_8 && self.multibyte > 2 * self.replaced;
        let guess = self.suspect.as_ref().map_or(used, |suspect| suspect.guess(used));
        let expected = if self.marked {
            format!("{} throughout, as the byte order mark says: repair the file", used.name())
        } else if damaged || guess == used {
            format!("{} throughout: repair the file, for no other encoding fits better", used.name())
        } else {
            let guess = guess.name().to_ascii_lowercase();
            let named = format!("encoding = \"{guess}\" in the config, or --encoding {guess} where there is none");
            format!("{}, or the encoding by its name: {named}", used.name())
        };
        let found = format!(
            "{} of {} characters cannot be decoded as {} (0.1 % are tolerated)",
            self.replaced,
            self.characters,
            used.name()
        );
        Fault { found, expected, in_document: false }
    }

    fn check_length(&mut self) -> io::Result<()> {
        if self.document <= self.longest {
            return Ok(());
        }
        self.ended = true;
        let found = format!("a document of more than {} bytes", self.longest);
        let expected =
            "shorter ones: corpus.unit = \"line\" or \"paragraph\" for plain text, closed quotes in CSV and TSV";
        Err(Fault { found, expected: expected.into(), in_document: true }.into())
    }
}

impl Suspect {
    fn new() -> Self {
        Self { detector: EncodingDetector::new(Iso2022JpDetection::Deny), fed: 0 }
    }

    fn show(&mut self, raw: &[u8]) {
        let raw = &raw[..raw.len().min(DETECTED - self.fed)];
        self.detector.feed(raw, false);
        self.fed += raw.len();
    }

    /// The likeliest encoding; UTF-8 only where it is not what was `used`.
    fn guess(&self, used: &'static encoding_rs::Encoding) -> &'static encoding_rs::Encoding {
        self.detector.guess(None, if used == UTF_8 { Utf8Detection::Deny } else { Utf8Detection::Allow })
    }
}

impl<R: Read> BufRead for TextReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.text.len() {
            self.decode()?;
        }
        Ok(&self.text.as_bytes()[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.text.len().min(self.taken + amount);
    }
}

impl<R: Read> Read for TextReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// One read, again where a signal cut in; 0 at the end only.
fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Turns CRLF and CR into LF; `after_cr` carries over that the text before ended in a CR.
fn fold_line_ends(text: &mut String, after_cr: &mut bool) {
    if *after_cr && text.starts_with('\n') {
        text.remove(0);
    }
    *after_cr = text.ends_with('\r');
    if text.contains('\r') {
        *text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
}
