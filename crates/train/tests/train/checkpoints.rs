//! Damaged checkpoints.

use std::fs;

use grulm_durable::digest::sha256;
use grulm_train::{Start, TrainState};

use crate::toy::{Run, Toy, ten_steps};

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let whole = Run::new(ten_steps());
    whole.fresh();
    let check = |file: &str, damage: &dyn Fn(&mut Vec<u8>)| {
        let run = Run::new(ten_steps());
        run.fresh();
        let path = run.dir.join("checkpoints/step-0000010").join(file);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let mut toy = Toy::new(16);
        run.train(&mut toy, Start::Resume).unwrap();
        // From step 8 on, the run repeats itself; the evaluation at the end ran again.
        assert_eq!(toy.evaluations, 1, "{file}");
        assert_eq!(run.bytes("metrics.jsonl"), whole.bytes("metrics.jsonl"), "{file}");
        assert!(run.checkpoints().contains(&"step-0000010.damaged".to_owned()));
    };
    for file in ["model.safetensors", "optimizer.safetensors", "carry.safetensors", "provenance.json", "state.json"] {
        check(file, &|bytes| bytes.truncate(bytes.len() / 2));
        check(file, &|bytes| {
            let last = bytes.len() - 4;
            bytes[last] ^= 1;
        });
        check(file, &Vec::clear);
    }
    // A figure of the state that still reads well.
    check("state.json", &|bytes| {
        let text = String::from_utf8(bytes.clone())
            .unwrap()
            .replace("\"evaluations_since_best\": 0", "\"evaluations_since_best\": 1");
        assert_ne!(text.as_bytes(), bytes.as_slice());
        *bytes = text.into_bytes();
    });
}

#[test]
fn a_state_that_lists_what_is_not_its_own_is_passed_over() {
    for name in ["/dev/zero", "../step-0000008/model.safetensors"] {
        let run = Run::new(ten_steps());
        run.fresh();
        let mut state = run.state(10);
        let json = |state: &TrainState| [serde_json::to_vec_pretty(state).unwrap(), b"\n".to_vec()].concat();
        state.sha256.remove("state.json");
        state.sha256.insert(name.to_owned(), "00".to_owned());
        let own = sha256(&json(&state));
        state.sha256.insert("state.json".to_owned(), own);
        fs::write(run.dir.join("checkpoints/step-0000010/state.json"), json(&state)).unwrap();
        run.train(&mut Toy::new(16), Start::Resume).unwrap();
        assert!(run.checkpoints().contains(&"step-0000010.damaged".to_owned()), "{name}");
    }
}

#[test]
fn a_run_without_a_whole_checkpoint_says_what_is_wrong_with_each() {
    let run = Run::new(ten_steps());
    run.fresh();
    for name in run.checkpoints() {
        fs::remove_file(run.dir.join("checkpoints").join(name).join("carry.safetensors")).unwrap();
    }
    let message = run.train(&mut Toy::new(16), Start::Resume).unwrap_err().to_string();
    assert!(message.contains("no checkpoint is whole"), "{message}");
    for name in run.checkpoints() {
        assert!(message.contains(&name), "{message}");
    }
}

#[test]
fn a_best_checkpoint_that_is_gone_is_forgotten() {
    let run = Run::new(grulm_train::TrainConfig { learning_rate: 1e-30, ..ten_steps() });
    run.fresh();
    assert_eq!(run.read("best"), "step-0000004\n");
    fs::remove_dir_all(run.dir.join("checkpoints/step-0000004")).unwrap();
    fs::remove_dir_all(run.dir.join("checkpoints/step-0000010")).unwrap();
    run.train(&mut Toy::new(16), Start::Resume).unwrap();
    assert_eq!(run.read("best"), "step-0000008\n");
}

/// Every file, cut off and with a byte flipped at every tenth of its length: the newest whole checkpoint is found, whatever it is.
#[test]
fn no_damage_is_overlooked() {
    let whole = Run::new(ten_steps());
    whole.fresh();
    let metrics = whole.bytes("metrics.jsonl");
    let folder = whole.dir.join("checkpoints/step-0000010");
    let files = ["model.safetensors", "optimizer.safetensors", "carry.safetensors", "provenance.json", "state.json"];
    for (file, tenth) in files.iter().flat_map(|file| (0..10).map(move |tenth| (file, tenth))) {
        for cut in [true, false] {
            let path = folder.join(file);
            let good = fs::read(&path).unwrap();
            let at = good.len() * tenth / 10;
            let mut bytes = good.clone();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x20;
            }
            fs::write(&path, bytes).unwrap();
            assert!(!grulm_train::best_is_whole(&whole.dir) || whole.read("best") != "step-0000010\n");
            whole.train(&mut Toy::new(16), Start::Resume).unwrap();
            assert!(whole.checkpoints().contains(&"step-0000010.damaged".to_owned()), "{file} at {tenth}");
            assert_eq!(whole.bytes("metrics.jsonl"), metrics, "{file} at {tenth}");
            fs::remove_dir_all(whole.dir.join("checkpoints/step-0000010.damaged")).unwrap();
        }
    }
}

#[test]
fn a_damaged_best_checkpoint_is_forgotten() {
    let run = Run::new(grulm_train::TrainConfig { learning_rate: 1e-30, ..ten_steps() });
    run.fresh();
    assert_eq!(run.read("best"), "step-0000004\n");
    assert!(grulm_train::best_is_whole(&run.dir));
    let weights = run.dir.join("checkpoints/step-0000004/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert!(!grulm_train::best_is_whole(&run.dir));
    run.train(&mut Toy::new(16), Start::Resume).unwrap();
    assert_eq!(run.read("best"), "step-0000010\n");
    assert!(run.checkpoints().contains(&"step-0000004.damaged".to_owned()));
}
