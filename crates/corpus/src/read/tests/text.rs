//! Plain text: line ends, units, and that the size of buffers does not show.

use std::io::Read;

use proptest::prelude::*;

use super::decode::{LONGEST_DOCUMENT, LineEnds, TextReader};
use super::*;

fn check(content: &str, unit: Unit, expect: &[(u64, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let found = read(&file(folder.path(), "a.txt", content.as_bytes()), &options(unit, "utf-8")).unwrap();
    assert_eq!(found, owned(expect), "{content:?} {unit:?}");
}

#[test]
fn lines() {
    check("a", Unit::Line, &[(1, "a")]);
    check("a\n", Unit::Line, &[(1, "a")]);
    check("\n", Unit::Line, &[(1, "")]);
    check("a\n\nb\n\n", Unit::Line, &[(1, "a"), (2, ""), (3, "b"), (4, "")]);
    check("a\r\nb\rc\nd\r", Unit::Line, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    check("a\n\r\n\r\r\nb", Unit::Line, &[(1, "a"), (2, ""), (3, ""), (4, ""), (5, "b")]);
    check("\u{FEFF}a\u{85}b\u{2028}c\u{B}d\u{C}e\n", Unit::Line, &[(1, "a\u{85}b\u{2028}c\u{B}d\u{C}e")]);
    check("\0a\u{7}\u{1B}\0\nb \u{FEFF}", Unit::Line, &[(1, "\0a\u{7}\u{1B}\0"), (2, "b \u{FEFF}")]);
}

#[test]
fn paragraphs() {
    check("\n \n", Unit::Paragraph, &[]);
    check("a\nb", Unit::Paragraph, &[(1, "a\nb")]);
    check("\n\na\r\n b\r\n\t\r\n\r\nc\r\n\r\n", Unit::Paragraph, &[(3, "a\n b"), (7, "c")]);
}

#[test]
fn files() {
    check("a\r\n\r\nb\r", Unit::File, &[(1, "a\n\nb\n")]);
    check("\n", Unit::File, &[(1, "\n")]);
}

#[test]
fn a_line_of_400_000_characters() {
    let long = "长".repeat(400_000);
    check(&format!("a\n{long}\r\n{long}"), Unit::Line, &[(1, "a"), (2, &long), (3, &long)]);
    let rows = format!("{{\"text\":\"{long}\"}}\n{{\"text\":\"b\"}}\n");
    assert_eq!(read_content("a.jsonl", rows.as_bytes()).unwrap(), owned(&[(1, &long), (2, "b")]));
    assert_eq!(read_content("a.csv", format!("text\n{long}\n").as_bytes()).unwrap(), owned(&[(1, &long)]));
}

/// Documents of `bytes` by a reader that decodes `buffer` bytes at a time.
fn by_buffer(
    bytes: impl Read,
    encoding: &str,
    unit: Unit,
    buffer: usize,
    longest: usize,
) -> Result<Vec<Document>, Error> {
    let path = Path::new("a.txt");
    let encoding = Encoding::parse("corpus.encoding", encoding).unwrap();
    let text = TextReader::with_bounds(bytes, encoding, LineEnds::Fold, buffer, longest).unwrap();
    let mut lines = Lines::new(text, unit);
    std::iter::from_fn(|| lines.next_document(path).transpose()).collect()
}

#[test]
fn documents_without_bound_are_refused() {
    let text = format!("a\n\n{}\nb\n\n{}", "a".repeat(90), "b\n".repeat(80));
    let check = |unit, expect: Option<&str>| match by_buffer(text.as_bytes(), "utf-8", unit, 8, 100) {
        Ok(_) => assert_eq!(expect, None, "{unit:?}"),
        Err(error) => assert!(error.to_string().contains(expect.unwrap()), "{error}"),
    };
    check(Unit::Line, None);
    check(Unit::Paragraph, Some("a.txt:6: a document of more than 100 bytes"));
    check(Unit::File, Some("a.txt:1: a document of more than 100 bytes"));
}

/// Gives out one byte at a time, with an interruption before each.
struct Dripping<'a>(&'a [u8], bool);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

fn text() -> impl Strategy<Value = String> {
    let pieces =
        prop::sample::select(vec!["\n", "\n\n", "a", " ", "é", "长", "😀", "\u{85}", "\u{2028}", "\0", "word"]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn unit() -> impl Strategy<Value = Unit> {
    prop::sample::select(vec![Unit::Line, Unit::Paragraph, Unit::File])
}

proptest! {
    #[test]
    fn line_ends_and_buffers_do_not_show(
        text in text(),
        unit in unit(),
        buffer in 1usize..20,
        label in prop::sample::select(vec!["utf-8", "auto", "utf-16le", "gb18030"]),
    ) {
        let expect = by_buffer(text.as_bytes(), "utf-8", unit, 1 << 16, LONGEST_DOCUMENT).unwrap();
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end);
            let bytes = match label {
                "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                "gb18030" => encoding_rs::GB18030.encode(&text).0.into_owned(),
                _ => text.into_bytes(),
            };
            prop_assert_eq!(&by_buffer(&bytes[..], label, unit, buffer, LONGEST_DOCUMENT).unwrap(), &expect);
            prop_assert_eq!(&by_buffer(Dripping(&bytes, false), label, unit, buffer, LONGEST_DOCUMENT).unwrap(), &expect);
        }
    }

    #[test]
    fn any_bytes_are_documents_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        name in prop::sample::select(vec!["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.parquet"]),
        label in prop::sample::select(vec!["utf-8", "auto", "gb18030", "shift_jis", "iso-2022-jp", "utf-16be", "macintosh"]),
        unit in unit(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let result = read(&file(folder.path(), name, &bytes), &options(unit, label));
        let positions: Vec<_> = result.into_iter().flatten().map(|(position, _)| position).collect();
        prop_assert!(positions.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_buffer_does_not_show_in_undecodable_text(
        bytes in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..60),
        buffer in 1usize..9,
    ) {
        // So much ASCII that the text stays within what is tolerated.
        let bytes = [bytes, vec![b'a'; 60_000]].concat();
        let expect = by_buffer(&bytes[..], "utf-8", Unit::Line, 1 << 16, LONGEST_DOCUMENT).unwrap();
        prop_assert_eq!(by_buffer(&bytes[..], "utf-8", Unit::Line, buffer, LONGEST_DOCUMENT).unwrap(), expect);
    }
}
