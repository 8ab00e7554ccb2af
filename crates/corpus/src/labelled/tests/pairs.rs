//! Two sides of a translation, as they should be and as they should not.

use proptest::prelude::*;

use super::*;
use crate::labelled::{Pair, PairFields, open_pairs, open_parallel};
use crate::{Encoding, Error};

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn pair(number: u64, source: &str, target: &str) -> Pair {
    Pair { number, source: source.into(), target: target.into() }
}

fn read(name: &str, content: &str, fields: &PairFields) -> Result<Vec<Pair>, Error> {
    let folder = tempfile::tempdir().unwrap();
    open_pairs(&write(folder.path(), name, content.as_bytes()), fields, Encoding::UTF_8)?.collect()
}

/// Pairs of two files, `train.en` and `train.de.gz`.
fn parallel(source: &str, target: &str) -> Result<Vec<Pair>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let source = write(folder.path(), "train.en", source.as_bytes());
    let target = write(folder.path(), "train.de.gz", &gzip(target.as_bytes()));
    open_parallel(&source, &target, Encoding::UTF_8)?.collect()
}

#[test]
fn lines_match_lines() {
    let check = |source: &str, target: &str, expect: &[Pair]| {
        assert_eq!(parallel(source, target).unwrap(), expect, "{source:?} {target:?}");
    };
    check("", "", &[]);
    check("a\n", "b", &[pair(1, "a", "b")]);
    check(
        "\u{FEFF}a\r\n\r\nb\u{2028}c\r\n",
        "d\n\n e \u{85}\n",
        &[pair(1, "a", "d"), pair(2, "", ""), pair(3, "b\u{2028}c", " e \u{85}")],
    );
}

#[test]
fn unequal_line_counts_name_both_files() {
    check_error(parallel("a\nb\nc\nd\n", "e\nf\n"), &["train.en: 4 lines; expected 2, as many as ", "train.de.gz has"]);
    check_error(parallel("a\n", "b\n\nc"), &["train.de.gz: 3 lines; expected 1, as many as ", "train.en has"]);
    check_error(parallel("", "\n"), &["train.de.gz: 1 lines; expected 0, as many as "]);
}

#[test]
fn parallel_files_are_text_whatever_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.jsonl", b"{}\n");
    let pairs: Vec<_> = open_parallel(&path, &path, Encoding::UTF_8).unwrap().map(Result::unwrap).collect();
    assert_eq!(pairs, [pair(1, "{}", "{}")]);
    let gone = open_parallel(&path, Path::new("no/such.de"), Encoding::UTF_8);
    check_error(gone, &["no/such.de: "]);
}

#[test]
fn rows_of_pairs() {
    let expect = [pair(1, "a b", ""), pair(2, "", "c\nd")];
    let json = "{\"target\":\"\",\"source\":\"a b\"}\n{\"id\":1,\"source\":\"\",\"target\":\"c\\nd\"}\n";
    assert_eq!(read("a.jsonl", json, &PairFields::default()).unwrap(), expect);
    let fields = PairFields { source: "en".into(), target: "de".into() };
    assert_eq!(read("a.csv", "de,en\n,a b\n\"c\nd\",\n", &fields).unwrap(), expect);
    let check = |name: &str, content: &str, parts: &[&str]| {
        check_error(read(name, content, &PairFields::default()), parts);
    };
    check("a.jsonl", "\n{\"source\":\"a\"}", &["a.jsonl:2: no `target` beside `source`", "(task.target_field)"]);
    check("a.jsonl", "{\"source\":[],\"target\":\"a\"}", &["a.jsonl:1: `source` is an array", "(task.source_field)"]);
    check("a.tsv", "en\tde\n", &["a.tsv: no `source` beside `en`, `de`", "(task.source_field)"]);
    check("a.en", "", &["a.en: ", "named .jsonl"]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(pairs in prop::collection::vec(("[^\r\n]{0,9}", "[^\r\n]{0,9}"), 0..9)) {
        // A byte order mark at the start of a file is none of its text.
        let side = |side: fn(&(String, String)) -> &String| {
            "\u{FEFF}".to_owned() + &pairs.iter().map(|pair| side(pair).clone() + "\n").collect::<String>()
        };
        let expect: Vec<_> = (1..).zip(&pairs).map(|(number, (source, target))| pair(number, source, target)).collect();
        prop_assert_eq!(parallel(&side(|pair| &pair.0), &side(|pair| &pair.1)).unwrap(), expect);
    }
}
