//! Where nothing can be written: an error with the file, what was there stays, nothing half-written is left.

use crate::program::{Ran, Workplace};

const FULL: &str = "File too large";

#[test]
fn a_full_disk_costs_no_checkpoint() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    // A run that is extended has a line of metrics where it ended first.
    let args = "train -c c.toml --set train.schedule=constant --set train.log_every=4";
    place.succeed(&format!("{args} --set run.dir=whole"));
    place.succeed(&format!("{args} --set train.steps=4"));
    let good = |name: &String| name.starts_with("checkpoints") || name == "best" || name == "last";
    let mut before = place.everything("model");
    before.retain(|name, _| good(name));
    assert!(before.contains_key("checkpoints/step-0000004/state.json"));
    // From the first byte to the last file of a checkpoint, the optimizer's state, which is the largest.
    for (blocks, file) in [(0, "run.lock"), (2, "model/"), (50, "checkpoints"), (190, "checkpoints")] {
        let ran = place.run_short_of_disk(blocks, &format!("{args} --resume"));
        ran.failed("train --resume", 1, &[FULL, file]);
        let mut after = place.everything("model");
        after.retain(|name, _| good(name));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{blocks}");
        assert!(before == after, "{blocks} blocks: a good file changed");
    }
    place.succeed(&format!("{args} --resume"));
    let [found, expected] = ["model", "whole"].map(|run| {
        let mut files = place.everything(run);
        files.retain(|name, _| name == "metrics.jsonl" || name.starts_with("checkpoints/step-0000010/model"));
        files
    });
    assert!(found == expected, "the run went on as if the disk had not been full");
}

#[test]
fn a_full_disk_leaves_the_corpus_that_was_there() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let before = place.everything("");
    let args = "prepare -c c.toml --set tokenizer.vocab_size=1500";
    for (blocks, file) in [(0, "corpus.part"), (8, "work/documents"), (42, "tokenizer.json")] {
        place.run_short_of_disk(blocks, args).failed(args, 1, &[FULL, file]);
        assert!(place.everything("") == before, "{blocks} blocks");
    }
}

#[test]
fn results_that_cannot_be_written_are_failures() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2");
    let args = "evaluate model --text text.txt --per-line lines.jsonl";
    let before = place.everything("");
    place.run_short_of_disk(0, args).failed(args, 1, &[FULL, "lines.jsonl"]);
    assert!(place.everything("") == before);
    let full = || std::fs::File::options().write(true).open("/dev/full");
    if full().is_err() {
        eprintln!("skipped: no /dev/full here");
        return;
    }
    for args in
        ["inspect model", "evaluate model --text text.txt --json", "generate model --prompt a", "prepare -c c.toml"]
    {
        let ran = Ran::of(place.command(args).stdout(full().unwrap()).output().unwrap());
        ran.failed(args, 1, &["standard output", "No space left"]);
    }
    // Messages that nobody can read are no reason to stop.
    let train = "train -c c.toml --set train.steps=4 --resume";
    assert_eq!(Ran::of(place.command(train).stderr(full().unwrap()).output().unwrap()).status, Some(0));
}

/// As root no permission forbids anything, but nobody makes a folder below a file.
#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let place = Workplace::new();
    place.refuse("prepare -c c.toml --set corpus.dir=text.txt/corpus", 1, &["text.txt/corpus"]);
    place.refuse("run -c c.toml --set corpus.dir=text.txt/corpus", 1, &["text.txt/corpus"]);
    place.succeed("prepare -c c.toml");
    place.refuse("train -c c.toml --set run.dir=text.txt/model", 1, &["text.txt/model"]);
    place.refuse("train -c c.toml --set run.dir=text.txt", 1, &["text.txt"]);
    place.succeed("train -c c.toml --set train.steps=2");
    place.refuse("evaluate model --text text.txt --per-line text.txt/lines.jsonl", 1, &["text.txt/lines.jsonl"]);
}

#[test]
fn a_read_only_folder_can_be_read() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=4 --set train.schedule=constant");
    let before = place.everything("");
    let run = |args: &str| place.run_read_only(&format!("{args} --set train.schedule=constant"));
    let Some(ran) = run("train -c c.toml --resume") else { return };
    ran.failed("train --resume", 1, &["Read-only file system", "model/"]);
    run("train -c c.toml --overwrite").unwrap().failed("train --overwrite", 1, &["Read-only file system", "model/"]);
    let args = "prepare -c c.toml --set tokenizer.vocab_size=300";
    run(args).unwrap().failed(args, 1, &["Read-only file system", "corpus.part"]);
    for args in ["prepare -c c.toml", "run -c c.toml --set train.steps=4"] {
        let ran = run(args).unwrap();
        assert_eq!(ran.status, Some(0), "{args}: {}", ran.stderr);
    }
    for args in ["evaluate model --text text.txt", "generate model --prompt a --max-tokens 3", "inspect model"] {
        let ran = place.run_read_only(args).unwrap();
        assert_eq!(ran.status, Some(0), "{args}: {}", ran.stderr);
    }
    assert!(place.everything("") == before);
}
