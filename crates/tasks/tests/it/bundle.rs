use std::{fs, path::Path};

use grulm_corpus::{CleanConfig, Tokenizer, TokenizerKind};
use grulm_model::{Direction, LanguageModel, WeightFormat};
use grulm_tasks::{
    Bundle,
    bundle::{self, locate, weights_sha256},
};
use tch::Device::Cpu;

use crate::sample::{self, cleaner, tokenizer};

fn save(folder: &Path, bundle: &Bundle, tokenizer: &Tokenizer) {
    let Bundle { model, cleaner, provenance, .. } = bundle;
    bundle::save(folder, model, tokenizer, cleaner, provenance, WeightFormat::Fp32).unwrap();
}

fn saved(folder: &Path) -> Bundle {
    let bundle = sample::bundle(Direction::Forward, TokenizerKind::Char);
    save(folder, &bundle, &bundle.tokenizer);
    bundle
}

#[test]
fn a_saved_bundle_opens_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut saved = saved(folder.path());
    saved.provenance.scores.insert("perplexity".into(), 1.0 / 3.0);
    save(folder.path(), &saved, &saved.tokenizer);
    let opened = Bundle::<LanguageModel>::open(folder.path(), Cpu).unwrap();
    assert_eq!(opened.provenance, saved.provenance);
    assert_eq!(opened.tokenizer.hash(), saved.tokenizer.hash());
    assert_eq!(opened.cleaner.hash(), saved.cleaner.hash());
    assert!(opened.model.params().iter().zip(saved.model.params()).all(|(a, b)| a.tensor.equal(&b.tensor)));
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expect = ["cleaning.json", "model.json", "model.safetensors", "provenance.json", "task.json", "tokenizer.json"];
    assert_eq!(names, expect);
}

#[test]
fn weights_have_a_sha256() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.safetensors"), "abc").unwrap();
    let expect = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(weights_sha256(folder.path()).unwrap(), expect);
    assert!(weights_sha256(&folder.path().join("elsewhere")).unwrap_err().to_string().contains("elsewhere"));
}

/// Changes a good bundle; opening it must fail and name the file and the reason.
fn check(change: impl FnOnce(&Path), file: &str, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    change(folder.path());
    let message = Bundle::<LanguageModel>::open(folder.path(), Cpu).unwrap_err().to_string();
    assert!(message.contains(file) && message.contains(says), "{file}, {says}: {message}");
}

fn replace(file: &str, from: &str, to: &str) -> impl FnOnce(&Path) {
    move |folder: &Path| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(folder.join(file), text.replace(from, to)).unwrap();
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let other = |folder: &Path| {
        let other = tokenizer(TokenizerKind::Char, "another alphabet: xyz");
        other.save(&folder.join("tokenizer.json")).unwrap();
    };
    check(other, "tokenizer.json", "not the file that the model was trained with");
    let other = |folder: &Path| {
        let config = CleanConfig { lowercase: true, ..CleanConfig::default() };
        cleaner(&config).save(&folder.join("cleaning.json")).unwrap();
    };
    check(other, "cleaning.json", "not the file that the model was trained with");
    let truncate = |folder: &Path| {
        let path = folder.join("model.safetensors");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    };
    check(truncate, "model.safetensors", "damaged, or of another model");
    let flip = |folder: &Path| {
        let path = folder.join("model.safetensors");
        let mut whole = fs::read(&path).unwrap();
        // The last byte of the last weight: still a well-formed file.
        *whole.last_mut().unwrap() ^= 1;
        fs::write(&path, &whole).unwrap();
    };
    check(flip, "model.safetensors", "damaged, or of another model");
    let other = |folder: &Path| {
        let mine = fs::read(folder.join("task.json")).unwrap();
        let tokenizer = tokenizer(TokenizerKind::Char, "xyz");
        let bundle = sample::bundle(Direction::Forward, TokenizerKind::Char);
        // A task.json that vouches for a tokenizer of another size than the model's.
        save(folder, &bundle, &tokenizer);
        assert_ne!(fs::read(folder.join("task.json")).unwrap(), mine);
    };
    check(other, "tokenizer.json", "entries; the model was trained with");
    check(replace("task.json", "\"version\": 2", "\"version\": 3"), "task.json", "this program reads version 2");
    check(replace("task.json", "language_model", "seance"), "task.json", "kind \"seance\"");
    check(replace("task.json", "\"kind\"", "\"sort\""), "task.json", "sort");
    check(replace("provenance.json", "\"step\": 7", "\"step\": -7"), "provenance.json", "-7");
    check(replace("model.json", "\"layers\": 2", "\"layers\": 3"), "model.safetensors", "");
    for file in ["cleaning.json", "model.json", "model.safetensors", "provenance.json", "tokenizer.json"] {
        check(|folder| fs::remove_file(folder.join(file)).unwrap(), file, "");
        check(|folder| fs::write(folder.join(file), [0xff, 0, 0x7b]).unwrap(), file, "");
    }
    check(|folder| fs::write(folder.join("task.json"), [0xff]).unwrap(), "task.json", "");
    check(
        |folder| fs::remove_file(folder.join("task.json")).unwrap(),
        "",
        "a folder with neither of both; expected a bundle folder",
    );
}

#[test]
fn a_run_folder_means_its_best_checkpoint() {
    let run = tempfile::tempdir().unwrap();
    let best = run.path().join("best");
    let checkpoint = run.path().join("checkpoints/step-0000007");
    fs::create_dir_all(&checkpoint).unwrap();
    saved(&checkpoint);
    fs::write(&best, "step-0000007\n").unwrap();
    assert_eq!(locate(run.path()).unwrap(), checkpoint);
    assert_eq!(Bundle::<LanguageModel>::open(run.path(), Cpu).unwrap().provenance.step, 7);
    let outside = checkpoint.display().to_string();
    for name in ["step-0000008", "", "\n", ".", "..", "../checkpoints", "../..", "step-0000007/..", "a\0b", &outside] {
        fs::write(&best, name).unwrap();
        let message = locate(run.path()).unwrap_err().to_string();
        assert!(message.contains("best") && message.contains("not a checkpoint of this run"), "{name:?}: {message}");
    }
    fs::write(&best, [0xff]).unwrap();
    assert!(locate(run.path()).unwrap_err().to_string().contains("best"));
    assert!(locate(&run.path().join("none")).unwrap_err().to_string().contains("not there"));
}
