//! What a user reads when a config cannot be used, and what `--set` does when it can.

use std::path::Path;

use grulm_config::{Error, Invalid, load, locate};

use crate::sample::{Config, Direction, Schedule, Task, parse};

/// The whole message.
#[track_caller]
fn check(text: &str, sets: &[&str], message: &str) {
    let error = parse(text, sets).expect_err("an error");
    assert_eq!(error.to_string(), message);
}

#[test]
fn unknown_keys() {
    check(
        "[run]\nseed = 1\n\n[train]\nlerning_rate = 0.1\n",
        &[],
        "a.toml:5: `train.lerning_rate` = 0.1: no such key; \
         allowed: batch_size, learning_rate, budget, tie_weights, offset, init, schedule; did you mean `learning_rate`?",
    );
    check(
        "[trian]\nbatch_size = 1",
        &[],
        "a.toml:1: `trian` = {batch_size = 1}: no such key; allowed: run, corpus, model, train, task; did you mean `train`?",
    );
    check(
        "model.dropout.hiden = 0.5",
        &[],
        "a.toml:1: `model.dropout.hiden` = 0.5: no such key; allowed: hidden, scale; did you mean `hidden`?",
    );
    check(
        "[model.dropout]\nzzz = [1,\n  'a']",
        &[],
        "a.toml:2: `model.dropout.zzz` = [1, \"a\"]: no such key; allowed: hidden, scale",
    );
    check("\"a b\" = 1", &[], "a.toml:1: `\"a b\"` = 1: no such key; allowed: run, corpus, model, train, task");
    check(
        "",
        &["run.sede=3"],
        "a.toml, --set run.sede=3: `run.sede` = 3: no such key; allowed: dir, seed; did you mean `seed`?",
    );
    check(
        "",
        &["ran.seed=3"],
        "a.toml, --set ran.seed=3: `ran` = {seed = 3}: no such key; \
         allowed: run, corpus, model, train, task; did you mean `run`?",
    );
    check(
        "[task]\nkind = \"translation\"\nbeams = 4",
        &[],
        "a.toml:3: `task.beams` = 4: no such key; allowed: beam; did you mean `beam`?",
    );
    // The first of two in the order of the file.
    check("[run]\nzz = 1\naa = 1", &[], "a.toml:2: `run.zz` = 1: no such key; allowed: dir, seed");
}

#[test]
fn wrong_types() {
    check(
        "[train]\nbatch_size = \"large\"",
        &[],
        "a.toml:2: `train.batch_size` = \"large\": allowed: an integer from 0 to 2^64 - 1",
    );
    check("train.batch_size = -1", &[], "a.toml:1: `train.batch_size` = -1: allowed: an integer from 0 to 2^64 - 1");
    check("train.batch_size = 1.5", &[], "a.toml:1: `train.batch_size` = 1.5: allowed: an integer from 0 to 2^64 - 1");
    check(
        "train.offset = 0xffffffff",
        &[],
        "a.toml:1: `train.offset` = 4294967295: allowed: an integer from -2^31 to 2^31 - 1",
    );
    check(
        "run.seed = 99999999999999999999",
        &[],
        "a.toml:1: `run.seed` = 99999999999999999999: allowed: an integer from 0 to 2^64 - 1",
    );
    check("train.learning_rate = nan", &[], "a.toml:1: `train.learning_rate` = nan: allowed: a finite number");
    check("train.learning_rate = 1e999", &[], "a.toml:1: `train.learning_rate` = 1e999: allowed: a finite number");
    check(
        "model.dropout.scale = 1e200",
        &[],
        "a.toml:1: `model.dropout.scale` = 1e200: allowed: a finite number (of 32 bits)",
    );
    check("train.learning_rate = '1'", &[], "a.toml:1: `train.learning_rate` = \"1\": allowed: a finite number");
    check("train.tie_weights = 1", &[], "a.toml:1: `train.tie_weights` = 1: allowed: true or false");
    check("train.budget = 60", &[], "a.toml:1: `train.budget` = 60: allowed: a string");
    check("train.budget = 2024-01-01", &[], "a.toml:1: `train.budget` = 2024-01-01: allowed: a string");
    check("run.dir = 1", &[], "a.toml:1: `run.dir` = 1: allowed: a path, as a string");
    check("corpus.train = 'a.txt'", &[], "a.toml:1: `corpus.train` = \"a.txt\": allowed: an array, as in [\"a.txt\"]");
    check("corpus.train = 3", &[], "a.toml:1: `corpus.train` = 3: allowed: an array");
    check("[corpus]\ntrain = [\n'a.txt',\n3]", &[], "a.toml:4: `corpus.train[1]` = 3: allowed: a string");
    check("run = 3", &[], "a.toml:1: `run` = 3: allowed: a table");
    check("[[run]]\nseed = 1", &[], "a.toml:1: `run` = [{seed = 1}]: allowed: a table");
    check(
        "",
        &["train.batch_size=large"],
        "a.toml, --set train.batch_size=large: `train.batch_size` = \"large\": allowed: an integer from 0 to 2^64 - 1",
    );
    check(
        "[train]\nbatch_size = 8",
        &["train.batch_size=0.5"],
        "a.toml, --set train.batch_size=0.5: `train.batch_size` = 0.5: allowed: an integer from 0 to 2^64 - 1",
    );
}

#[test]
fn enums() {
    check(
        "[model]\ndirection = \"forwards\"",
        &[],
        "a.toml:2: `model.direction` = \"forwards\": allowed: \"forward\", \"backward\", \"both\"; did you mean `forward`?",
    );
    check("model.direction = 3", &[], "a.toml:1: `model.direction` = 3: allowed: \"forward\", \"backward\", \"both\"");
    check(
        "[train.schedule]\ncosin.floor = 1",
        &[],
        "a.toml:1: `train.schedule` = \"cosin\": allowed: \"constant\", \"cosine\"; did you mean `cosine`?",
    );
    check(
        "train.schedule.cosine.floor = 'x'",
        &[],
        "a.toml:1: `train.schedule.cosine.floor` = \"x\": allowed: a finite number",
    );
    check("train.schedule.cosine = [0.5]", &[], "a.toml:1: `train.schedule.cosine` = [0.5]: allowed: a table");
    check("train.schedule.constant = 1", &[], "a.toml:1: `train.schedule.constant` = 1: allowed: an empty table");
    // A table that is buffered until its tag is known.
    check(
        "[task]\nkind = 'translaton'\nbeam = 1",
        &[],
        "a.toml:2: `task.kind` = \"translaton\": allowed: \"classification\", \"translation\"; did you mean `translation`?",
    );
    check(
        "[task]\nkind = 'translation'\nbeam = 'x'",
        &[],
        "a.toml:3: `task.beam` = \"x\": allowed: an integer from 0 to 2^64 - 1",
    );
    check("[run]\n[task]\nkind = 'translation'", &[], "a.toml:2: `task.beam` is not set; it has no default");
    check(
        "[task]\nkind = 'classification'\nlabels = 'x'\ntext = 'x'",
        &[],
        "a.toml:1: `task` = \"x\": allowed: an integer from 0 to 2^64 - 1",
    );
}

#[test]
fn own_parsers() {
    check("train.init = 'a b'", &[], "a.toml:1: `train.init` = \"a b\": a name without spaces is needed");
    check("model.hidden = 'x'", &[], "a.toml:1: `model.hidden` = \"x\": one size, or one for each layer");
    check(
        "",
        &["model.hidden=[1, 1.5]"],
        "a.toml, --set model.hidden=[1, 1.5]: `model.hidden` = [1, 1.5]: one size, or one for each layer",
    );
}

#[test]
fn validation() {
    check("[train]\nbatch_size = 0", &[], "a.toml:2: `train.batch_size` = 0: allowed: at least 1 and at most 1024");
    check(
        "",
        &["train.batch_size=2000"],
        "a.toml, --set train.batch_size=2000: `train.batch_size` = 2000: allowed: at least 1 and at most 1024",
    );
    check("corpus.train = [\n'a',\n'']", &[], "a.toml:3: `corpus.train[1]` = \"\": allowed: a file, folder or glob");
    check(
        "[train]\ntie_weights = false\n[model]\ndirection = 'both'",
        &[],
        "a.toml:2: `train.tie_weights` = false: allowed: true with model.direction = \"both\"",
    );
}

#[test]
fn validation_of_a_default_says_so() {
    #[derive(serde::Deserialize)]
    struct Broken {}
    impl grulm_config::Validate for Broken {
        fn validate(&self) -> Result<(), grulm_config::Invalid> {
            grulm_config::Invalid::check_range("train.warmup", 7, 8..)
        }
    }
    let error = grulm_config::parse::<Broken>(Path::new("a.toml"), "[train]", &[]).err().expect("an error");
    assert_eq!(error.to_string(), "a.toml (a default, not set there): `train.warmup` = 7: allowed: at least 8");
}

#[test]
fn syntax() {
    let cases = [
        ("[run]\nseed == 1\n", "a.toml:2:7: not TOML: "),
        ("[run\n", "a.toml:1:5: not TOML: "),
        ("run.seed = 1\nrun.seed = 2", "a.toml:2:5: not TOML: duplicate key"),
        ("x = 60m", "a.toml:1:5: not TOML: "),
        ("\u{e4}\u{f6} = \0", "a.toml:1:1: not TOML: "),
        ("x = 'a\0'", "a.toml:1:7: not TOML: "),
    ];
    for (text, start) in cases {
        let message = parse(text, &[]).expect_err("an error").to_string();
        assert!(message.starts_with(start), "{text:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("; found \""), "{message}");
    }
}

#[test]
fn malformed_sets() {
    check("", &["train.batch_size"], "--set train.batch_size: no `=`; allowed: key=value, such as train.steps=1000");
    for set in ["=3", "a..b=3", " =3", "a b=3"] {
        let message = parse("", &[set]).expect_err("an error").to_string();
        assert!(message.starts_with(&format!("--set {set}: ")), "{message}");
        assert!(message.ends_with("; allowed: a dotted key before `=`, such as train.steps"), "{message}");
    }
    for set in ["corpus.train=[\"a.txt\"", "run.dir='a", "run.dir=\"a", "model.dropout={hidden=}"] {
        let message = parse("", &[set]).expect_err("an error").to_string();
        assert!(message.starts_with(&format!("--set {set}: ")), "{message}");
        assert!(message.contains("; allowed: a TOML value, or text that does not start with"), "{message}");
    }
    check(
        "[run]\nseed = 4",
        &["run.seed.x=1"],
        "a.toml, --set run.seed.x=1: `run.seed` = 4: allowed: a table, for `run.seed.x` to be set",
    );
    check(
        "",
        &["run.seed.x=1"],
        "a.toml, --set run.seed.x=1: `run.seed` = {x = 1}: allowed: an integer from 0 to 2^64 - 1",
    );
}

#[test]
fn sets_apply() {
    let config = |text, sets: &[&str]| parse(text, sets).expect("a config");
    assert_eq!(config("", &["train.budget=60m"]).train.budget.as_deref(), Some("60m"));
    assert_eq!(config("", &["run.dir=out/a"]).run.dir, Path::new("out/a"));
    assert_eq!(config("", &["run.dir=2024-01-01"]).run.dir, Path::new("2024-01-01"));
    assert_eq!(config("", &["run.dir=a=b"]).run.dir, Path::new("a=b"));
    assert_eq!(config("", &["run.dir='10'"]).run.dir, Path::new("10"));
    assert_eq!(config("", &["corpus.language="]).corpus.language.as_deref(), Some(""));
    assert_eq!(config("corpus.train = ['b']", &["corpus.train=[\"a.txt\"]"]).corpus.train, ["a.txt"]);
    assert_eq!(config("", &["model.dropout.hidden=0.3"]).model.dropout.hidden, 0.3);
    assert_eq!(config("model = {dropout = {scale = 2}}", &["model.dropout.hidden=1"]).model.dropout.scale, 2.0);
    assert_eq!(config("", &[" run.seed = 7 "]).run.seed, 7);
    assert_eq!(config("", &["run.seed=18446744073709551615"]).run.seed, u64::MAX);
    assert_eq!(config("", &["run.seed=1", "run.seed=2"]).run.seed, 2);
    assert_eq!(config("", &["corpus.weights.\"very good\"=2"]).corpus.weights["very good"], 2.0);
    assert_eq!(config("", &["model.direction=both"]).model.direction, Direction::Both);
    assert_eq!(config("", &["train.schedule.cosine.floor=1"]).train.schedule, Schedule::Cosine { floor: 1.0 });
    let task = config("[task]\nkind = 'translation'\nbeam = 1", &["task.beam=4"]).task;
    assert_eq!(task, Some(Task::Translation { beam: 4 }));
    // A table is replaced as a whole.
    assert_eq!(config("model.dropout.scale = 2", &["model.dropout={hidden=1}"]).model.dropout.scale, 0.0);
}

#[test]
fn sets_repair_the_file() {
    for text in ["[train]\nbatch_size = 'large'", "train.batch_size = 99999999999999999999", "train.batch_size = 0"] {
        assert!(parse(text, &[]).is_err(), "{text}");
        assert_eq!(parse(text, &["train.batch_size=8"]).expect("a config").train.batch_size, 8);
    }
}

#[test]
fn integers_stand_for_floats() {
    assert_eq!(parse("train.learning_rate = 1", &[]).expect("a config").train.learning_rate, 1.0);
    assert_eq!(parse("", &["train.learning_rate=1"]).expect("a config").train.learning_rate, 1.0);
}

#[test]
fn files() {
    let folder = tempfile::tempdir().expect("a folder");
    let message =
        |path: &Path| load::<Config>(path, &[]).map_err(|error: Error| error.to_string()).expect_err("an error");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };

    let missing = folder.path().join("missing.toml");
    let text = message(&missing);
    assert!(text.starts_with(&format!("{}: cannot read the config file: No such file", missing.display())), "{text}");
    assert_eq!(message(folder.path()), format!("{}: a folder; allowed: a TOML file", folder.path().display()));

    let latin1 = write("latin1.toml", b"[run]\n# \xe4\n");
    let expect =
        format!("{}: line 2 holds the byte 0xe4, which is not UTF-8; allowed: TOML, which is UTF-8", latin1.display());
    assert_eq!(message(&latin1), expect);

    // Where the reader stops lies within a character.
    let giant = write("giant.toml", "\u{e4}".repeat(grulm_config::MAX_FILE_SIZE / 2 + 1).as_bytes());
    assert!(message(&giant).contains("more than 1048576 bytes; allowed: "));

    let marked = write("bom.toml", "\u{feff}[run]\r\nseed = 5\r\nx = 1".as_bytes());
    assert_eq!(message(&marked), format!("{}:3: `run.x` = 1: no such key; allowed: dir, seed", marked.display()));
    let good = write("good.toml", "\u{feff}[run]\r\nseed = 5\r\n".as_bytes());
    assert_eq!(load::<Config>(&good, &["run.dir=x".into()]).expect("a config").run.seed, 5);
}

#[test]
fn what_turns_out_later_is_placed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.toml");
    std::fs::write(&path, "[run]\nseed = 5\n").expect("a file");
    let check = |sets: &[&str], key: &str, place: &str| {
        let sets: Vec<_> = sets.iter().map(|&set| set.to_owned()).collect();
        let error = locate(&path, &sets, &Invalid::new(key, 5, "less"));
        assert_eq!(error.to_string(), format!("{}{place}: `{key}` = 5: allowed: less", path.display()));
    };
    check(&[], "run.seed", ":2");
    check(&["run.seed=5"], "run.seed", ", --set run.seed=5");
    check(&[], "train.batch_size", " (a default, not set there)");
    std::fs::remove_file(&path).expect("a file");
    check(&[], "run.seed", "");
}
