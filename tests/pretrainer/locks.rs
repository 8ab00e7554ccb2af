//! Two processes and one folder, and what a process that died left there.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::program::Workplace;

#[test]
fn one_process_writes_a_run() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let mut first = place.command("train -c c.toml --set train.steps=1000000 --set train.keep=1000").spawn().unwrap();
    let (best, begun) = (place.path("model/best"), Instant::now());
    while !best.exists() && begun.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(5));
    }
    let checkpoints = || fs::read_dir(place.path("model/checkpoints")).unwrap().count();
    let before = checkpoints();
    for args in ["train -c c.toml --resume", "train -c c.toml --overwrite", "run -c c.toml --overwrite"] {
        let args = format!("{args} --set train.steps=1000000 --set train.keep=1000");
        let who = format!("another process (number {}) is writing a run here", first.id());
        place.run(&args).failed(&args, 2, &["model: ", &who, "choose another run.dir"]);
        assert!(first.try_wait().unwrap().is_none() && checkpoints() >= before, "{args}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock went with the process.
    place.succeed("train -c c.toml --overwrite --set train.steps=2");
}

#[test]
fn one_process_writes_a_corpus() {
    let place = Workplace::new();
    fs::create_dir(place.path("corpus.part")).unwrap();
    let lock = fs::File::open(place.path("corpus.part")).unwrap();
    lock.lock().unwrap();
    for command in ["prepare", "run"] {
        let says = ["corpus.part", "another process is preparing this corpus", "choose another corpus.dir"];
        place.refuse(&format!("{command} -c c.toml"), 2, &says);
    }
    drop(lock);
    place.succeed("prepare -c c.toml");
    assert!(!place.path("corpus.part").exists());
}

#[test]
fn what_a_dead_process_left_is_removed_and_what_is_not_ours_is_kept() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let corpus = place.everything("corpus");
    fs::create_dir_all(place.path("corpus.part/work")).unwrap();
    place.write("corpus.part/work/documents", "half a text");
    place.write("corpus.part/train-00000.bin", "half a shard");
    place.succeed("prepare -c c.toml");
    assert!(!place.path("corpus.part").exists() && place.everything("corpus") == corpus);
    for folder in ["corpus.part", ".corpus.replaced-by-grulm", "corpus"] {
        fs::create_dir_all(place.path(folder)).unwrap();
        place.write(&format!("{folder}/thesis.txt"), "mine");
        place.refuse("prepare -c c.toml", 2, &[folder, "thesis.txt", "corpus.dir"]);
        fs::remove_file(place.path(&format!("{folder}/thesis.txt"))).unwrap();
    }

    place.succeed("train -c c.toml --set train.steps=4 --set train.schedule=constant");
    for left in ["step-0000008.part", "step-0000004.old.part", "probe.part"] {
        fs::create_dir_all(place.path("model/checkpoints").join(left)).unwrap();
        place.write(&format!("model/checkpoints/{left}/model.safetensors"), "half of the weights");
    }
    place.write("model/config.toml.part", "half");
    let ran = place.run("train -c c.toml --set train.steps=8 --set train.schedule=constant --resume");
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for part in ["step-0000008.part, which is not complete", "resuming from model/checkpoints/step-0000004"] {
        assert!(ran.stderr.contains(part), "{} lacks {part}", ran.stderr);
    }
    let left: Vec<_> = place.everything("model").into_keys().filter(|name| name.contains(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
}
