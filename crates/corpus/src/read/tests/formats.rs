//! Every text format in every compression and encoding, and what is refused in each.

use std::fmt::Write as _;
use std::io::Write as _;

use super::*;

const TEXTS: [&str; 3] = ["Grüße, Welt", "Ἐν ἀρχῇ \"ἦν\" ὁ λόγος", "北京\tи Москва"];

fn content(extension: &str) -> String {
    let mut content = String::new();
    match extension {
        "txt" => TEXTS.iter().for_each(|text| content += &format!("{text}\r\n")),
        "jsonl" => TEXTS.iter().for_each(|text| {
            writeln!(content, "{}", serde_json::json!({"label": 1, "text": text})).unwrap();
        }),
        "csv" | "tsv" => {
            let delimiter = if extension == "csv" { ',' } else { '\t' };
            content += &format!("label{delimiter}text\r\n");
            TEXTS.iter().for_each(|text| content += &format!("1{delimiter}\"{}\"\r\n", text.replace('"', "\"\"")));
        }
        other => panic!("{other}"),
    }
    content
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn every_format_in_every_compression_and_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let expect: Vec<_> = (1..).zip(TEXTS.map(str::to_owned)).collect();
    for extension in ["txt", "jsonl", "csv", "tsv"] {
        let text = content(extension);
        let (gb18030, _, lost) = encoding_rs::GB18030.encode(&text);
        assert!(!lost);
        let encodings = [
            ("utf-8", text.clone().into_bytes()),
            ("auto", text.clone().into_bytes()),
            ("windows-1252", [b"\xEF\xBB\xBF", text.as_bytes()].concat()),
            ("utf-8", utf16(&text, u16::to_le_bytes)),
            ("auto", utf16(&text, u16::to_be_bytes)),
            ("gb18030", gb18030.into_owned()),
            ("utf-16le", utf16(&text, u16::to_le_bytes)[2..].to_vec()),
        ];
        for (label, bytes) in encodings {
            for compression in ["", ".gz", ".zst"] {
                let input = file(folder.path(), &format!("a.{extension}{compression}"), &bytes);
                let mut found = documents(&input, &options(Unit::Line, label)).unwrap();
                let texts: Vec<_> = found.by_ref().map(|document| document.unwrap()).collect();
                let texts: Vec<_> = texts.into_iter().map(|document| (document.position, document.text)).collect();
                assert_eq!(texts, expect, "{extension}{compression} {label}");
                assert_eq!(found.replaced(), 0);
                assert_eq!(found.bytes_read(), fs::metadata(&input.path).unwrap().len());
            }
        }
    }
}

#[test]
fn empty_files_have_no_documents() {
    for name in ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.txt.gz", "a.csv.zst"] {
        for content in ["", "\u{FEFF}"] {
            assert_eq!(read_content(name, content.as_bytes()).unwrap(), [], "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, "").unwrap();
        assert_eq!(read(&only_input(&path), &options(Unit::Line, "auto")).unwrap(), [], "{name} of no bytes");
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    let parts = [
        ("a.txt.gz", [gzip(b"one\ntw"), gzip(b""), gzip(b"o\nthree")].concat()),
        ("a.txt.zst", [zstd("one\ntw"), zstd(""), zstd("o\nthree")].concat()),
    ];
    for (name, bytes) in parts {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let found = read(&only_input(&path), &options(Unit::Line, "utf-8")).unwrap();
        assert_eq!(found, owned(&[(1, "one"), (2, "two"), (3, "three")]), "{name}");
    }
}

#[test]
fn damaged_compression_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(text.as_bytes()).unwrap();
    for (name, bytes) in [("a.txt.gz", gzip(text.as_bytes())), ("a.txt.zst", zstd.finish().unwrap())] {
        let path = folder.path().join(name);
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 0xFF;
        let cuts = [1, 5, bytes.len() / 2, bytes.len() - 1].map(|length| bytes[..length].to_vec());
        for damaged in cuts.into_iter().chain([flipped, text.clone().into_bytes()]) {
            fs::write(&path, damaged).unwrap();
            let error = read(&only_input(&path), &options(Unit::Line, "utf-8")).map(|found| found.len()).unwrap_err();
            assert!(matches!(&error, Error::Io { path: at, .. } if *at == path), "{name}: {error}");
            assert!(format!("{error:?}").contains("damaged or cut short"), "{name}: {error:?}");
        }
    }
}

#[test]
fn what_cannot_be_opened_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    for (path, format) in
        [("gone.txt", Format::Text), ("gone.csv", Format::Csv), ("gone.parquet", Format::Parquet), ("", Format::Text)]
    {
        let path = folder.path().join(path);
        let input = Input { path: path.clone(), format, compression: Compression::None };
        let result = read(&input, &options(Unit::Line, "utf-8"));
        assert!(matches!(&result, Err(Error::Io { path: at, .. }) if *at == path), "{result:?}");
    }
}

#[test]
fn json_lines() {
    let rows = "{\"text\": \"a\\u0000\\n\\u2028b\"}\r\n\n  \t\r\n{\"text\":\"c\u{85}d\u{2028}e\",\"n\":{\"text\":1}}\n{\"text\":\"\"}";
    let expect = owned(&[(1, "a\0\n\u{2028}b"), (4, "c\u{85}d\u{2028}e"), (5, "")]);
    assert_eq!(read_content("a.jsonl", rows.as_bytes()).unwrap(), expect);
}

#[test]
fn malformed_json_rows_are_named() {
    let check = |row: &str, parts: &[&str]| {
        let result = read_content("a.jsonl", format!("{{\"text\":\"fine\"}}\n\n{row}\n{{\"text\":\"x\"}}").as_bytes());
        check_error(result, &[parts, &["a.jsonl:3: "]].concat());
    };
    check("{\"text\":\"a\"", &["malformed JSON", "EOF", "expected a JSON object"]);
    check("{\"text\":\"a\"} x", &["malformed JSON", "trailing"]);
    check("{\"text\":\"\\ud800\"}", &["`text` is malformed JSON", "expected a string `text` (text_field)"]);
    check(&"[".repeat(100_000), &["malformed JSON", "EOF"]);
    check("[\"a\"]", &["an array instead of an object"]);
    check("{\"label\":1,\"body\":\"a\"}", &["no `text` beside `label`, `body`", "expected a string `text`"]);
    check("{}", &["no `text`"]);
    check("{\"text\":7}", &["`text` is a number"]);
    check("{\"text\":null}", &["`text` is null"]);
    check("{\"text\":{\"text\":\"a\"}}", &["`text` is an object"]);
}

#[test]
fn tables() {
    let check = |name: &str, content: &str, expect: &[(u64, &str)]| {
        assert_eq!(read_content(name, content.as_bytes()).unwrap(), owned(expect), "{name} {content:?}");
    };
    check("a.csv", "text\n", &[]);
    check("a.csv", "id,text\n1,a\n2,\n\n3,c", &[(1, "a"), (2, ""), (3, "c")]);
    check("a.csv", "text,id\r\"a,\r\n\"\"b\"\"\",1\rc,2\r", &[(1, "a,\r\n\"b\""), (2, "c")]);
    check("a.tsv", "id\ttext\n1\ta, b\n2\t\"c\td\"\n", &[(1, "a, b"), (2, "c\td")]);
    check("a.csv", "text\n\u{85}\u{2028}\0\n", &[(1, "\u{85}\u{2028}\0")]);
}

#[test]
fn malformed_tables_are_named() {
    let check = |name: &str, content: &str, parts: &[&str]| check_error(read_content(name, content.as_bytes()), parts);
    check("a.csv", "id,body\n1,a\n", &["a.csv: no `text` beside `id`, `body`", "column `text` (text_field)"]);
    check("a.tsv", "id,text\n1,a\n", &["a.tsv: no `text` beside `id,text`"]);
    check("a.csv", "id,text\n1,\"a\nb\"\n2,b,c\n3,d", &["a.csv:2: 3 fields on line 4", "expected 2"]);
    check("a.csv", "id,text\n1\n", &["a.csv:1: 1 fields on line 2"]);
    let runs_on = ["a.tsv:2: a field in quotation marks, on line 3, that goes on over tabs and line ends"];
    check("a.tsv", "id\ttext\n1\ta\n2\t\"b\n3\tc\n4\t\"d\n5\te\n", &runs_on);
    check("a.tsv", "id\ttext\n1\ta\n2\t\"b\n3\tc\n", &runs_on);
    let many: String = (0..100).map(|number| format!("column{number},")).collect();
    check("a.csv", &many, &["`column19`, ..."]);
}

#[test]
fn nothing_comes_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "a.jsonl", b"{\"text\":\"a\"}\n{\n{\"text\":\"b\"}\n");
    let mut found = documents(&input, &options(Unit::Line, "utf-8")).unwrap();
    assert!(found.next().unwrap().is_ok());
    assert!(found.next().unwrap().is_err());
    assert!(found.next().is_none());
    fn is_send(_: impl Send) {}
    is_send(found);
}

/// Of several fields, those that a record has are a document each.
#[test]
fn several_fields_are_documents_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let fields = ReadOptions { text_field: ["source", "target"].into(), ..options(Unit::Line, "utf-8") };
    let read = |name: &str, content: &str| read(&file(folder.path(), name, content.as_bytes()), &fields);
    let both = owned(&[(1, "a"), (1, "b"), (2, "c"), (2, "d")]);
    let rows = "{\"target\": \"b\", \"source\": \"a\"}\n{\"source\": \"c\", \"target\": \"d\"}\n";
    assert_eq!(read("a.jsonl", rows).unwrap(), both);
    assert_eq!(read("b.csv", "id,target,source\n1,b,a\n2,d,c\n").unwrap(), both);
    let some = "{\"source\": \"a\"}\n{\"target\": \"b\", \"text\": 1}\n";
    assert_eq!(read("c.jsonl", some).unwrap(), owned(&[(1, "a"), (2, "b")]));
    assert_eq!(read("d.tsv", "target\nb\n").unwrap(), owned(&[(1, "b")]));
    assert_eq!(read("e.csv", "").unwrap(), []);
    check_error(
        read("f.jsonl", "{\"text\": \"a\"}"),
        &["f.jsonl:1: no `source` beside `text`", "`source` or `target`"],
    );
    check_error(read("g.jsonl", "{\"source\": \"a\", \"target\": null}"), &["g.jsonl:1: `target` is null"]);
    check_error(read("h.csv", "text\na\n"), &["h.csv: no `source` beside `text`", "(text_field)"]);
}
