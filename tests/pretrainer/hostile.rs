//! Files from strangers: models and corpora that claim what they do not hold.

use std::{fs, path::Path, process::Command};

use crate::program::Workplace;

/// Replaces text in a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Puts bytes into a file, over those that are there.
fn poke(path: &Path, at: usize, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, all).unwrap();
}

/// A million lists, one within the other.
fn nested() -> String {
    format!("{{\"a\": {}", "[".repeat(1_000_000))
}

#[test]
fn a_model_from_a_stranger_is_refused() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2");
    let best = place.path("model/checkpoints").join(place.read("model/best").trim());
    let good = place.everything("model");
    let check = |file: &str, damage: &dyn Fn(&Path), status: i32, says: &str| {
        damage(&best.join(file));
        place.refuse("generate model --prompt a", status, &[file, says]);
        for (name, bytes) in good.iter().filter(|(name, _)| place.path("model").join(name).is_file()) {
            fs::write(place.path("model").join(name), bytes).unwrap();
        }
    };
    check("model.json", &|path| edit(path, "\"hidden\": 24", "\"hidden\": 1099511627776"), 1, "model.hidden");
    check("model.json", &|path| edit(path, "\"layers\": 2", "\"layers\": 1099511627776"), 1, "model.layers");
    check("model.json", &|path| edit(path, "\"vocab_size\": 400", "\"vocab_size\": 1152921504606846976"), 1, "2^31");
    check("task.json", &|path| edit(path, "\"version\": 2", "\"version\": 4294967295"), 1, "version 4294967295");
    check("task.json", &|path| edit(path, "\"language_model\"", "\"../language_model\""), 1, "../language_model");
    check("task.json", &|path| fs::write(path, nested()).unwrap(), 1, "");
    check("tokenizer.json", &|path| fs::write(path, nested()).unwrap(), 1, "recursion limit");
    check("cleaning.json", &|path| fs::write(path, "{\"version\": 1e99}").unwrap(), 1, "");
    // A length of the header of 2^60 bytes; first the bundle's own hash refuses the file, then the file itself.
    check("model.safetensors", &|path| poke(path, 0, &(1u64 << 60).to_le_bytes()), 1, "damaged, or of another model");
    let vouched = |path: &Path| {
        let sum = || String::from_utf8(Command::new("sha256sum").arg(path).output().unwrap().stdout).unwrap();
        let before = sum();
        poke(path, 0, &(1u64 << 60).to_le_bytes());
        edit(&path.with_file_name("task.json"), &before[..64], &sum()[..64]);
    };
    check("model.safetensors", &vouched, 1, "not a whole safetensors file");
    for name in ["../../../../etc", "/etc", "..", "step-0000002/../../.."] {
        place.write("model/best", name);
        place.refuse("generate model --prompt a", 2, &["model/best", "not a checkpoint of this run"]);
    }
}

#[test]
fn a_corpus_from_a_stranger_is_refused() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let good = place.everything("corpus");
    let check = |file: &str, damage: &dyn Fn(&Path), says: &[&str]| {
        damage(&place.path("corpus").join(file));
        place.refuse("train -c c.toml", 1, &[&[file], says].concat());
        for (name, bytes) in &good {
            fs::write(place.path("corpus").join(name), bytes).unwrap();
        }
    };
    let claims = |tokens: u64| move |path: &Path| poke(path, 16, &tokens.to_le_bytes());
    check("train-00000.bin", &claims(1 << 60), &["since the header says 1152921504606846976 tokens"]);
    check("train-00000.bin", &claims(u64::MAX), &["more bytes than a file can have"]);
    check("train-00000.bin", &claims(0), &["since the header says 0 tokens"]);
    check("train-00000.bin", &|path| poke(path, 12, &8u32.to_le_bytes()), &["8 bytes a token"]);
    place.write("secret.bin", "a file beside the corpus folder");
    let secret = place.path("secret.bin").display().to_string();
    for name in ["../secret.bin", "..", ".", "", "/", &secret, "a/../../secret.bin", "./train-00000.bin"] {
        let to = format!("\"path\": \"{name}\"");
        check("manifest.json", &|path| edit(path, "\"path\": \"train-00000.bin\"", &to), &["expected a file name"]);
    }
    check(
        "manifest.json",
        &|path| edit(path, "\"vocab_size\": 400", "\"vocab_size\": 1152921504606846976"),
        &["vocabulary size"],
    );
    check("manifest.json", &|path| edit(path, "\"tokens\": ", "\"tokens\": 9"), &["tokens in"]);
    check("manifest.json", &|path| fs::write(path, nested()).unwrap(), &["expected a corpus manifest"]);
}
