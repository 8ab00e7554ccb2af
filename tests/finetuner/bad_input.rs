//! Files that do not fit: an error with file and row, and nothing half written.

use crate::program::Workplace;

#[test]
fn rows_that_do_not_fit_are_named() {
    let place = Workplace::new();
    let good = place.read("train.jsonl");
    let many: String = good.lines().cycle().take(39_999).map(|line| format!("{line}\n")).collect();
    let check = |name: &str, text: &str, status: i32, says: &[&str]| {
        place.write(name, text);
        let ran = place.run(&format!("train -c c.toml --set task.train=[\"{name}\"]"));
        assert_eq!(ran.status, Some(status), "{}", ran.stderr);
        let last = ran.stderr.lines().last().unwrap_or_default();
        for part in says {
            assert!(last.contains(part), "{last} lacks {part:?}");
        }
        assert!(!place.path("model").exists(), "{last}");
    };
    check("broken.jsonl", &format!("{many}{{\"text\": \"a\", \"lab"), 1, &["broken.jsonl", "40000", "malformed JSON"]);
    check("no_label.jsonl", &format!("{good}{{\"text\": \"a\"}}\n"), 1, &["no_label.jsonl", "601", "label"]);
    check("no_text.jsonl", "{\"label\": \"positive\"}\n", 1, &["no_text.jsonl", "1", "text"]);
    check("wrong_type.jsonl", "{\"text\": 1, \"label\": \"a\"}\n", 1, &["wrong_type.jsonl", "1", "text"]);
    check("one.jsonl", "{\"text\": \"a\", \"label\": \"b\"}\n", 2, &["task.train", "two labels"]);
    check("empty.jsonl", "", 2, &["task.train", "two labels"]);
    place.write("unseen.jsonl", "{\"text\": \"a\", \"label\": \"mixed\"}\n");
    let ran = place.run("train -c c.toml --set task.valid=[\"unseen.jsonl\"]");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    for part in ["unseen.jsonl", "\"mixed\"", "\"negative\", \"positive\""] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert!(!place.path("model").exists());
}

#[test]
fn what_would_fail_at_the_end_fails_at_the_start() {
    let place = Workplace::new();
    place.write("three.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n{\"text\": \"c\", \"label\": \"z\"}\n");
    let check = |args: &str, status: i32, says: &str| {
        for dry in ["", " --dry-run"] {
            let ran = place.run(&format!("train -c c.toml {args}{dry}"));
            assert_eq!(ran.status, Some(status), "{args}: {}", ran.stderr);
            assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
            assert!(!place.path("model").exists());
        }
    };
    check("--set task.test=[\"nowhere.jsonl\"]", 2, "`task.test` = \"nowhere.jsonl\"");
    check("--set task.test=[\"three.jsonl\"]", 1, "three.jsonl:1: label \"x\"");
    let three = "--set task.train=[\"three.jsonl\"] --set task.valid=[\"three.jsonl\"] --set task.test=[]";
    let held_out = "--set task.train=[\"three.jsonl\"] --set task.valid=[] --set task.test=[]";
    check(&format!("{held_out} --set task.valid_fraction=0.999999"), 2, "`task.valid_fraction` = 0.999999");
    check(&format!("{three} --set task.tune_threshold=true"), 2, "`task.tune_threshold` = true");
}

#[test]
fn odd_texts_are_learned_from_and_labelled() {
    let place = Workplace::new();
    let long = "very good ".repeat(100_000);
    let rows = format!(
        "{{\"text\": \"\", \"label\": \"negative\"}}\n{{\"text\": \"{long}\", \"label\": \"positive\"}}\n{{\"text\": \"a\\u2028b\\u0000\", \"label\": \"negative\"}}\n"
    );
    place.write("odd.jsonl", &rows);
    place.succeed("train -c c.toml --set task.train=[\"odd.jsonl\"] --set train.steps=2");
    place.succeed("predict model --input odd.jsonl --output out.jsonl");
    assert_eq!(place.read("out.jsonl").lines().count(), 3);
    // A row that cannot be read leaves no output behind.
    place.write("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n");
    let ran = place.run("predict model --input bad.jsonl --output bad_out.jsonl");
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("bad.jsonl") && ran.stderr.contains('2'), "{}", ran.stderr);
    assert!(!place.path("bad_out.jsonl").exists());
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let place = Workplace::new();
    let check = |args: &str, status: i32, says: &str| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(status), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    };
    check("train -c c.toml --set finetune.pretrained=nowhere", 2, "`finetune.pretrained`");
    check("evaluate pretrained --data test.jsonl", 2, "a bundle of kind \"language_model\"");
    check("predict nowhere --input test.jsonl", 2, "nowhere");
    check("train -c c.toml --set finetune.freeze_layers=4", 2, "`finetune.freeze_layers` = 4");
    // Another tokenizer than the one that the weights were trained with.
    let tokenizer = place.read("pretrained/tokenizer.json");
    place.write("pretrained/tokenizer.json", &tokenizer.replacen("\"Ġthe\"", "\"Ġthx\"", 1));
    check("train -c c.toml", 2, "tokenizer.json");
    assert!(!place.path("model").exists());
}
