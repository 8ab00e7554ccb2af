//! Files that do not fit: an error with file and row, and nothing half written.

use std::{fs, io::Write as _, process::Stdio};

use crate::program::{Ran, Workplace};

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
    check("bare.jsonl", &format!("{good}{{\"text\": \"a\"}}\n"), 1, &["bare.jsonl", "601", "label"]);
    check("blank.jsonl", "{\"label\": \"positive\"}\n", 1, &["blank.jsonl", "1", "text"]);
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
    place.write("empty.csv", "text,label\n");
    check("--set task.valid=[\"empty.csv\"]", 2, "`task.valid` = [\"empty.csv\"]");
    check("--set task.test=[\"empty.csv\"]", 2, "`task.test` = [\"empty.csv\"]");
    let three = "--set task.train=[\"three.jsonl\"] --set task.valid=[\"three.jsonl\"] --set task.test=[]";
    let held_out = "--set task.train=[\"three.jsonl\"] --set task.valid=[] --set task.test=[]";
    check(&format!("{held_out} --set task.valid_fraction=0.999999"), 2, "`task.valid_fraction` = 0.999999");
    check(&format!("{held_out} --set task.valid_fraction=0.5"), 2, "texts of every label to learn from; of \"");
    check(&format!("{three} --set task.tune_threshold=true"), 2, "`task.tune_threshold` = true");
    let row = |label: u32| format!("{{\"text\": \"a\", \"label\": \"{label}\"}}\n");
    place.write("many.jsonl", &(0..300).map(row).collect::<String>());
    let many = "--set task.train=[\"many.jsonl\"] --set task.valid=[\"many.jsonl\"] --set task.test=[]";
    check(&format!("{many} --set task.ngrams=2"), 2, "`task.ngrams` = 2: allowed: 0: there are 300 labels");
    check(&format!("{many} --set task.ngrams=9"), 2, "`task.ngrams` = 9");
    check(
        &format!("{many} --set task.character_ngrams=3"),
        2,
        "`task.character_ngrams` = 3: allowed: 0: there are 300",
    );
    check(&format!("{many} --set task.character_ngrams=1"), 2, "`task.character_ngrams` = 1: allowed: 0, or 2 to 8");
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
    // Text in another encoding, from a file or a pipe.
    let rows = b"{\"text\": \"tr\xe8s bien\", \"label\": \"positive\"}\n".repeat(40);
    fs::write(place.path("latin.jsonl"), &rows).unwrap();
    for args in ["predict model --input latin.jsonl", "evaluate model --data latin.jsonl"] {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(1), "{args}");
        assert!(ran.stderr.contains("--encoding windows-1252"), "{args}: {}", ran.stderr);
        place.succeed(&format!("{args} --encoding windows-1252"));
    }
    let mut child = place.command("predict model --encoding latin1").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&rows).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert!(ran.status == Some(0) && ran.stdout.contains("{\"text\":\"très bien\""), "{} {}", ran.stdout, ran.stderr);
    // A row that cannot be read leaves no output behind.
    place.write("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n");
    let ran = place.run("predict model --input bad.jsonl --output bad_out.jsonl");
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("bad.jsonl") && ran.stderr.contains('2'), "{}", ran.stderr);
    assert!(!place.path("bad_out.jsonl").exists());
}

#[test]
fn a_text_alone_is_not_labelled_where_two_were_learned_from() {
    let place = Workplace::new();
    let row = |label: u32| format!("{{\"text\": \"a\", \"pair\": \"b {label}\", \"label\": \"{label}\"}}\n");
    place.write("pairs.jsonl", &[row(0), row(1)].concat());
    let files = "--set task.train=[\"pairs.jsonl\"] --set task.valid=[] --set task.test=[]";
    place.succeed(&format!("train -c c.toml {files} --set task.pair_field=pair --set train.steps=2"));
    place.succeed("predict model --input pairs.jsonl");
    place.write("texts.txt", "a\n");
    let ran = place.run("predict model --lines --input texts.txt");
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--lines: the model reads two texts, `text` and `pair`"), "{}", ran.stderr);
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

/// Each cause, the command, its status, and what the message names; nothing is written.
#[test]
fn what_is_typed_wrongly_is_named() {
    let place = Workplace::new();
    let good = place.read("c.toml");
    let config = |name: &str, from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        place.write(name, &good.replacen(from, to, 1));
    };
    config("syntax.toml", "dropout = 0.1", "dropout = ");
    config("key.toml", "dropout = 0.1", "drop = 0.1");
    config("kind.toml", "\"classification\"", "\"clasification\"");
    config("type.toml", "train = [\"train.jsonl\"]", "train = 7");
    config("range.toml", "dropout = 0.1", "dropout = 1.0");
    // A run of `pretrainer`.
    std::fs::create_dir_all(place.path("other/checkpoints")).unwrap();
    place.write("other/config.toml", "[run]\ndir = \"other\"\n[corpus]\ndir = \"corpus\"\n");
    place.write("other/metrics.jsonl", "");
    place.write("bad.csv", "text,label\n\"never closed,positive\n");
    let rows: &[(&str, &str, i32, &[&str])] = &[
        ("nothing", "", 2, &["Usage"]),
        ("no --config", "train", 2, &["--config"]),
        ("no TOML", "train -c syntax.toml", 2, &["syntax.toml:"]),
        ("an unknown key", "train -c key.toml", 2, &["key.toml:", "drop"]),
        ("an unknown kind", "train -c kind.toml", 2, &["kind.toml:", "clasification", "classification"]),
        ("a value of another type", "train -c type.toml", 2, &["type.toml:", "task.train"]),
        ("a value out of range", "train -c range.toml", 2, &["range.toml:", "task.dropout"]),
        ("a device that is not there", "train -c c.toml --set run.device=cuda:63", 2, &["cuda:63"]),
        ("no label file", "train -c c.toml --set task.train=[\"none.jsonl\"]", 2, &["task.train", "none.jsonl"]),
        ("a label file of no known kind", "train -c c.toml --set task.train=[\"c.toml\"]", 1, &["c.toml", ".jsonl"]),
        ("a broken table", "train -c c.toml --set task.train=[\"bad.csv\"]", 1, &["bad.csv"]),
        ("no such column", "train -c c.toml --set task.label_field=stars", 1, &["train.jsonl:1", "stars"]),
        ("no model", "predict none --input test.jsonl", 2, &["none: not there"]),
        ("no model in it", "predict . --input test.jsonl", 2, &["expected a bundle folder"]),
        ("another file as model", "inspect c.toml", 2, &["c.toml"]),
        ("no --data", "evaluate pretrained", 2, &["--data"]),
        ("a run of the other program", "train -c c.toml --set run.dir=other", 2, &["other: ", "another program"]),
        ("a run in place of the model", "train -c c.toml --set run.dir=pretrained", 2, &["`run.dir`", "starts from"]),
    ];
    for (cause, args, status, says) in rows {
        println!("{cause}");
        place.refuse(args, *status, says);
    }
    place.succeed("train -c c.toml --set train.steps=2");
    for (args, status, says) in [
        ("evaluate model --data bad.csv --errors wrong.jsonl", 1, "bad.csv"),
        ("evaluate model --data test.jsonl --errors none/wrong.jsonl", 1, "none/wrong.jsonl"),
        ("evaluate model --data test.jsonl --errors test.jsonl", 2, "would replace test.jsonl"),
        ("evaluate model --data test.jsonl --fail-if acuracy<1", 2, "acuracy"),
        ("predict model --input none.jsonl --output out.jsonl", 2, "--input none.jsonl: there is no such file"),
        (
            "evaluate model --data . --errors ./test.jsonl",
            2,
            "--errors ./test.jsonl: would replace test.jsonl, which is read",
        ),
        ("evaluate model --data t*.jsonl --errors test.jsonl", 2, "would replace test.jsonl"),
        (
            "predict model --input test.jsonl --output ./test.jsonl",
            2,
            "--output ./test.jsonl: would replace test.jsonl",
        ),
        ("predict model --input c.toml --lines --output c.toml", 2, "--output c.toml: would replace c.toml"),
        ("predict model --input test.jsonl --output none/out.jsonl", 1, "none/out.jsonl"),
        ("predict model --input test.jsonl --batch-size 0", 2, "--batch-size"),
        ("predict model --input test.jsonl --output out.csv", 2, "rows are written as JSON Lines"),
        ("predict model --input test.jsonl --encoding utf8mb4", 2, "--encoding"),
        ("predict model --input test.jsonl --n-best 2", 2, "--n-best"),
    ] {
        place.refuse(args, status, &[says]);
    }
}
