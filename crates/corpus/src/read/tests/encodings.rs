//! Which encoding a file is read in, and what becomes of characters that are none.

use super::*;

/// Reads bytes as lines: the documents joined by LF, and how many characters were replaced.
fn decode(bytes: &[u8], encoding: &str) -> Result<(String, u64), Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut found = documents(&file(folder.path(), "a.txt", bytes), &options(Unit::Line, encoding))?;
    let texts: Vec<_> = found.by_ref().map(|document| Ok(document?.text)).collect::<Result<_, Error>>()?;
    Ok((texts.join("\n"), found.replaced()))
}

#[track_caller]
fn check_refused(bytes: &[u8], encoding: &str, parts: &[&str]) {
    let message = decode(bytes, encoding).expect_err("an error").to_string();
    for part in [&["a.txt: ", "cannot be decoded"], parts].concat() {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn labels() {
    assert_eq!(Encoding::parse("corpus.encoding", " UTF-8 ").unwrap(), Encoding::default());
    assert_eq!(Encoding::parse("corpus.encoding", "Auto").unwrap(), Encoding::AUTO);
    assert_eq!(
        Encoding::parse("corpus.encoding", "latin1").unwrap(),
        Encoding::parse("corpus.encoding", "windows-1252").unwrap()
    );
    assert_eq!(["utf-8", "AUTO"].map(|label| Encoding::parse("x", label).unwrap().label()), ["UTF-8", "auto"]);
    for label in ["", "utf8mb4", "iso-2022-kr", "ütf"] {
        let invalid = Encoding::parse("corpus.encoding", label).unwrap_err();
        assert_eq!(invalid.key, "corpus.encoding");
        assert!(invalid.allowed.contains("auto"), "{invalid}");
    }
}

#[test]
fn one_character_in_a_thousand_may_be_undecodable() {
    let text = |characters: usize, broken: usize| {
        let mut bytes = vec![b'a'; characters];
        (0..broken).for_each(|place| bytes[place * 900 + 7] = 0xE9);
        bytes
    };
    for (characters, broken) in [(1000, 0), (1000, 1), (2000, 2), (200_000, 200)] {
        let (decoded, replaced) = decode(&text(characters, broken), "utf-8").unwrap();
        assert_eq!(replaced, broken as u64);
        assert_eq!(decoded.matches(char::REPLACEMENT_CHARACTER).count(), broken);
        assert_eq!(decoded.chars().count(), characters);
    }
    for (characters, broken) in [(999, 1), (2999, 3), (200_000, 201)] {
        check_refused(&text(characters, broken), "utf-8", &[&format!("{broken} of {characters} characters")]);
    }
}

#[test]
fn a_replacement_character_in_the_text_is_no_fault() {
    assert_eq!(decode("a\u{FFFD}b".as_bytes(), "utf-8").unwrap(), ("a\u{FFFD}b".into(), 0));
}

#[test]
fn a_sequence_cut_off_by_the_end_is_replaced() {
    let mut bytes = "é".repeat(2000).into_bytes();
    bytes.pop();
    let (decoded, replaced) = decode(&bytes, "utf-8").unwrap();
    assert_eq!((decoded.chars().last(), replaced), (Some(char::REPLACEMENT_CHARACTER), 1));
}

#[test]
fn the_error_proposes_the_encoding() {
    let french =
        "Où est passée la bibliothèque ? Près de l'église, à côté du théâtre où l'été dernier on a joué.\n".repeat(20);
    let russian =
        "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n".repeat(20);
    let chinese = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。\n".repeat(20);
    let check = |text: &str, encoding: &'static encoding_rs::Encoding, expect: &str| {
        let (bytes, _, lost) = encoding.encode(text);
        assert!(!lost);
        check_refused(&bytes, "utf-8", &[&format!(" encoding = \"{expect}\"")]);
        assert_eq!(decode(&bytes, expect).unwrap(), (text.trim_end().into(), 0));
        assert_eq!(decode(&bytes, "auto").unwrap(), (text.trim_end().into(), 0));
    };
    check(&french, encoding_rs::WINDOWS_1252, "windows-1252");
    check(&russian, encoding_rs::WINDOWS_1251, "windows-1251");
    check(&chinese, encoding_rs::GBK, "gbk");
    check_refused(russian.as_bytes(), "euc-kr", &[" encoding = \"utf-8\""]);
}

#[test]
fn where_no_setting_helps_none_is_proposed() {
    let mut damaged = "é".repeat(900).into_bytes();
    damaged.extend([0xFF; 10]);
    let check = |bytes: &[u8], encoding: &str, part: &str| {
        let message = decode(bytes, encoding).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains("in the config"), "{message}");
    };
    check(&damaged, "utf-8", "UTF-8 throughout: repair");
    check(&[b"\xEF\xBB\xBF", &[0xE9; 9][..]].concat(), "utf-8", "byte order mark");
    check(
        &[b"\xFF\xFE".to_vec(), [0x00, 0xD8].repeat(9)].concat(),
        "utf-8",
        "UTF-16LE throughout, as the byte order mark",
    );
}

#[test]
fn hopeless_text_is_refused_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = b"caf\xE9 au lait\n".repeat(1 << 19);
    let input = file(folder.path(), "a.txt", &bytes);
    let mut found = documents(&input, &options(Unit::Line, "utf-8")).unwrap();
    let error = found.find_map(Result::err).unwrap().to_string();
    assert!(error.contains("windows-1252"), "{error}");
    assert!(found.bytes_read() < bytes.len() as u64 / 3);
}

#[test]
fn detection_bears_damage_and_a_cut_prefix() {
    let mut damaged = "Grüße aus Köln\n".repeat(1000).into_bytes();
    damaged.insert(0, 0xFF);
    assert_eq!(decode(&damaged, "auto").unwrap().1, 1);
    // The first MiB ends within a character.
    let long = format!("a{}", "é".repeat(1 << 20));
    assert_eq!(decode(long.as_bytes(), "auto").unwrap(), (long, 0));
    // A lone accent in ASCII is no damaged UTF-8.
    let mut latin = b"plain ascii text, word by word\n".repeat(200);
    latin.extend(b"caf\xE9");
    assert!(decode(&latin, "auto").unwrap().0.ends_with("café"));
}

#[test]
fn what_is_no_text_is_called_what_it_is() {
    let check = |bytes: &[u8], says: &str| {
        let bytes = [bytes, "\u{e9}t\u{e9} \u{0}".repeat(50).as_bytes()].concat();
        for encoding in ["utf-8", "auto", "windows-1252"] {
            let message = decode(&bytes, encoding).expect_err("an error").to_string();
            assert!(message.contains(&format!("a.txt: {says}")), "{message}");
        }
    };
    check(&gzip(b"text"), "data compressed by gzip");
    check(&zstd::encode_all(&b"text"[..], 3).unwrap(), "data compressed by Zstandard");
    check(b"PK\x03\x04\x14", "a ZIP archive");
    check(b"%PDF-1.7\n", "a PDF document");
    check(b"PAR1\x15\x04", "an Apache Parquet file");
    for text in ["PAR1 is a gene", "PKZIP", "%PDF is a format"] {
        assert_eq!(decode(text.as_bytes(), "utf-8").unwrap().0, text);
    }
}
