//! Files that changed on the disk: what is whole is used, what is not is named, and nothing is thrown away.

use std::fs;

use crate::{
    faults::Damage,
    program::{Ran, Workplace},
};

/// A checkpoint each step, all of them kept.
const EVERY_STEP: &str = "train -c c.toml --set train.steps=21 --set train.checkpoint_every=1 --set train.keep=100 \
    --set train.evaluate_every=1000 --set train.log_every=1";

fn checkpoint(step: u64) -> String {
    format!("model/checkpoints/step-{step:07}")
}

/// Every file of the run that holds no clock.
fn computed(place: &Workplace) -> Vec<(String, Vec<u8>)> {
    let files = place.everything("model").into_iter();
    let kept = |name: &str| name == "metrics.jsonl" || name.ends_with(".safetensors") && !name.contains(".damaged");
    files.filter(|(name, _)| kept(name)).collect()
}

/// Damages one file of each of the newest twenty checkpoints: cut off at each tenth of its length, or with a byte flipped there.
#[test]
fn the_newest_whole_checkpoint_is_found() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    place.succeed(EVERY_STEP);
    let expected = computed(&place);
    let mut faults = 0;
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        for step in 2..=21u64 {
            let damage = if step < 12 { Damage::Cut } else { Damage::Flip };
            damage.at_tenth(&place.path(&checkpoint(step)).join(file), (step as usize - 2) % 10);
            faults += 1;
        }
        let ran = place.run(&format!("{EVERY_STEP} --resume"));
        assert_eq!(ran.status, Some(0), "{file}: {}", ran.stderr);
        for step in 2..=21u64 {
            let (folder, path) = (checkpoint(step), format!("{}/{file}", checkpoint(step)));
            let says = |line: &&str| line.contains(&format!("passing over {folder}: {path}: "));
            let line = ran.stderr.lines().find(says).unwrap_or_else(|| panic!("{file} of {step}: {}", ran.stderr));
            assert!(["checksum", "not a whole state"].iter().any(|why| line.contains(why)), "{line}");
            assert!(place.path(&format!("{folder}.damaged")).is_dir(), "{file} of {step} is kept");
        }
        assert!(ran.stderr.contains(&format!("resuming from {}", checkpoint(1))), "{}", ran.stderr);
        assert!(computed(&place) == expected, "{file}: the run ended otherwise");
    }
    println!("{faults} faults");
}

#[test]
fn without_a_whole_checkpoint_nothing_is_changed() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let args = "train -c c.toml --set train.schedule=constant";
    place.succeed(&format!("{args} --set train.steps=8"));
    for (step, file) in [(4, "optimizer.safetensors"), (8, "model.safetensors")] {
        Damage::Flip.at_tenth(&place.path(&checkpoint(step)).join(file), 9);
    }
    let says = ["no checkpoint is whole", "step-0000004/optimizer.safetensors", "step-0000008/model.safetensors"];
    place.refuse(&format!("{args} --resume"), 1, &says);
    place.refuse(&format!("{args} --set train.steps=8 --resume"), 1, &says);
    let run = format!("{} --set train.steps=8", args.replace("train -c", "run -c"));
    place.refuse(&format!("{run} --resume"), 1, &says);
    // What is there is all that can be used without --resume: the best checkpoint, which is damaged.
    place.refuse(&run, 1, &["model.safetensors", "damaged"]);
    place.refuse("evaluate model --text text.txt", 1, &["model.safetensors", "damaged"]);
}

/// The best checkpoint is not the newest one; both can be damaged.
#[test]
fn a_damaged_best_checkpoint_is_not_handed_out() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    // So high a rate that the first evaluation stays the best.
    let args = "-c c.toml --set train.learning_rate=10 --set train.schedule=constant --set train.keep=100";
    place.succeed(&format!("train {args} --set train.steps=8"));
    assert_eq!(place.read("model/best"), "step-0000004\n");
    Damage::Flip.at_tenth(&place.path(&checkpoint(4)).join("model.safetensors"), 9);
    let passes_over = |ran: &Ran| {
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let says = format!("passing over {}: {0}/model.safetensors: does not match", checkpoint(4));
        assert!(ran.stderr.contains(&says) && ran.stderr.contains("of step 4, is lost"), "{}", ran.stderr);
    };
    passes_over(&place.run(&format!("run {args} --set train.steps=8 --resume")));
    assert_eq!(place.read("model/best"), "step-0000008\n");
    passes_over_nothing(&place.run("evaluate model --text text.txt"));
    place.succeed(&format!("train {args} --set train.steps=12 --resume"));
    assert_eq!(place.read("model/best"), "step-0000012\n", "the next evaluation is the best so far");
    // A finished run whose newest checkpoint, the best, is damaged: what is to be resumed computes it again.
    let whole = fs::read(place.path(&checkpoint(12)).join("model.safetensors")).unwrap();
    Damage::Cut.at_tenth(&place.path(&checkpoint(12)).join("model.safetensors"), 5);
    place.succeed(&format!("run {args} --set train.steps=12 --resume"));
    assert!(fs::read(place.path(&checkpoint(12)).join("model.safetensors")).unwrap() == whole);
}

fn passes_over_nothing(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("passing over"), "{}", ran.stderr);
}

/// What happens, and what is said of it.
type Fault<'a> = (String, Box<dyn Fn() + 'a>, Vec<&'static str>);

#[test]
fn a_corpus_that_changed_is_not_trained_on() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let good = place.everything("corpus");
    place.write("other.txt", &place.read("text.txt").replace("the", "a"));
    place.succeed("prepare -c c.toml --set corpus.dir=other --set corpus.train=[\"other.txt\"]");
    let shard = place.path("corpus/train-00000.bin");
    let mut faults: Vec<Fault<'_>> = vec![
        ("missing".into(), Box::new(|| fs::remove_file(&shard).unwrap()), vec!["train-00000.bin", "No such file"]),
        ("empty".into(), Box::new(|| fs::write(&shard, "").unwrap()), vec!["train-00000.bin", "a token shard"]),
    ];
    for name in ["train-00000.bin", "tokenizer.json"] {
        let (from, to) = (place.path("other").join(name), place.path("corpus").join(name));
        let copy = move || assert!(fs::copy(&from, &to).unwrap() > 0);
        faults.push((format!("another corpus' {name}"), Box::new(copy), vec![name, "manifest.json"]));
    }
    for (name, tenths) in
        [("train-00000.bin", [0, 5, 9]), ("valid-00000.bin", [0, 4, 9]), ("test-00000.bin", [0, 1, 9])]
    {
        for tenth in tenths {
            let path = place.path("corpus").join(name);
            let flip = move || Damage::Flip.at_tenth(&path, tenth);
            faults.push((format!("{name} at {tenth}"), Box::new(flip), vec![name]));
        }
    }
    for (what, fault, says) in &faults {
        fault();
        place.refuse("train -c c.toml", 1, says);
        assert!(!place.path("model").exists(), "{what}");
        for (name, bytes) in &good {
            fs::write(place.path("corpus").join(name), bytes).unwrap();
        }
    }
    println!("{} faults", faults.len());
    // What prepares anyway says why, and makes the same corpus again.
    Damage::Flip.at_tenth(&shard, 5);
    let ran = place.run("run -c c.toml --set train.steps=2");
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("cannot be used and will be replaced: corpus/train-00000.bin: SHA-256"),
        "{}",
        ran.stderr
    );
    assert!(place.everything("corpus") == good);
}
