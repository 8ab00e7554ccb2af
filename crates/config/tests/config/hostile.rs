//! Any input ends in a config or in one line of error.

use proptest::prelude::*;

use crate::sample::parse;

/// A message is one line and of bounded length, whatever the input.
fn check(text: &str, sets: &[&str]) {
    if let Err(error) = parse(text, sets) {
        let message = error.to_string();
        assert!(!message.is_empty() && message.lines().count() == 1, "{message}");
        assert!(message.chars().count() < 2000, "{} characters", message.chars().count());
    }
}

proptest! {
    #[test]
    fn any_text(text in any::<String>(), set in any::<String>()) {
        check(&text, &[&set]);
    }

    #[test]
    fn text_of_toml_pieces(
        pieces in prop::collection::vec(
            prop_oneof![
                "[\\[\\]{}=.,\"'#\n\r \\\\-]{1,3}",
                Just("run".to_owned()), Just("seed".to_owned()), Just("train".to_owned()), Just("task".to_owned()),
                Just("kind".to_owned()), Just("corpus".to_owned()), Just("weights".to_owned()), Just("\"\"\"".to_owned()),
                Just("1979-05-27".to_owned()), Just("0x1f".to_owned()), Just("1e9".to_owned()), Just("\0".to_owned()),
            ],
            0..40,
        ),
        key in "(run|train|task|corpus)\\.(seed|weights|kind|dir|\"a=b\")",
    ) {
        let text = pieces.concat();
        check(&text, &[]);
        check("", &[&format!("{key}={text}")]);
        check("", &[&format!("{text}={key}")]);
    }
}

#[test]
fn deep_nesting() {
    let dotted = |depth: usize| vec!["a"; depth].join(".");
    let inline = |depth: usize, key: &str| format!("{}1{}", format!("{{{key} = ").repeat(depth), "}".repeat(depth));
    let texts = [
        format!("x = {}", "[".repeat(500_000)),
        format!("x = {}{}", "[".repeat(60), "]".repeat(60)),
        format!("x = {}", "{a=".repeat(300_000)),
        format!("[{}]", dotted(400_000)),
        format!("[{}]\nb = 1", dotted(79)),
        format!("{} = 1", dotted(500_000)),
        // The parser's limits on brackets and on dotted keys multiply.
        format!("[{0}]\n{0} = {1}", dotted(79), inline(70, &dotted(79))),
        format!("x = {}", inline(78, &dotted(79))),
    ];
    for text in &texts {
        assert!(parse(text, &[]).is_err());
        check(text, &[]);
        check("", &[text]);
        check("", &[&format!("run.{text}")]);
    }
    check("", &[&format!("{}=1", dotted(79)), &format!("{}={}", dotted(79), inline(30, "a"))]);
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (depth, refused) in [(31, false), (60, true)] {
        let in_file = parse(&format!("[run]\nseed = {}", nested(depth)), &[]).expect_err("an error").to_string();
        let in_set = parse("", &[&format!("run.seed={}", nested(depth))]).expect_err("an error").to_string();
        for message in [in_file, in_set] {
            assert_eq!(message.contains("tables and arrays nest deeper than 32 levels"), refused, "{message}");
        }
    }
}

#[test]
fn giant_values() {
    let long = "x".repeat(500_000);
    check(&format!("{long} = 1"), &[]);
    check(&format!("run.seed = '{long}'"), &[]);
    check(&format!("train.offset = 1{}", "0".repeat(500_000)), &[]);
    check(&format!("run.seed = [{}]", "1,".repeat(300_000)), &[]);
    check(&format!("model.direction = '{long}'"), &[]);
    check(&format!("{long}\n= 1"), &[]);
    check("", &[&format!("run.{long}=1"), &format!("run.seed={long}")]);
    check(&(0..50_000).map(|line| format!("k{line} = 1\n")).collect::<String>(), &[]);
    check(&"\0".repeat(1 << 20), &[]);
    check(&"\n".repeat(1 << 21), &[]);
}
