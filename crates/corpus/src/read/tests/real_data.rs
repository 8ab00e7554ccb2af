//! Public text as it comes, where `data/` is there.

use super::*;

fn data(pattern: &str) -> Option<Vec<Input>> {
    let pattern = format!("{}/../../data/{pattern}", env!("CARGO_MANIFEST_DIR"));
    let found = inputs("corpus.train", std::slice::from_ref(&pattern)).ok();
    if found.is_none() {
        println!("skipped: {pattern} is not here");
    }
    found
}

#[test]
fn penn_treebank_has_its_lines() {
    for (part, lines) in [("train", 42_068), ("valid", 3_370), ("test", 3_761)] {
        let Some(found) = data(&format!("lm/ptb/ptb.{part}.txt.gz")) else { return };
        assert_eq!(read(&found[0], &options(Unit::Line, "utf-8")).unwrap().len(), lines);
    }
}

#[test]
fn novels_with_marks_and_crlf_are_clean_text() {
    let Some(found) = data("lm/novels-en") else { return };
    assert_eq!(found.len(), 16);
    let mut lines = 0;
    for input in &found {
        let texts = read(input, &options(Unit::Line, "utf-8")).unwrap();
        assert!(
            texts.iter().all(|(_, text)| !text.contains(['\r', '\u{FEFF}', '\u{FFFD}'])),
            "{}",
            input.path.display()
        );
        assert_eq!(read(input, &options(Unit::Line, "auto")).unwrap(), texts);
        lines += texts.len();
    }
    assert_eq!(lines, 144_058);
}

#[test]
fn wikitext_and_the_red_chamber_have_their_lines() {
    for (name, lines) in [("lm/wikitext-2/wiki.valid.tokens.gz", 3_760), ("lm/zh/hongloumeng.txt.gz", 5_591)] {
        let Some(found) = data(name) else { return };
        assert_eq!(read(&found[0], &options(Unit::Line, "auto")).unwrap().len(), lines, "{name}");
    }
}
