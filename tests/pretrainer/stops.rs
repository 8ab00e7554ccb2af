//! Runs that stop and go on.

use crate::program::Workplace;

/// The newest checkpoint's files, and the record of training.
fn state(place: &Workplace, run: &str) -> Vec<Vec<u8>> {
    let last = place.read(&format!("{run}/last"));
    let folder = place.path(run).join("checkpoints").join(last.trim());
    let files = ["model.safetensors", "optimizer.safetensors", "carry.safetensors"].map(|name| folder.join(name));
    files.iter().chain([&place.path(run).join("metrics.jsonl")]).map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn five_steps_and_five_are_ten() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    // A rate that falls depends on the number of steps, which a run that is extended does not know at first.
    let args = "train -c c.toml --set train.schedule=constant --set train.log_every=5 --set train.evaluate_every=5";
    place.succeed(&format!("{args} --set run.dir=whole"));
    place.succeed(&format!("{args} --set run.dir=halves --set train.steps=5"));
    place.succeed(&format!("{args} --set run.dir=halves --resume"));
    assert_eq!(state(&place, "whole"), state(&place, "halves"));
}

#[test]
fn a_run_folder_is_not_overwritten_by_accident() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=4");
    let check = |args: &str, says: &[&str]| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        for part in says {
            assert!(ran.stderr.contains(part), "{args}: {} lacks {part:?}", ran.stderr);
        }
    };
    check("train -c c.toml --set train.steps=4", &["model: holds a finished run", "--resume", "--overwrite"]);
    check("run -c c.toml", &["`train.steps` = 10 was 4", "--resume", "--overwrite"]);
    check(
        "train -c c.toml --resume --set train.batch_size=2 --set model.hidden=8",
        &["`model.hidden` = 8 was 24", "`train.batch_size` = 2 was 4"],
    );
    check("train -c c.toml --resume --set run.seed=8", &["`run.seed` = 8 was 7"]);
    let config = place.read("model/config.toml");
    check("train -c c.toml --resume --set train.steps=3", &["`train.steps` = 3", "4 or more"]);
    let by_epochs = place.read("c.toml").replace("steps = 10", "epochs = 0.1");
    place.write("epochs.toml", &by_epochs);
    place.succeed("train -c epochs.toml --set run.dir=epochs");
    check(
        "train -c epochs.toml --resume --set run.dir=epochs --set train.epochs=0.05",
        &["`train.epochs` = 0.05: allowed: 0.11 or more, which the run was begun with"],
    );
    assert_eq!(place.read("model/config.toml"), config, "a refusal changes nothing");
    place.succeed("train -c c.toml --resume --set train.steps=6 --set run.threads=2 --set run.log=warn");
    place.succeed("run -c c.toml --overwrite --set model.hidden=8 --set train.steps=2");
    place.write("text.txt", &place.read("text.txt").repeat(2));
    let same = "run -c c.toml --set model.hidden=8 --set train.steps=2";
    check(same, &["learned from another corpus", "--overwrite"]);
    check(&format!("{same} --resume"), &["learned from another corpus"]);
}

/// A pipeline has one command line: the first time, after an interruption, and when all is done.
#[test]
fn what_is_to_be_resumed_begins_where_there_is_no_run() {
    let place = Workplace::new();
    let check = |args: &str, says: &str| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(0), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {} lacks {says:?}", ran.stderr);
        ran.stdout
    };
    let table = check("run -c c.toml --resume", "model: no checkpoint to go on from; starting at step 0");
    assert_eq!(table, check("run -c c.toml --resume", "model is up to date"));
    std::fs::create_dir(place.path("empty")).unwrap();
    check("train -c c.toml --resume --set run.dir=empty", "empty: no checkpoint to go on from");
    check("train -c c.toml --resume --set run.dir=empty", "already finished");
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let args = "train -c c.toml --set train.steps=8 --set train.checkpoint_every=4";
    for file in ["state.json", "provenance.json", "model.safetensors", ""] {
        place.succeed(&format!("{args} --overwrite"));
        let whole = state(&place, "model");
        let folder = place.path("model/checkpoints/step-0000008");
        match file {
            "" => std::fs::remove_dir_all(&folder).unwrap(),
            file => std::fs::write(folder.join(file), "{").unwrap(),
        }
        place.succeed(&format!("{args} --resume"));
        assert_eq!(state(&place, "model"), whole, "{file}");
    }
}

#[test]
fn a_budget_fixes_the_length_of_a_run() {
    let place = Workplace::new();
    let ran = place.run("run -c c.toml --set train.budget=2s --set train.steps=10");
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("train.steps and train.epochs are not used"), "{}", ran.stderr);
    let ran = place.run("train -c c.toml --set train.budget=2s --resume --set train.steps=1000000");
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("`train.steps` = 1000000, but train.budget fixed"), "{}", ran.stderr);
}

#[test]
fn a_folder_that_is_refused_stays_as_it_is() {
    let place = Workplace::new();
    for (dir, file) in [("mine", "config.toml"), ("scores", "test.json"), ("thesis", "saved/thesis.txt")] {
        let path = place.path(dir).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "mine").unwrap();
        for args in ["run", "run --resume", "run --overwrite", "train", "train --resume"] {
            let ran = place.run(&format!("{args} -c c.toml --set run.save_as=fp16 --set run.dir={dir}"));
            assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
            let says = format!("{dir}: holds files that a run would replace");
            assert!(ran.stderr.contains(&says), "{args}: {}", ran.stderr);
            assert_eq!(std::fs::read_dir(place.path(dir)).unwrap().count(), 1, "{args}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine", "{args}");
        }
    }
    assert!(!place.path("corpus").exists());
}

/// What "auto" means may be measured: a run must go on in what it was begun with.
#[test]
fn a_run_goes_on_in_the_arithmetic_that_it_was_begun_with() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2 --set train.precision=bf16");
    let ran = place.run("run -c c.toml --set train.steps=4 --set train.precision=auto --resume");
    assert!(ran.status == Some(0) && ran.stderr.contains("bf16 arithmetic"), "{}", ran.stderr);
    assert!(place.read("model/config.toml").contains("precision = \"bf16\""));
    let refused = place.run("run -c c.toml --set train.steps=4 --resume");
    assert!(refused.stderr.contains("`train.precision` = \"fp32\" was \"bf16\""), "{}", refused.stderr);
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_the_run_goes_on_bit_for_bit() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let args = "train -c c.toml --set train.steps=400 --set train.evaluate_every=100 --set train.checkpoint_every=100";
    place.succeed(&format!("{args} --set run.dir=whole"));
    let stopped = |signal: &str, resume: &str| {
        let lines = || std::fs::read_to_string(place.path("parts/metrics.jsonl")).unwrap_or_default().lines().count();
        let before = lines();
        place.signal(&format!("{args} --set run.dir=parts {resume}"), signal, || lines() >= before + 3)
    };
    let ran = stopped("-INT", "");
    assert_eq!(ran.status, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("--resume"), "{}", ran.stderr);
    assert!(place.path("parts/last").is_file());
    let ran = stopped("-TERM", "--resume");
    assert_eq!(ran.status, Some(143), "{}", ran.stderr);
    place.succeed(&format!("{args} --set run.dir=parts --resume"));
    assert_eq!(state(&place, "whole"), state(&place, "parts"));
}

/// Killed before the smaller model was there, or asked for another one: it is made, and nothing else.
#[test]
fn the_smaller_model_is_made_where_it_is_missing() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2 --set run.save_as=fp16");
    let whole = std::fs::read(place.path("model/saved/model.safetensors")).unwrap();
    std::fs::rename(place.path("model/saved"), place.path("model/saved.part")).unwrap();
    place.succeed("run -c c.toml --set train.steps=2 --set run.save_as=fp16 --resume");
    assert_eq!(std::fs::read(place.path("model/saved/model.safetensors")).unwrap(), whole);
    assert!(!place.path("model/saved.part").exists());
    place.succeed("run -c c.toml --set train.steps=2 --set run.save_as=int8 --resume");
    assert!(place.succeed("inspect model/saved").contains("int8"));
}
