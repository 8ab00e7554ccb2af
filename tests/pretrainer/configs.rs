//! The committed configs, and what is wrong with others.

use std::fs;

use crate::program::{Workplace, root};

/// Every committed config is read and validated by the binary: a missing corpus is the only complaint.
#[test]
fn every_committed_config_is_valid() {
    let place = Workplace::new();
    // What english.toml starts from.
    fs::create_dir_all(place.path("runs/reviews/model")).unwrap();
    place.write("runs/reviews/model/task.json", "{}");
    let mut count = 0;
    let mut folders: Vec<_> =
        fs::read_dir(root().join("configs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.sort();
    assert_eq!(folders, ["finetune", "pretrain"], "this test, or that of the finetuner, knows every folder of configs");
    for entry in fs::read_dir(root().join("configs/pretrain")).unwrap() {
        let path = entry.unwrap().path();
        let ran = place.run(&format!("train --set run.dir=run --set corpus.dir=nowhere/corpus -c {}", path.display()));
        assert_eq!(ran.status, Some(2), "{}: {}", path.display(), ran.stderr);
        assert!(ran.stderr.contains("nowhere/corpus: no corpus is there"), "{}: {}", path.display(), ran.stderr);
        count += 1;
    }
    assert!(count >= 8, "{count} configs");
}

#[test]
fn a_bad_config_is_one_message_and_status_2() {
    let place = Workplace::new();
    let check = |set: &str, says: &[&str]| {
        let all = ["prepare", "run", "train", "find-lr"];
        // They read it in the same way: one mistake shows it.
        let commands = if set.starts_with("trian") { all.as_slice() } else { &all[..1] };
        for command in commands {
            let ran = place.run(&format!("{command} -c c.toml --set {set}"));
            assert_eq!(ran.status, Some(2), "{command} --set {set}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{command} --set {set}: {}", ran.stderr);
            assert!(ran.stdout.is_empty());
            for part in says.iter().chain(&["c.toml"]) {
                assert!(ran.stderr.contains(part), "{command} --set {set}: {} lacks {part:?}", ran.stderr);
            }
        }
    };
    check("train.learning_rat=1", &["train.learning_rat", "no such key", "did you mean `learning_rate`"]);
    check("trian.steps=1", &["trian", "no such key"]);
    check("train.learning_rate=fast", &["train.learning_rate", "\"fast\""]);
    check("train.learning_rate=-1", &["train.learning_rate", "-1", "above 0"]);
    check("model.hidden=0", &["model.hidden", "0", "1..=65536"]);
    check("model.direction=sideways", &["model.direction", "\"sideways\"", "forward", "both"]);
    check("model.dropout.input=1.5", &["model.dropout.input", "1.5"]);
    check("run.device=gpu", &["run.device", "\"gpu\"", "cuda"]);
    check("run.threads=-1", &["run.threads", "-1"]);
    check("corpus.train=[]", &["corpus.train", "[]"]);
    check("corpus.encoding=utf-9", &["corpus.encoding", "utf-9"]);
    check("corpus.valid_fraction=2.0", &["corpus.valid_fraction", "2.0"]);
    check("tokenizer.kind=words", &["tokenizer.kind", "\"words\"", "word"]);
    check("tokenizer.vocab_size=10", &["tokenizer.vocab_size", "10", "262"]);
    check("corpus.clean.stop_words=klingon", &["stop_words", "klingon"]);
    check("run.dir=corpus/model", &["run.dir", "corpus"]);
    check("train.budget=soon", &["train.budget", "soon", "10m"]);
}

/// What only the machine or the corpus can tell is said as what the file tells is.
#[test]
fn settings_that_do_not_fit_are_placed() {
    let place = Workplace::new();
    let check = |args: &str, says: &str| {
        let ran = place.run(&format!("{args} -c c.toml"));
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.starts_with("error: c.toml") && last.contains(says), "{args}: {last} lacks {says:?}");
        assert!(!place.path("model").exists());
    };
    for command in ["run", "train", "find-lr", "run --dry-run"] {
        check(
            &format!("{command} --set train.init=none"),
            "--set train.init=none: `train.init` = \"none\": allowed: a model",
        );
        check(&format!("{command} --set run.device=cuda:99"), "`run.device` = \"cuda:99\": allowed: ");
    }
    check("run --set tokenizer.file=none.json", "`tokenizer.file` = \"none.json\": allowed: a tokenizer.json");
    place.write("c.toml", &place.read("c.toml").replace("text.txt", "none.txt"));
    check("run", "c.toml:10: `corpus.train` = \"none.txt\": allowed: files");
    assert!(!place.path("corpus").exists());
    place.write("c.toml", &place.read("c.toml").replace("none.txt", "text.txt"));
    check("run --set train.batch_size=100000", "`train.batch_size` = 100000: allowed: 1 to ");
    check("train --set train.batch_size=100000", "`train.batch_size` = 100000: allowed: 1 to ");
}

#[test]
fn files_that_are_not_there_are_named() {
    let place = Workplace::new();
    let check = |args: &str, says: &[&str]| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        for part in says {
            assert!(ran.stderr.contains(part), "{args}: {} lacks {part:?}", ran.stderr);
        }
    };
    check("prepare -c none.toml", &["none.toml"]);
    check("prepare -c .", &["a folder"]);
    check("prepare -c c.toml --set corpus.train=none.txt", &["corpus.train"]);
    check("prepare -c c.toml --set corpus.train=[\"none.txt\"]", &["c.toml", "corpus.train", "none.txt"]);
    check("run -c c.toml --set corpus.valid_fraction=0.0 --set corpus.valid=[\"*.none\"]", &["corpus.valid", "*.none"]);
    check("prepare -c c.toml --set tokenizer.file=none.json", &["c.toml", "tokenizer.file", "none.json"]);
    check("train -c c.toml", &["corpus: no corpus is there", "pretrainer prepare -c c.toml"]);
    check("find-lr -c c.toml", &["corpus: no corpus is there"]);
    assert!(!place.path("corpus").exists() && !place.path("model").exists());
}
