//! Texts and labels, as they should be and as they should not.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::labelled::{Fields, Labels, Row, Rows, from_reader, lines_from_reader, open, open_lines};
use crate::{Encoding, Error};

type Parts = (u64, String, Option<String>, Option<String>);

fn parts(row: Row) -> Parts {
    (row.number, row.text, row.pair, row.label)
}

fn collect(rows: Result<Rows, Error>) -> Result<Vec<Parts>, Error> {
    rows?.map(|row| row.map(parts)).collect()
}

/// Rows of a file of this name and content.
fn read(name: &str, content: &[u8], fields: &Fields, labels: Labels) -> Result<Vec<Parts>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    collect(open(&path, fields, labels, Encoding::UTF_8))
}

fn row(number: u64, text: &str, label: &str) -> Parts {
    (number, text.into(), None, Some(label.into()))
}

#[test]
fn labels_of_any_simple_type() {
    let content = concat!(
        "\u{FEFF}{\"label\":\"pos\",\"text\":\"a\"}\r\n",
        "\n",
        "{\"text\":\"\",\"label\":1,\"id\":9}\n",
        " {\"text\":\"b\\n\u{2028}\u{85}c\",\"label\":-1.50}\n",
        "{\"text\":\"x\",\"text\":\"d\",\"label\":true}\n",
        "{\"text\":\"e\",\"label\":\"\\u00fc \"}",
    );
    let expect = [
        row(1, "a", "pos"),
        row(3, "", "1"),
        row(4, "b\n\u{2028}\u{85}c", "-1.50"),
        row(5, "d", "true"),
        row(6, "e", "ü"),
    ];
    let fields = Fields::default();
    assert_eq!(read("a.jsonl", content.as_bytes(), &fields, Labels::Required).unwrap(), expect);
    assert_eq!(
        collect(from_reader(Cursor::new(content), Path::new("-"), &fields, Labels::Required, Encoding::UTF_8)).unwrap(),
        expect
    );
}

#[test]
fn tables() {
    let fields = Fields { text: "review".into(), label: Some("stars".into()), ..Fields::default() };
    let expect = [row(1, "a, \"b\"\r\nc", "5"), row(2, "", "1")];
    let csv = "stars,id,review\r\n5,1,\"a, \"\"b\"\"\r\nc\"\r\n 1 ,2,\r\n";
    let tsv = "review\tstars\n\"a, \"\"b\"\"\r\nc\"\t5\n\t1\n";
    let utf16: Vec<u8> = format!("\u{FEFF}{csv}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content) in [
        ("a.csv", csv.as_bytes().to_vec()),
        ("a.tsv", tsv.as_bytes().to_vec()),
        ("a.csv.gz", gzip(csv.as_bytes())),
        ("a.TSV.zst", zstd::encode_all(tsv.as_bytes(), 1).unwrap()),
        ("utf16.csv", utf16),
    ] {
        assert_eq!(read(name, &content, &fields, Labels::Required).unwrap(), expect, "{name}");
    }
    assert_eq!(read("a.csv", b"", &fields, Labels::Required).unwrap(), []);
    assert_eq!(read("a.csv", b"review,stars\n", &fields, Labels::Required).unwrap(), []);
}

#[test]
fn pairs_and_missing_labels() {
    let fields = Fields { text: "a".into(), pair: Some("b".into()), label: Some("c".into()) };
    let unlabelled = |number| (number, "x".into(), Some("y".into()), None);
    let json =
        "{\"a\":\"x\",\"b\":\"y\"}\n{\"a\":\"x\",\"b\":\"y\",\"c\":null}\n{\"a\":\"x\",\"b\":\"y\",\"c\":\" \"}\n";
    let expect = [unlabelled(1), unlabelled(2), unlabelled(3)];
    assert_eq!(read("a.jsonl", json.as_bytes(), &fields, Labels::Optional).unwrap(), expect);
    assert_eq!(read("a.csv", b"a,b\nx,y\n", &fields, Labels::Optional).unwrap(), expect[..1]);
    assert_eq!(read("a.csv", b"a,b,c\nx,y,\n", &fields, Labels::Optional).unwrap(), expect[..1]);
    // A label that is not asked for may be anything.
    let fields = Fields { label: None, ..fields };
    let json = b"{\"a\":\"x\",\"b\":\"y\",\"c\":[]}";
    assert_eq!(read("a.jsonl", json, &fields, Labels::Required).unwrap(), expect[..1]);
}

#[test]
fn records_keep_what_was_written() {
    let written = r#"{"z":12345678901234567890123,"text":"\u00e4","n":1.50,"label":0,"o":{"b":[1e400],"a":"\ud800"}}"#;
    let mut rows =
        from_reader(Cursor::new(written), Path::new("-"), &Fields::default(), Labels::Required, Encoding::UTF_8)
            .unwrap();
    let row = rows.next().unwrap().unwrap();
    assert_eq!(row.text, "ä");
    assert_eq!(serde_json::to_string(&row.record).unwrap(), written);
    assert!(rows.next().is_none());
}

#[test]
fn what_is_wrong_is_named() {
    let fields = Fields { pair: Some("pair".into()), ..Fields::default() };
    let good = "{\"text\":\"a\",\"pair\":\"b\",\"label\":\"c\"}\n";
    let check_at = |number: usize, bad: &str, parts: &[&str]| {
        let content = good.repeat(number - 1) + bad + "\n" + good;
        let result = read("a.jsonl", content.as_bytes(), &fields, Labels::Required);
        check_error(result.map(|rows| rows.len()), &[parts, &[format!("a.jsonl:{number}: ").as_str()]].concat());
    };
    check_at(40_000, "{\"text\":", &["malformed JSON (EOF", "at byte 8 of the row", "a JSON object"]);
    let check = |bad: &str, parts: &[&str]| check_at(3, bad, parts);
    check("{\"text\":\"a\"} {}", &["malformed JSON (trailing"]);
    check("\"text\"", &["a string instead of an object"]);
    check("{\"body\":\"a\"}", &["no `text` beside `body`", "a string `text` (task.text_field)"]);
    check("{\"text\":\"a\",\"label\":1}", &["no `pair` beside", "(task.pair_field)"]);
    check("{\"text\":\"a\",\"pair\":\"b\"}", &["no `label` beside", "in `label` (task.label_field)"]);
    check("{\"text\":7,\"pair\":\"b\",\"label\":1}", &["`text` is a number"]);
    check("{\"text\":\"\\ud800\",\"pair\":\"b\",\"label\":1}", &["`text` is malformed JSON ("]);
    check("{\"text\":\"a\",\"pair\":null,\"label\":1}", &["`pair` is null"]);
    check("{\"text\":\"a\",\"pair\":\"b\",\"label\":null}", &["`label` is null"]);
    check("{\"text\":\"a\",\"pair\":\"b\",\"label\":[\"c\"]}", &["`label` is an array"]);
    check("{\"text\":\"a\",\"pair\":\"b\",\"label\":\"\"}", &["`label` is empty"]);
    check("{\"text\":\"a\",\"pair\":\"b\",\"label\":\"\\t \"}", &["`label` is empty"]);
}

#[test]
fn what_is_wrong_with_a_table_is_named() {
    let check = |name: &str, content: &str, labels: Labels, parts: &[&str]| {
        check_error(read(name, content.as_bytes(), &Fields::default(), labels), parts);
    };
    check("a.csv", "text,y\n", Labels::Required, &["a.csv: no `label` beside `text`, `y`", "(task.label_field)"]);
    check("a.tsv", "label\ttxt\n", Labels::Optional, &["a.tsv: no `text` beside `label`, `txt`", "(task.text_field)"]);
    let semicolons =
        &["a.csv: no `text` beside `text;label`", "parted by commas in .csv files and by tabs in .tsv files"];
    check("a.csv", "text;label\na;b\n", Labels::Required, semicolons);
    check("a.csv", "text,label\na,b\nc\n", Labels::Required, &["a.csv:2: 1 fields on line 3", "expected 2"]);
    check("a.csv", "text,label\na,b\nc,\n", Labels::Required, &["a.csv:2: `label` is empty"]);
    for name in ["a.txt", "a.parquet", "a", "a.json.gz"] {
        check(name, "", Labels::Required, &[name, "named .jsonl, .ndjson, .csv or .tsv"]);
    }
    let gone = Path::new("no/such.csv");
    check_error(open(gone, &Fields::default(), Labels::Required, Encoding::UTF_8), &["no/such.csv: "]);
    let latin = b"{\"text\":\"\xE9t\xE9\",\"label\":\"fran\xE7ais\"}\n";
    let result = read("a.jsonl", latin, &Fields::default(), Labels::Required);
    check_error(result, &["cannot be decoded as UTF-8", " encoding = \"windows-125"]);
}

#[test]
fn other_encodings_by_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, encoding_rs::GBK.encode("text,label\n很好,好\n").0).unwrap();
    let encoding = Encoding::parse("task.encoding", "gb18030").unwrap();
    assert_eq!(collect(open(&path, &Fields::default(), Labels::Required, encoding)).unwrap(), [row(1, "很好", "好")]);
}

#[test]
fn a_text_of_a_million_characters() {
    let long = "长".repeat(1_000_000);
    let expect = [row(1, &long, "a"), row(2, "b", "c")];
    let json = format!("{{\"text\":\"{long}\",\"label\":\"a\"}}\n{{\"text\":\"b\",\"label\":\"c\"}}\n");
    let csv = format!("text,label\n{long},a\nb,c\n");
    for (name, content) in [("a.jsonl", json), ("a.csv", csv)] {
        assert!(read(name, content.as_bytes(), &Fields::default(), Labels::Required).unwrap() == expect, "{name}");
    }
}

#[test]
fn nothing_comes_after_an_error() {
    let content = "{\"text\":1}\n{\"text\":\"b\"}\n";
    let mut rows =
        from_reader(Cursor::new(content), Path::new("-"), &Fields::default(), Labels::Optional, Encoding::UTF_8)
            .unwrap();
    assert!(rows.next().unwrap().is_err());
    assert!(rows.next().is_none());
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in prop::collection::vec((any::<String>(), "\\PC*[^\\s]"), 0..8), extra in any::<u64>()) {
        let expect: Vec<Parts> = (1..).zip(&rows).map(|(number, (text, label))| row(number, text, label.trim())).collect();
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["label", "extra", "text"]).unwrap();
        let mut json = String::new();
        for (text, label) in &rows {
            csv.write_record([label.as_str(), &extra.to_string(), text]).unwrap();
            json += &format!("{}\n", serde_json::json!({"text": text, "extra": extra, "label": label}));
        }
        let csv = csv.into_inner().unwrap();
        prop_assert_eq!(&read("a.csv", &csv, &Fields::default(), Labels::Required).unwrap(), &expect);
        prop_assert_eq!(&read("a.jsonl", json.as_bytes(), &Fields::default(), Labels::Required).unwrap(), &expect);
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        rows in prop::collection::vec(prop::sample::select(vec!["{\"text\":\"a\"", ",\"label\":", "1", "}", "\n", "[", "\"", "text,label\n", "\r"]), 0..20),
        name in prop::sample::select(vec!["a.jsonl", "a.csv", "a.tsv"]),
    ) {
        for content in [bytes, rows.concat().into_bytes()] {
            let numbers: Vec<_> =
                read(name, &content, &Fields::default(), Labels::Optional).into_iter().flatten().map(|row| row.0).collect();
            prop_assert!(numbers.is_sorted_by(|a, b| a < b));
        }
    }
}

#[test]
fn lines_of_plain_text_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.de.gz");
    let text = "\u{FEFF}{\"a\": 1}\r\n\n b\u{85}\u{2028}\r";
    std::fs::write(&path, gzip(text.as_bytes())).unwrap();
    let rows: Vec<Row> = open_lines(&path, "source", Encoding::UTF_8).unwrap().map(Result::unwrap).collect();
    let expect = [(1, "{\"a\": 1}"), (2, ""), (3, " b\u{85}\u{2028}")];
    assert_eq!(rows.iter().map(|row| (row.number, row.text.as_str())).collect::<Vec<_>>(), expect);
    assert_eq!(serde_json::to_string(&rows[1].record).unwrap(), r#"{"source":""}"#);
    let from_reader = lines_from_reader(Cursor::new(text), Path::new("input"), "source", Encoding::UTF_8).unwrap();
    assert_eq!(from_reader.map(|row| row.unwrap().text).collect::<Vec<_>>(), expect.map(|(_, text)| text));
    check_error(open_lines(&folder.path().join("b"), "source", Encoding::UTF_8), &["b: "]);
}
