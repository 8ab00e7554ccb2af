//! SIGKILL at random moments: what is there at the end are the bytes of a run that was left alone.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use crate::{
    killing::{Moments, Ordeal, kills_wanted},
    program::Workplace,
};

/// Every file below a folder that does not hold a clock, by its path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let clocked = ["timing.jsonl", "log.txt", "run.lock", "config.toml"].contains(&name.as_str());
            if !clocked && !name.ends_with("state.json") {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

#[test]
fn preparation_survives_kills() {
    let place = Workplace::new();
    let text = place.read("text.txt");
    let texts: String = (0..40).map(|copy| text.replace("the", &format!("the{copy}"))).collect();
    place.write("text.txt", &texts);
    let args = "prepare -c c.toml --set corpus.dedup.near=true --set tokenizer.vocab_size=2000";
    let within = place.time(&format!("{args} --set corpus.dir=whole"));
    let expected = files(&place.path("whole"));
    let (mut moments, mut kills) = (Moments::new(), 0);
    while kills < kills_wanted() {
        kills += place.survive(&Ordeal { args, within }, &mut moments);
        let mut found = files(&place.path("corpus"));
        // The settings name the folder.
        let manifest = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\"whole\"", "\"corpus\"").into_bytes();
        found.insert("manifest.json".into(), manifest(&found["manifest.json"]));
        let mut expected = expected.clone();
        expected.insert("manifest.json".into(), manifest(&expected["manifest.json"]));
        assert_same(&found, &expected);
        for left in ["corpus.part", ".corpus.replaced-by-grulm"] {
            assert!(!place.path(left).exists(), "{left}");
        }
        fs::remove_dir_all(place.path("corpus")).unwrap();
    }
    println!("{kills} kills");
}

#[test]
fn training_survives_kills() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    for precision in ["fp32", "bf16"] {
        // Checkpoints and evaluations take much of the time, so that kills hit them.
        let args = format!(
            "train -c c.toml --set train.precision={precision} --set train.steps=150 --set train.evaluate_every=10 \
             --set train.checkpoint_every=7 --set train.log_every=1"
        );
        let within = place.time(&format!("{args} --set run.dir=whole-{precision}"));
        let expected = files(&place.path(&format!("whole-{precision}")));
        let (mut moments, mut kills) = (Moments::new(), 0);
        let args = format!("{args} --resume");
        while kills < kills_wanted() {
            kills +=
                place.survive(&Ordeal { args: &args, within: within.max(Duration::from_millis(300)) }, &mut moments);
            assert_same(&files(&place.path("model")), &expected);
            fs::remove_dir_all(place.path("model")).unwrap();
        }
        println!("{precision}: {kills} kills");
    }
}
