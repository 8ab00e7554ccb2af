use std::{fs::File, io::Read, path::Path};

use proptest::prelude::*;

use super::*;
use crate::Preset;

fn filter(config: &FilterConfig) -> Filter {
    Filter::new(config).unwrap()
}

fn preset(preset: Preset) -> Filter {
    filter(&FilterConfig { preset: Some(preset), ..Default::default() })
}

#[track_caller]
fn keeps(config: &FilterConfig, text: &str) {
    assert_eq!(filter(config).apply(text), Verdict::Keep { text: text.into(), removed_lines: 0 }, "{text:?}");
}

#[track_caller]
fn drops(config: &FilterConfig, text: &str, rule: Rule, value: &str) {
    assert_eq!(filter(config).apply(text), Verdict::Drop { rule, value: value.into() }, "{text:?}");
}

macro_rules! rules {
    ($($field:ident: $value:expr),*) => { FilterConfig { $($field: Some($value),)* ..Default::default() } };
}

#[test]
fn no_rule_keeps_everything() {
    assert!(filter(&FilterConfig::default()).is_empty());
    assert!(!preset(Preset::Basic).is_empty());
    assert!(!filter(&rules! { min_words: 1 }).is_empty());
    for text in ["", "\0", "\u{301}", "a\n\n\nb"] {
        keeps(&FilterConfig::default(), text);
    }
}

#[test]
fn each_rule_at_its_border() {
    keeps(&rules! { min_words: 3 }, "a b c");
    drops(&rules! { min_words: 3 }, "a b", Rule::MinWords, "2");
    keeps(&rules! { max_words: 2 }, "a b");
    drops(&rules! { max_words: 2 }, "a b c", Rule::MaxWords, "3");
    keeps(&rules! { min_chars: 2 }, "你好");
    drops(&rules! { min_chars: 3 }, "你好", Rule::MinChars, "2");
    drops(&rules! { max_chars: 1 }, "你好", Rule::MaxChars, "2");
    keeps(&rules! { min_mean_word_length: 3.0 }, "abcd ab");
    drops(&rules! { min_mean_word_length: 3.1 }, "abcd ab", Rule::MinMeanWordLength, "3.000");
    drops(&rules! { max_mean_word_length: 2.9 }, "abcd ab", Rule::MaxMeanWordLength, "3.000");
    keeps(&rules! { max_symbol_ratio: 0.5 }, "# b");
    drops(&rules! { max_symbol_ratio: 0.4 }, "wait... b", Rule::MaxSymbolRatio, "0.500");
    keeps(&rules! { min_alphabetic_ratio: 0.5 }, "é 1");
    drops(&rules! { min_alphabetic_ratio: 0.5 }, "a 1 2", Rule::MinAlphabeticRatio, "0.333");
    keeps(&rules! { max_garbage_ratio: 0.5 }, "a\u{fffd}");
    drops(&rules! { max_garbage_ratio: 0.5 }, "a\u{fffd}\0", Rule::MaxGarbageRatio, "0.667");
    keeps(&rules! { min_stop_words: 2 }, "The dog (of) x");
    drops(&rules! { min_stop_words: 2 }, "the the the", Rule::MinStopWords, "1");
    keeps(&rules! { max_bullet_lines: 0.5 }, "- a\n\nb");
    drops(&rules! { max_bullet_lines: 0.5 }, "- a\n• b\nc", Rule::MaxBulletLines, "0.667");
    drops(&rules! { max_ellipsis_lines: 0.5 }, "a...\nb…", Rule::MaxEllipsisLines, "1.000");
    keeps(&rules! { max_duplicate_lines: 0.5 }, "a\na");
    drops(&rules! { max_duplicate_lines: 0.4 }, "a\na", Rule::MaxDuplicateLines, "0.500");
    keeps(&rules! { max_duplicate_text: 0.5 }, "a b c d e a b c d e");
    drops(&rules! { max_duplicate_text: 0.5 }, "a b c d e a b c d e a b c d e", Rule::MaxDuplicateText, "0.667");
    keeps(&rules! { min_sentences: 2 }, "One. 两。");
    drops(&rules! { min_sentences: 3 }, "一。二！", Rule::MinSentences, "2");
}

#[test]
fn gophers_repetition() {
    let on = rules! { repetition: true };
    keeps(&on, "one two three four five six");
    keeps(&FilterConfig { repetition: Some(false), ..Default::default() }, "ha ha ha");
    drops(&on, "a b\n\na b", Rule::Repetition, "duplicate paragraphs 0.500");
    drops(&on, "abcd\nabcd\nefgh", Rule::Repetition, "characters in duplicate lines 0.333");
    drops(&on, "ha ha ha ha x", Rule::Repetition, "top 2-gram 1.000");
    let phrase = "aa bb cc dd ee";
    let unique: Vec<_> = (100..150).map(|word| format!("w{word}")).collect();
    let text = format!("{phrase} {} {phrase}", unique.join(" "));
    keeps(&on, &text);
    let long: Vec<_> = (100..112).map(|word| format!("x{word}")).collect();
    let text = format!("{0} {1} {0}", long.join(" "), unique.join(" "));
    drops(&on, &text, Rule::Repetition, "duplicate 5-grams 0.162");
}

#[test]
fn lines_are_removed_before_documents_are_judged() {
    let check = |config: &FilterConfig, text: &str, expect: &str, removed_lines: usize| {
        assert_eq!(
            filter(config).apply(text),
            Verdict::Keep { text: expect.to_owned().into(), removed_lines },
            "{text:?}"
        );
    };
    check(&rules! { terminal_punctuation: true }, "Home\nA text.\n\nMenu\n\n还有一句。", "A text.\n\n还有一句。", 2);
    check(&rules! { min_line_words: 2 }, "one\none two\n你好\n好", "one two\n你好", 2);
    check(&rules! { boilerplate: true }, "Enable JavaScript now.\nText.\nWe use of cookies.", "Text.", 2);
    drops(&rules! { min_line_words: 2 }, "one\ntwo", Rule::MinLineWords, "all 2 lines");
    drops(&rules! { terminal_punctuation: true }, "one", Rule::TerminalPunctuation, "all 1 lines");
    drops(&rules! { boilerplate: true }, "a LOREM ipsum b", Rule::Boilerplate, "LOREM ipsum");
    drops(&rules! { boilerplate: true }, "if (x) { y }", Rule::Boilerplate, "{");
    drops(&rules! { terminal_punctuation: true, min_words: 2 }, "Home menu\nYes.", Rule::MinWords, "1");
    assert!(matches!(
        filter(&rules! { min_line_words: 1 }).apply("a\n\n\n\nb"),
        Verdict::Keep { text: Cow::Borrowed(_), .. }
    ));
}

#[test]
fn languages() {
    let english = rules! { language: "English".to_owned() };
    keeps(&english, "The quick brown fox jumps over the lazy dog and runs away from it.");
    let verdict = filter(&english).apply("Der schnelle braune Fuchs springt über den faulen Hund und läuft davon.");
    assert!(
        matches!(&verdict, Verdict::Drop { rule: Rule::Language, value } if value.starts_with("deu")),
        "{verdict:?}"
    );
    drops(&english, "123", Rule::Language, "none");
    let sure = rules! { language: "cmn".to_owned(), min_language_confidence: 1.0 };
    keeps(&sure, "这是一个句子。");
    let sure = rules! { language: "eng".to_owned(), min_language_confidence: 1.0 };
    let verdict = filter(&sure).apply("the man in a boat");
    assert!(!matches!(verdict, Verdict::Keep { .. }), "{verdict:?}");
}

#[test]
fn what_is_set_wins_over_the_preset() {
    let config = FilterConfig {
        preset: Some(Preset::Gopher),
        min_words: Some(1),
        repetition: Some(false),
        ..Default::default()
    };
    keeps(&config, "the end of this short text");
    drops(&FilterConfig { min_words: None, ..config }, "the end", Rule::MinWords, "2");
}

#[test]
fn settings_out_of_range_are_named() {
    for (config, key, allowed) in [
        (rules! { max_garbage_ratio: 1.1 }, "max_garbage_ratio` = 1.1", "from 0 to 1"),
        (rules! { min_alphabetic_ratio: -0.1 }, "min_alphabetic_ratio` = -0.1", "from 0 to 1"),
        (rules! { max_duplicate_text: f64::NAN }, "max_duplicate_text` = NaN", "from 0 to 1"),
        (rules! { max_symbol_ratio: f64::INFINITY }, "max_symbol_ratio` = inf", "not negative"),
        (rules! { min_words: 3, max_words: 2 }, "min_words` = 3", "2 (the greatest value set) at most"),
        (rules! { min_stop_words: 9 }, "min_stop_words` = 9", "0 to 8"),
        (
            rules! { min_language_confidence: 0.5 },
            "min_language_confidence` = 0.5",
            "where `corpus.filter.language` is set",
        ),
        (rules! { language: "ewe".to_owned() }, "language` = \"ewe\"", "zul (Zulu)"),
    ] {
        let message = Filter::new(&config).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`corpus.filter.{key}")) && message.contains(allowed), "{message}");
    }
}

#[test]
fn names_are_keys() {
    let keys = serde_json::to_value(FilterConfig::default()).unwrap();
    for rule in Rule::ALL {
        assert!(keys.get(rule.name()).is_some(), "{rule:?}");
    }
    assert!(Rule::ALL.is_sorted());
    assert_eq!(keys.as_object().unwrap().len(), Rule::ALL.len() + 1, "every key but the preset is a rule");
}

#[test]
fn basic_fits_every_script() {
    let basic = preset(Preset::Basic);
    for text in [
        "Yes.",
        "红楼梦",
        "第一回　甄士隐梦幻识通灵",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "Ŋdi na mi loo",
        "ngiyabonga kakhulu",
        "สวัสดีชาวโลก",
        "nice 😀😀😀",
        "Ngizokwenzelwangobunyoningco",
        "<unk> N N million",
        " = = = Title = = = ",
    ] {
        assert!(matches!(basic.apply(text), Verdict::Keep { .. }), "{text:?}: {:?}", basic.apply(text));
    }
    for (text, rule) in [
        ("", Rule::MinChars),
        ("\u{fffd}\u{fffd} a", Rule::MaxGarbageRatio),
        ("1 2 3 4 5 6 7 8 9 10 eleven", Rule::MinAlphabeticRatio),
        ("!!! ---", Rule::MinAlphabeticRatio),
        (&"QmFzZTY0".repeat(8), Rule::MaxMeanWordLength),
        (&"buy now ".repeat(30), Rule::MaxDuplicateText),
    ] {
        assert!(
            matches!(basic.apply(text), Verdict::Drop { rule: found, .. } if found == rule),
            "{text:?}: {:?}",
            basic.apply(text)
        );
    }
}

#[test]
fn hostile_text_is_judged_in_time() {
    let mut config = FilterConfig { preset: Some(Preset::Gopher), max_garbage_ratio: Some(1.0), ..Default::default() };
    (config.min_words, config.max_words, config.min_sentences) = (Some(0), Some(usize::MAX), Some(usize::MAX));
    (config.max_duplicate_text, config.terminal_punctuation) = (Some(1.0), Some(true));
    for unit in ["<", "a ", "\n", "\0", "\u{301}", "...", "你", "a.\n", "# "] {
        let text = unit.repeat(400_000 / unit.len());
        for filter in [filter(&config), preset(Preset::Basic), preset(Preset::C4)] {
            let _ = filter.apply(&text);
        }
    }
}

proptest! {
    /// What passes passes again, without another line removed.
    #[test]
    fn kept_text_is_kept_as_it_is(text in "([a-cA. \n你。#é…{-]|\\PC|\\x00){0,60}", rule in 0..4_usize) {
        let filter = match rule {
            0 => preset(Preset::Basic),
            1 => preset(Preset::C4),
            2 => filter(&rules! { terminal_punctuation: true, min_line_words: 2, boilerplate: true }),
            _ => filter(&rules! { repetition: true, min_mean_word_length: 1.0, max_garbage_ratio: 0.5 }),
        };
        if let Verdict::Keep { text: kept, .. } = filter.apply(&text) {
            prop_assert_eq!(filter.apply(&kept), Verdict::Keep { text: kept.clone(), removed_lines: 0 });
        }
    }
}

/// Lines with text of a gzip file under `data/`, or `None` where it is absent.
fn lines(name: &str) -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name);
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    Some(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

#[test]
fn basic_keeps_nearly_all_of_real_text() {
    let basic = preset(Preset::Basic);
    for name in [
        "lm/zh/hongloumeng.txt.gz",
        "lm/lowres/hau.txt.gz",
        "lm/lowres/zul.txt.gz",
        "lm/lowres/ewe.txt.gz",
        "lm/imdb-unsup-sample.txt.gz",
        "lm/novels-en/Doyle_Hound_1902.txt.gz",
        "lm/ptb/ptb.valid.txt.gz",
        "lm/wikitext-2/wiki.valid.tokens.gz",
    ] {
        let Some(lines) = lines(name) else { continue };
        let dropped: Vec<_> = lines.iter().filter(|line| matches!(basic.apply(line), Verdict::Drop { .. })).collect();
        println!(
            "{name}: {} of {} lines dropped, such as {:?}",
            dropped.len(),
            lines.len(),
            dropped.iter().take(3).collect::<Vec<_>>()
        );
        assert!(
            dropped.len() * 200 <= lines.len(),
            "{name}: {} of {} lines dropped: {dropped:?}",
            dropped.len(),
            lines.len()
        );
    }
}

#[test]
fn gopher_and_c4_tell_reviews_from_short_lines() {
    let (Some(reviews), Some(ewe)) = (lines("lm/imdb-unsup-sample.txt.gz"), lines("lm/lowres/ewe.txt.gz")) else {
        return;
    };
    for (filter, least) in [(preset(Preset::Gopher), 0.9), (preset(Preset::C4), 0.5)] {
        let kept =
            |lines: &[String]| lines.iter().filter(|line| matches!(filter.apply(line), Verdict::Keep { .. })).count();
        let (reviews_kept, ewe_kept) = (kept(&reviews), kept(&ewe));
        println!("kept: {reviews_kept} of {} reviews, {ewe_kept} of {} Ewe lines", reviews.len(), ewe.len());
        assert!(reviews_kept as f64 > least * reviews.len() as f64, "{reviews_kept}");
        assert!(ewe_kept * 20 < ewe.len(), "{ewe_kept}");
    }
}
