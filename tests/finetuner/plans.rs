//! What is said before training: the plan of a dry run, and what looks like a mistake.

use std::fs;

use crate::program::Workplace;

#[test]
fn a_dry_run_says_what_training_takes() {
    let place = Workplace::new();
    let check = |args: &str, parts: &[&str], lacks: &str| {
        let said = place.succeed(&format!("train -c c.toml --dry-run {args}"));
        for part in parts {
            assert!(said.contains(part), "{args}: {said} lacks {part:?}");
        }
        assert!(!said.contains(lacks), "{args}: {said}");
        assert!(!place.path("model").exists());
    };
    check("", &["a checkpoint", "a step here; evaluations not counted", "memory", "MB for some steps"], "adaptation");
    check("--set train.epochs=1000000.0", &[" hours for "], "minutes");
    check("--set train.budget=90m", &["1h 30m, the budget"], "a step here");
    check(
        "--set finetune.adapt.train.epochs=1.0",
        &["adapts first", "adaptation and evaluations not counted"],
        "budget",
    );
    check("--set finetune.freeze_layers=3", &["one pass over the texts"], "a step here");
    // With gradual unfreezing it is not the head alone that learns, in the end.
    check("--set train.epochs=9.0 --set finetune.unfreeze=gradual", &["a step here"], "one pass");
    let place = Workplace::of_translations();
    let said = place.succeed("train -c c.toml --dry-run");
    assert!(said.contains("a step here") && !place.path("model").exists(), "{said}");
}

#[test]
fn what_looks_like_a_mistake_is_warned_of() {
    let place = Workplace::new();
    let check = |args: &str, says: &[&str]| {
        let ran = place.run(&format!("train -c c.toml --dry-run {args}"));
        assert_eq!(ran.status, Some(0), "{args}: {}", ran.stderr);
        for part in says {
            assert!(ran.stderr.contains(part), "{args}: {} lacks {part:?}", ran.stderr);
        }
        ran.stderr
    };
    let said = check("", &[]);
    assert!(!said.contains("mistyped") && !said.contains("will be better"), "{said}");
    let [train, valid, test] =
        ["train", "valid", "test"].map(|name| fs::read_to_string(place.path(&format!("{name}.jsonl"))));
    let rows = [train, valid, test].map(Result::unwrap).concat();
    place.write("typo.jsonl", &(rows + "{\"text\": \"Very good.\", \"label\": \"postive\"}\n"));
    check(
        "--set task.train=[\"typo.jsonl\"] --set task.test=[]",
        &["1 training text with the label \"postive\": is it mistyped?"],
    );
    check(
        "--set task.test=[\"train.jsonl\"]",
        &["task.test names \"train.jsonl\" as task.train does: its figures will be better"],
    );
    check("--set task.test=[\"valid.jsonl\"]", &["task.test names \"valid.jsonl\" as task.valid does"]);
    let mut text = "A text of many words, none of which is odd.\n".repeat(100).into_bytes();
    text[500] = 0xff;
    fs::write(place.path("odd.txt"), text).unwrap();
    let generation = "{kind=\"generation\",train=[\"odd.txt\"]}";
    check(&format!("--set task={generation}"), &["odd.txt: 1 undecodable characters became U+FFFD"]);
}
