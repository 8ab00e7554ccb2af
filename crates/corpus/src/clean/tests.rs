use proptest::prelude::*;

use super::*;

fn cleaner(config: &CleanConfig) -> Cleaner {
    Cleaner::new(config, Unit::Line, "text", "utf-8").unwrap()
}

fn nothing() -> CleanConfig {
    CleanConfig { unicode: UnicodeForm::None, control_characters: false, whitespace: false, ..Default::default() }
}

#[track_caller]
fn check(config: &CleanConfig, text: &str, expect: &str) {
    let found = cleaner(config).clean(text);
    assert_eq!(found, expect, "{text:?}");
    assert_eq!(matches!(found, Cow::Borrowed(_)), text == expect, "{text:?}");
}

#[test]
fn every_step_has_its_own_switch() {
    let text = " <b>Café</b>\u{200b} THE  http://x.com a@b.org!\u{0} ";
    check(&nothing(), text, text);
    check(&CleanConfig { unicode: UnicodeForm::Nfd, ..nothing() }, "é", "e\u{301}");
    check(&CleanConfig { strip_html: true, ..nothing() }, text, " Café\u{200b} THE  http://x.com a@b.org!\u{0} ");
    check(&CleanConfig { control_characters: true, ..nothing() }, text, " <b>Café</b> THE  http://x.com a@b.org! ");
    check(&CleanConfig { urls: Replace::Word, ..nothing() }, "at http://x.com now", "at URL now");
    check(&CleanConfig { emails: Replace::Remove, ..nothing() }, "to a@b.org now", "to  now");
    check(&CleanConfig { lowercase: true, ..nothing() }, "ÀΣ Ǆ ОЙ", "àς ǆ ой");
    check(&CleanConfig { remove_punctuation: true, ..nothing() }, "a, b!", "a b");
    check(&CleanConfig { stop_words: "english".into(), ..nothing() }, "the quick fox", "quick fox");
    check(&CleanConfig { whitespace: true, ..nothing() }, " a\u{a0} b ", "a b");
}

#[test]
fn unicode_forms() {
    for (form, expect) in [
        (UnicodeForm::None, "ﬁe\u{301}한"),
        (UnicodeForm::Nfc, "ﬁé한"),
        (UnicodeForm::Nfd, "ﬁe\u{301}\u{1112}\u{1161}\u{11ab}"),
        (UnicodeForm::Nfkc, "fié한"),
        (UnicodeForm::Nfkd, "fie\u{301}\u{1112}\u{1161}\u{11ab}"),
    ] {
        check(&CleanConfig { unicode: form, ..nothing() }, "ﬁe\u{301}한", expect);
    }
}

#[test]
fn steps_work_together() {
    let classic = CleanConfig {
        strip_html: true,
        lowercase: true,
        remove_punctuation: true,
        stop_words: "en".into(),
        urls: Replace::Remove,
        ..Default::default()
    };
    check(&classic, "I don't like it.<br /><br />The \"plot\" thickens: http://imdb.com/x", "plot thickens");
    check(&CleanConfig::default(), "e\u{200b}\u{301}", "é");
    check(&CleanConfig { unicode: UnicodeForm::Nfkc, lowercase: true, ..nothing() }, "𝐀™", "atm");
    check(&CleanConfig { urls: Replace::Word, lowercase: true, ..nothing() }, "HTTP://A.COM", "url");
}

/// Parts of texts that cleaning changes, and what stands for them in the source.
#[test]
fn answers_are_found_in_the_source() {
    let html = CleanConfig { strip_html: true, ..Default::default() };
    let classic =
        CleanConfig { lowercase: true, remove_punctuation: true, stop_words: "en".into(), urls: Replace::Word, ..html };
    let plain = CleanConfig::default();
    let check = |config: &CleanConfig, source: &str, part: &str, expect: &str| {
        let aligned = cleaner(config).clean_aligned(source);
        let at = aligned.text().find(part).unwrap_or_else(|| panic!("{part:?} is not in {:?}", aligned.text()));
        assert_eq!(&source[aligned.source(at..at + part.len())], expect, "{part:?} of {source:?}");
    };
    check(&plain, "in  the\tyear \u{a0} 1066,  he", "year 1066", "year \u{a0} 1066");
    check(&plain, "the cafe\u{301}s of Paris", "caf\u{e9}s", "cafe\u{301}s");
    check(&plain, "\u{feff}soft\u{ad}ware, 한글 한글", "software", "soft\u{ad}ware");
    check(&plain, "在\u{200b}北京\u{fa19}社", "北京", "北京");
    check(&plain, "在\u{200b}北京\u{fa19}社", "\u{795e}", "\u{fa19}");
    check(
        &plain,
        "a 👨\u{200d}👩\u{200d}👧 \u{202b}عربي\u{202c} b",
        "👨\u{200d}👩\u{200d}👧 عربي",
        "👨\u{200d}👩\u{200d}👧 \u{202b}عربي",
    );
    check(&html, "<p class='the cat'>It is <b>the</b> cat.</p>", "the cat", "the</b> cat");
    check(&html, "<i>R&amp;D</i> and AT&T, 3 < 4", "R&D", "R&amp;D");
    check(&html, "<i>R&amp;D</i> and AT&T, 3 < 4", "AT&T", "AT&T");
    check(&html, "<i>R&amp;D</i> and AT&T, 3 < 4", "3 < 4", "3 < 4");
    check(&html, "caf&eacute; &lt;b&gt;", "é", "&eacute;");
    check(&html, "caf&eacute; &lt;b&gt;", "<b>", "&lt;b&gt;");
    check(
        &classic,
        "Ask <b>Don't-care O'Neill</b> at http://x.org/a now",
        "oneill url",
        "O'Neill</b> at http://x.org/a",
    );
    check(&classic, "Ask <b>Don't-care O'Neill</b> at http://x.org/a now", "url", "http://x.org/a");
    check(&CleanConfig { unicode: UnicodeForm::Nfkc, ..plain }, "the ﬁne ①②③", "fine 12", "ﬁne ①②");
}

#[test]
fn scripts_pass_the_default_untouched() {
    for text in [
        "红楼梦，第一回。",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "Ŋdi na mi",
        "می\u{200c}خواهم",
        "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
    ] {
        check(&CleanConfig::default(), text, text);
    }
}

#[test]
fn hostile_text_is_cleaned_in_time() {
    let all = everything();
    for unit in
        ["<", "\0", "\u{301}", "http://", "a@", "www.", "'", "\u{200d}", " \n", "a\u{301}", "ﷺ", "http://a.b@c.d "]
    {
        let text = unit.repeat(400_000 / unit.len());
        for config in [&all, &CleanConfig::default()] {
            let _ = cleaner(config).clean(&text);
        }
    }
}

#[test]
fn json_is_self_contained_and_stable() {
    let dir = tempfile::tempdir().unwrap();
    let (words, path) = (dir.path().join("words.txt"), dir.path().join("cleaning.json"));
    fs::write(&words, "kple\nle\n").unwrap();
    let config = CleanConfig { stop_words: words.to_str().unwrap().into(), ..Default::default() };
    let saved = Cleaner::new(&config, Unit::Paragraph, "body", "gb18030").unwrap();
    saved.save(&path).unwrap();
    fs::remove_file(&words).unwrap();

    let opened = Cleaner::open(&path).unwrap();
    assert_eq!(opened.recipe, saved.recipe);
    assert_eq!((opened.unit(), opened.text_field(), opened.encoding()), (Unit::Paragraph, &"body".into(), "gb18030"));
    assert_eq!(opened.clean("yi le kple  va"), "yi va");
    assert_eq!(opened.hash(), saved.hash());
    assert_eq!(saved.hash().len(), 64);
    assert_ne!(cleaner(&CleanConfig::default()).hash(), cleaner(&nothing()).hash());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file stayed");
}

#[test]
fn other_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cleaning.json");
    cleaner(&CleanConfig::default()).save(&path).unwrap();
    let json = fs::read_to_string(&path).unwrap();
    for (json, expect) in [
        (json.replace("\"version\": 1", "\"version\": 7"), "found version 7; expected version 1"),
        (json.replace("\"unit\"", "\"unix\""), "unknown field `unix`"),
        (json.replace("\"nfc\"", "\"nfx\""), "unknown variant `nfx`"),
        (json.replace("  \"urls\": \"keep\",\n", ""), "missing field `urls`"),
        ("{}".into(), "missing field `version`"),
        (String::new(), "EOF"),
    ] {
        fs::write(&path, json).unwrap();
        let message = Cleaner::open(&path).unwrap_err().to_string();
        let expect = expect.trim_start_matches("found ");
        assert!(message.contains("cleaning.json") && message.contains(expect), "{message}");
    }
    assert!(Cleaner::open(&dir.path().join("none.json")).unwrap_err().to_string().contains("none.json"));
}

fn everything() -> CleanConfig {
    CleanConfig {
        unicode: UnicodeForm::Nfkc,
        strip_html: true,
        control_characters: true,
        urls: Replace::Remove,
        emails: Replace::Word,
        lowercase: true,
        remove_punctuation: true,
        stop_words: "english".into(),
        whitespace: true,
    }
}

/// Text that is rich in what the steps act on, and in what they can bring together.
fn text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "a",
        "the",
        "The",
        "I",
        "don't",
        "é",
        "e",
        "\u{301}",
        "\u{327}",
        "İ",
        "Σ",
        "ß",
        "ﬁ",
        "™",
        "𝐀",
        "\u{212a}",
        "<",
        ">",
        "<b>",
        "</b>",
        "<p ",
        "<!--",
        "-->",
        "&lt;",
        "&amp;",
        "&#0;",
        "&",
        ";",
        "http://",
        "://",
        "www.",
        "x.com",
        "@",
        "a@b.org",
        ".",
        ",",
        "'",
        "\u{2019}",
        "-",
        " ",
        "  ",
        "\n",
        "\r",
        "\t",
        "\u{a0}",
        "\u{2028}",
        "\u{85}",
        "\0",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{fe0f}",
        "😀",
        "👍🏽",
        "你好",
        "。",
        "ก",
        "ที่",
        "नि",
        "عرب",
        "한",
        "\u{1112}",
        "\u{1161}",
        "\u{ad}",
        "\u{a8}",
        "＜",
        "＠",
        "．",
        "$",
        "1",
    ]);
    prop_oneof![prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat()), any::<String>()]
}

fn config() -> impl Strategy<Value = CleanConfig> {
    let form = prop::sample::select(vec![
        UnicodeForm::None,
        UnicodeForm::Nfc,
        UnicodeForm::Nfd,
        UnicodeForm::Nfkc,
        UnicodeForm::Nfkd,
    ]);
    let replace = || prop::sample::select(vec![Replace::Keep, Replace::Remove, Replace::Word]);
    let stop_words = prop::sample::select(vec!["", "english", "vi"]);
    (form, any::<[bool; 5]>(), replace(), replace(), stop_words).prop_map(|(unicode, on, urls, emails, stop_words)| {
        CleanConfig {
            unicode,
            strip_html: on[0],
            control_characters: on[1],
            urls,
            emails,
            lowercase: on[2],
            remove_punctuation: on[3],
            stop_words: stop_words.into(),
            whitespace: on[4],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Text that was read as HTML is no HTML any more: the other steps find nothing left to do.
    #[test]
    fn clean_text_stays_as_it_is(config in config(), text in text()) {
        let clean = cleaner(&config).clean(&text).into_owned();
        let again = cleaner(&CleanConfig { strip_html: false, ..config });
        prop_assert_eq!(again.clean(&clean), clean.as_str());
    }

    #[test]
    fn an_alignment_says_where_every_character_comes_from(config in config(), text in text()) {
        let cleaner = cleaner(&config);
        let aligned = cleaner.clean_aligned(&text);
        let clean = cleaner.clean(&text);
        prop_assert_eq!(aligned.text(), clean.as_ref());
        let mut before = 0..0;
        for (at, c) in clean.char_indices() {
            let own = at..at + c.len_utf8();
            let source = aligned.source(own.clone());
            // `get` refuses a part of a character.
            prop_assert!(text.get(source.clone()).is_some(), "{:?} of {:?}: {:?}", own, clean, source);
            prop_assert!(source.start >= before.start && source.end >= before.end, "{:?} behind {:?}", source, before);
            if !source.is_empty() {
                let back = aligned.clean(source.clone());
                prop_assert!(back.start <= own.start && back.end >= own.end, "{:?} comes back as {:?}", own, back);
                prop_assert!(clean.get(back).is_some());
            }
            before = source;
        }
        if matches!(clean, Cow::Borrowed(_)) {
            prop_assert_eq!(aligned.source(0..clean.len()), 0..text.len());
        }
    }

    #[test]
    fn what_a_switch_removes_is_gone(config in config(), text in text()) {
        let clean = cleaner(&config).clean(&text);
        if config.control_characters {
            prop_assert!(!clean.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", clean);
        }
        if config.remove_punctuation {
            prop_assert!(!clean.chars().any(punctuation::is_punctuation_or_symbol), "{:?}", clean);
        }
        if config.lowercase {
            prop_assert_eq!(&clean.to_lowercase(), clean.as_ref());
        }
        if config.whitespace {
            prop_assert_eq!(clean.trim(), clean.as_ref());
            prop_assert!(!clean.contains("  ") && !clean.contains("\n\n\n"), "{:?}", clean);
        }
    }
}
