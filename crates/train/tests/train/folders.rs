//! What may be written where.

use std::{fs, path::Path};

use grulm_train::{RunFolder, Start, TrainConfig};

use crate::toy::{Run, Toy, ten_steps};

fn refused(run: &Run, start: Start, expect: &[&str]) {
    let message = run.train(&mut Toy::new(16), start).unwrap_err().to_string();
    assert!(expect.iter().all(|part| message.contains(part)), "{start:?}: {message}");
}

#[test]
fn a_folder_that_holds_a_run_wants_a_flag() {
    let run = Run::new(ten_steps());
    let weights = run.fresh().weights();
    let metrics = run.bytes("metrics.jsonl");
    refused(&run, Start::Fresh, &["step 10", "--resume", "--overwrite"]);
    assert_eq!(run.bytes("metrics.jsonl"), metrics);
    fs::write(run.dir.join("log.txt"), "kept, the binary writes it").unwrap();
    let mut toy = Toy::new(16);
    run.train(&mut toy, Start::Overwrite).unwrap();
    assert_eq!((run.bytes("metrics.jsonl"), toy.weights()), (metrics, weights));
    assert!(run.dir.join("log.txt").exists());
}

#[test]
fn a_folder_of_other_things_is_left_alone() {
    let run = Run::new(ten_steps());
    fs::create_dir(&run.dir).unwrap();
    fs::write(run.dir.join("config.toml"), "mine").unwrap();
    for start in [Start::Fresh, Start::Resume, Start::Overwrite] {
        refused(&run, start, &["no run"]);
    }
    assert_eq!(run.read("config.toml"), "mine");
    assert_eq!(fs::read_dir(&run.dir).unwrap().count(), 1);
    fs::remove_file(run.dir.join("config.toml")).unwrap();
    fs::write(run.dir.join("thesis.txt"), "mine").unwrap();
    refused(&run, Start::Overwrite, &["thesis.txt"]);
    run.train(&mut Toy::new(16), Start::Fresh).unwrap();
    refused(&run, Start::Overwrite, &["thesis.txt"]);
    fs::remove_file(run.dir.join("thesis.txt")).unwrap();
    fs::create_dir(run.dir.join("checkpoints/mine")).unwrap();
    refused(&run, Start::Overwrite, &["mine"]);
    assert!(run.dir.join("checkpoints/step-0000010").exists());
}

/// A process may be killed as it makes a run's folder, and as it removes a run.
#[test]
fn what_a_kill_leaves_of_a_folder_can_be_used() {
    let weights = Run::new(ten_steps()).fresh().weights();
    let metrics = |dir: &Path| fs::write(dir.join("metrics.jsonl"), "").unwrap();
    let checkpoints = |dir: &Path| fs::create_dir(dir.join("checkpoints")).unwrap();
    let check = |start: Start, ready: &dyn Fn(&Path)| {
        let run = Run::new(ten_steps());
        fs::create_dir(&run.dir).unwrap();
        ready(&run.dir);
        let mut toy = Toy::new(16);
        run.train(&mut toy, start).unwrap();
        assert_eq!(toy.weights(), weights, "{start:?}");
    };
    for start in [Start::Fresh, Start::Resume, Start::Overwrite] {
        check(start, &metrics);
        check(start, &checkpoints);
    }
    let half_removed = |dir: &Path| {
        metrics(dir);
        checkpoints(dir);
        fs::create_dir_all(dir.join("checkpoints/step-0000010")).unwrap();
        fs::create_dir_all(dir.join("adapt/checkpoints")).unwrap();
        fs::write(dir.join("config.toml"), "seed = 1").unwrap();
    };
    check(Start::Overwrite, &half_removed);
}

#[test]
fn one_process_at_a_time() {
    let run = Run::new(ten_steps());
    run.fresh();
    let held = fs::File::options().write(true).open(run.dir.join("run.lock")).unwrap();
    held.try_lock().unwrap();
    refused(&run, Start::Resume, &["another process", &std::process::id().to_string()]);
    drop(held);
    run.train(&mut Toy::new(16), Start::Resume).unwrap();
}

#[test]
fn what_is_to_be_resumed_starts_where_no_run_is() {
    let fresh = Run::new(ten_steps());
    let weights = fresh.fresh().weights();
    let check = |ready: &dyn Fn(&Path)| {
        let run = Run::new(ten_steps());
        ready(&run.dir);
        let mut toy = Toy::new(16);
        run.train(&mut toy, Start::Resume).unwrap();
        assert_eq!((toy.weights(), run.bytes("metrics.jsonl")), (weights.clone(), fresh.bytes("metrics.jsonl")));
    };
    check(&|_| {});
    check(&|dir| fs::create_dir(dir).unwrap());
    // Stopped before its first checkpoint.
    check(&|dir| drop(RunFolder::open(dir, Start::Fresh, "").unwrap()));
}

#[test]
fn settings_are_checked_before_anything_is_trained() {
    let run = Run::new(TrainConfig { learning_rate: -1.0, ..ten_steps() });
    refused(&run, Start::Fresh, &["train.learning_rate"]);
    assert!(run.checkpoints().is_empty());
}
