//! Which encoding text is in: by setting, by byte order mark, or by detection.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use grulm_config::Invalid;

/// Characters that may be undecodable, one in so many.
pub(super) const TOLERATED: u64 = 1000;

/// Bytes that a detector is shown at most.
pub(super) const DETECTED: usize = 1 << 20;

/// The encoding of files that have no byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(pub(super) Setting);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Known(&'static encoding_rs::Encoding),
    Detect,
}

impl Encoding {
    /// UTF-8, the default.
    pub const UTF_8: Self = Self(Setting::Known(encoding_rs::UTF_8));

    /// Found out for each file from its first MiB: UTF-8 where that decodes as such, else what chardetng guesses.
    pub const AUTO: Self = Self(Setting::Detect);

    /// The encoding that a label of the WHATWG Encoding Standard stands for, or "auto", letter case aside; `key` is the
    /// setting that says so.
    ///
    /// # Errors
    ///
    /// Where the label is none of these.
    pub fn parse(key: &str, label: &str) -> Result<Self, Invalid> {
        if label.trim().eq_ignore_ascii_case("auto") {
            return Ok(Self::AUTO);
        }
        // "replacement" stands for encodings that browsers refuse to decode: no text comes out of it.
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .map(|encoding| Self(Setting::Known(encoding)))
            .ok_or_else(|| {
                let allowed =
                    "\"auto\" or a label of the WHATWG Encoding Standard (\"utf-8\", \"gb18030\", \"windows-1252\", ...)";
                Invalid::new(key, label, allowed)
            })
    }

    /// The label that [`Encoding::parse`] takes for it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self.0 {
            Setting::Known(encoding) => encoding.name(),
            Setting::Detect => "auto",
        }
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::UTF_8
    }
}

/// The encoding of text that begins with `prefix`, which is all of it where `whole` is set.
pub(super) fn detect(prefix: &[u8], whole: bool) -> &'static encoding_rs::Encoding {
    if is_utf8(prefix, whole) {
        return encoding_rs::UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(prefix, whole);
    detector.guess(None, Utf8Detection::Deny)
}

/// Whether `prefix` is UTF-8, but for damage within the tolerance that other evidence of UTF-8 outweighs.
fn is_utf8(prefix: &[u8], whole: bool) -> bool {
    let (mut characters, mut multibyte, mut broken) = (0, 0, 0);
    for chunk in prefix.utf8_chunks() {
        let ascii = chunk.valid().bytes().filter(u8::is_ascii).count() as u64;
        let valid = count_characters(chunk.valid());
        characters += valid;
        multibyte += valid - ascii;
        broken += u64::from(!chunk.invalid().is_empty());
    }
    let cut = std::str::from_utf8(prefix).is_err_and(|error| error.error_len().is_none());
    if broken == 0 || (cut && !whole) {
        return true;
    }
    broken * TOLERATED <= characters && multibyte > broken
}

/// Characters in `text`, counted by their first bytes.
pub(super) fn count_characters(text: &str) -> u64 {
    text.bytes().filter(|&byte| !is_continuation(byte)).count() as u64
}

/// Characters in `text` beyond ASCII.
pub(super) fn count_multibyte(text: &str) -> u64 {
    text.bytes().filter(|&byte| byte >= 0xC0).count() as u64
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
