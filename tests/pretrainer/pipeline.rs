//! From text to a model that is scored and writes.

use std::{fs, io::Read as _, path::Path};

use serde_json::Value;

use crate::program::Workplace;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn manifest(place: &Workplace) -> Value {
    json(&place.read("corpus/manifest.json"))
}

#[test]
fn a_run_is_not_repeated() {
    let place = Workplace::new();
    let table = place.succeed("run -c c.toml");
    for part in ["train", "valid", "test", "perplexity", "bits per byte", "best checkpoint: model/checkpoints/step-"] {
        assert!(table.contains(part), "{table} lacks {part:?}");
    }
    for file in ["config.toml", "metrics.jsonl", "timing.jsonl", "log.txt", "best", "last", "test.json"] {
        assert!(place.path("model").join(file).is_file(), "{file}");
    }
    assert!(place.read("model/log.txt").contains("parameters"));

    let again = place.run("run -c c.toml --set run.threads=2");
    assert_eq!((again.status, again.stdout.as_str()), (Some(0), table.as_str()), "{}", again.stderr);
    assert!(
        again.stderr.contains("corpus is up to date") && again.stderr.contains("model is up to date"),
        "{}",
        again.stderr
    );

    let test = json(&place.read("model/test.json"));
    assert_eq!(test["scores"]["tokens"].as_u64(), manifest(&place)["splits"]["test"]["tokens"].as_u64());
}

#[test]
fn the_test_split_is_scored_as_its_file_is() {
    let place = Workplace::new();
    let text = place.read("text.txt");
    let middle = text.len() / 2 + text[text.len() / 2..].find("\n\n").unwrap();
    place.write("train.txt", &text[..middle]);
    place.write("test.txt", &text[middle..]);
    place.succeed("run -c c.toml --set corpus.train=[\"train.txt\"] --set corpus.test_fraction=0.0 --set corpus.test=[\"test.txt\"]");
    let (run, file) =
        (json(&place.read("model/test.json")), json(&place.succeed("evaluate model --text test.txt --json")));
    for figure in ["tokens", "nll", "perplexity", "bits_per_byte"] {
        assert_eq!(run["scores"][figure].as_f64(), file[figure].as_f64(), "{figure}");
    }
}

#[test]
fn every_command_works_on_a_trained_model() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    assert!(place.run("prepare -c c.toml").stderr.contains("up to date"));
    let trained = place.succeed("train -c c.toml");
    assert!(trained.contains("best checkpoint") && trained.contains("validation perplexity"), "{trained}");
    scores(&place);
    gates(&place);
    writes(&place);
    let inspected = json(&place.succeed("inspect model --json"));
    for key in
        ["vocab_size", "model", "parameters", "layers", "tokenizer", "cleaning", "provenance", "files", "compute"]
    {
        assert!(!inspected[key].is_null(), "{key}");
    }
    let layers: u64 =
        inspected["layers"].as_array().unwrap().iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
    assert_eq!(Some(layers), inspected["parameters"].as_u64());
    assert!(place.succeed("inspect model").contains("parameters"));
    let curve = place.succeed("find-lr -c c.toml");
    assert!(curve.contains("proposal: --set train.learning_rate="), "{curve}");
}

fn scores(place: &Workplace) {
    let text = place.succeed("evaluate model --text text.txt --json --per-line lines.jsonl");
    assert!(text.starts_with("{\"tokens\":"), "{text}");
    let scored = json(&text);
    let lines: Vec<Value> = place.read("lines.jsonl").lines().map(json).collect();
    assert_eq!(lines.len() as u64, scored["documents"].as_u64().unwrap());
    let tokens: u64 = lines.iter().map(|line| line["tokens"].as_u64().unwrap()).sum();
    assert_eq!(Some(tokens), scored["tokens"].as_u64());
    let nll: f64 = lines.iter().map(|l| l["nll"].as_f64().unwrap() * l["tokens"].as_f64().unwrap()).sum();
    assert!((nll / tokens as f64 / scored["nll"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    let side_by_side = json(&place.succeed("evaluate model --text text.txt --json --batch-size 8"));
    let ratio = side_by_side["perplexity"].as_f64().unwrap() / scored["perplexity"].as_f64().unwrap();
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    assert!(place.succeed("evaluate model --text text.txt").contains("perplexity"));
}

fn gates(place: &Workplace) {
    let check = |gates: &str, status: i32, says: &str| {
        let ran = place.run(&format!("evaluate model --text text.txt {gates}"));
        assert_eq!(ran.status, Some(status), "{gates}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{gates}: {}", ran.stderr);
    };
    check("--fail-if perplexity>1e9 --fail-if tokens<10", 0, "");
    check("--fail-if perplexity>1e9 --fail-if tokens>10", 1, "--fail-if tokens>10 holds: tokens is");
    check("--fail-if accuracy<0.5", 2, "allowed: tokens, nll, perplexity, bits_per_byte");
    check("none.txt", 2, "`--text` = \"none.txt\": allowed: files");
}

fn writes(place: &Workplace) {
    let args = "generate model --prompt Once --max-tokens 12 --seed 3";
    let (plain, object) = (place.succeed(args), json(&place.succeed(&format!("{args} --json"))));
    assert_eq!(plain, format!("Once{}\n", object["text"].as_str().unwrap()));
    assert_eq!(object["prompt"], "Once");
    assert!(object["tokens"].as_u64().unwrap() <= 12 && object["ended"].is_boolean());
    assert_eq!(plain, place.succeed(args));
    let empty = place.command("generate model --max-tokens 3 --prompt").arg("").output().unwrap();
    assert!(empty.status.success());
    let long = "word ".repeat(400);
    assert!(place.command("generate model --max-tokens 3 --prompt").arg(long).output().unwrap().status.success());
}

#[test]
fn two_directions_have_two_perplexities_and_one_direction_writes() {
    let place = Workplace::new();
    let both = place.succeed("run -c c.toml --set model.direction=both --set train.steps=2");
    assert!(both.contains("(forward, backward)"), "{both}");
    let scored =
        json(&place.succeed("evaluate model --text text.txt --json --fail-if perplexity_backward<1 --per-line l"));
    assert!(scored["perplexity_forward"].is_number() && scored["perplexity_backward"].is_number());
    assert!(scored["perplexity"].is_null());
    assert_eq!(place.read("l").lines().count() as u64, scored["documents"].as_u64().unwrap());
    place.succeed("generate model --prompt a --max-tokens 2");
    place.succeed("train -c c.toml --set model.direction=backward --set train.steps=2 --overwrite");
    let refused = place.run("generate model --prompt a");
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("no forward half"), "{}", refused.stderr);
}

#[test]
fn training_goes_on_from_another_model() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2");
    let on = "train -c c.toml --set run.dir=second --set train.init=model";
    place.succeed(on);
    assert!(json(&place.succeed("inspect second --json"))["provenance"]["parent"].as_str().unwrap().len() == 64);
    let check = |args: String, says: &str| {
        let ran = place.run(&args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    };
    check(format!("{on} --overwrite --set model.hidden=32"), "`model.hidden` = 32, there 24");
    check(format!("{on} --overwrite --set train.init=none"), "none");
    place.succeed("prepare -c c.toml --set tokenizer.vocab_size=300 --set corpus.dir=other");
    check(format!("{on} --overwrite --set tokenizer.vocab_size=300 --set corpus.dir=other"), "set tokenizer.file");
    check(format!("{on} --overwrite --set tokenizer.vocab_size=300"), "`tokenizer.vocab_size` = 300 was 400");
}

/// What the text says is part of a corpus and of a run, and not what its files are called.
#[test]
fn inputs_may_move() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    fs::copy(place.path("corpus/tokenizer.json"), place.path("a.json")).unwrap();
    let table = place.succeed("run -c c.toml --set tokenizer.file=a.json");
    fs::rename(place.path("text.txt"), place.path("moved.txt")).unwrap();
    fs::rename(place.path("a.json"), place.path("b.json")).unwrap();
    let check = |command: &str, status: i32, says: &str| {
        let args = format!("{command} -c c.toml --set corpus.train=[\"moved.txt\"] --set tokenizer.file=b.json");
        let ran = place.run(&args);
        assert_eq!(ran.status, Some(status), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {} lacks {says:?}", ran.stderr);
        ran.stdout
    };
    check("train --resume", 0, "already finished");
    check("prepare", 0, "corpus is up to date");
    check("train --resume", 0, "already finished");
    check("find-lr", 0, "trying");
    assert_eq!(check("run", 0, "model is up to date"), table);
}

/// A corpus is trained on where it is what the files of now give.
#[test]
fn what_changed_behind_its_name_is_not_trained_on() {
    let place = Workplace::new();
    place.write("stop.txt", "the\n");
    let args = "-c c.toml --set corpus.clean.stop_words=stop.txt --set train.steps=2";
    let check = |status: i32, says: &str| {
        let ran = place.run(&format!("train {args} --overwrite"));
        assert_eq!(ran.status, Some(status), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{} lacks {says:?}", ran.stderr);
    };
    place.succeed(&format!("prepare {args}"));
    check(0, "");
    place.write("stop.txt", "the\na\n");
    check(2, "from other content of the same files");
    place.succeed(&format!("prepare {args}"));
    check(0, "");
    place.write("text.txt", "Another text.\n");
    check(2, "from other content of the same files");
    // The corpus may have been carried to where its text is not.
    fs::remove_file(place.path("text.txt")).unwrap();
    check(0, "cannot be told");
}

/// In the folder of the text, what runs write there is no text.
#[test]
fn a_run_beside_its_text_is_not_repeated() {
    let place = Workplace::new();
    let args = "run -c c.toml --set corpus.train=[\".\"] --set train.steps=2";
    let table = place.succeed(args);
    assert_eq!(place.succeed(args), table);
}

#[test]
fn a_damaged_shard_is_named_and_made_again() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let shard = place.path("corpus/valid-00000.bin");
    let mut bytes = fs::read(&shard).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&shard, bytes).unwrap();
    let ran = place.run("train -c c.toml");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("valid-00000.bin: SHA-256") && ran.stderr.contains("prepare it again"),
        "{}",
        ran.stderr
    );
    assert!(!place.path("model").exists());
    place.succeed("run -c c.toml --set train.steps=2");
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Workplace::new();
    for command in ["prepare", "run"] {
        let said = place.succeed(&format!("{command} -c c.toml --dry-run"));
        assert!(said.contains("would prepare") && said.contains("1, 20."), "{said}");
    }
    assert!(place.succeed("run -c c.toml --dry-run --set train.budget=90m").contains("1h 30m, the budget"));
    let most = "--set train.batch_size=1099511627776 --set train.sequence_length=1099511627776";
    assert!(place.succeed(&format!("run -c c.toml --dry-run {most}")).contains("1099511627776 x 1099511627776 tokens"));
    let said = place.succeed("prepare -c c.toml --dry-run --set tokenizer.kind=char");
    assert!(said.contains("at 1 byte of text each"), "{said}");
    assert!(!place.path("corpus").exists() && !place.path("model").exists());
    place.succeed("prepare -c c.toml --set corpus.dir=small --set tokenizer.vocab_size=300");
    let said = place.succeed("run -c c.toml --dry-run --set tokenizer.file=small/tokenizer.json");
    assert!(said.contains("tokenizer.json, 300 entries") && said.contains("with 300 entries"), "{said}");
    assert!(!place.path("corpus").exists() && !place.path("model").exists());
    place.succeed("prepare -c c.toml");
    let said = place.succeed("train -c c.toml --dry-run");
    for part in ["parameters", "memory", "a checkpoint", "time", "10 steps"] {
        assert!(said.contains(part), "{said} lacks {part:?}");
    }
    assert!(!place.path("model").exists());
}

/// A reader that goes away ends the program without an error, but for a gate that holds.
#[test]
fn a_closed_pipe_is_no_error() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2");
    let check = |args: &str, status: i32| {
        let mut child = place.command(args).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{args}: {said}");
        assert!(!said.contains("panicked") && said.contains("error") == (status != 0), "{args}: {said}");
    };
    check("generate model --prompt a --max-tokens 400", 0);
    check("inspect model", 0);
    check("evaluate model --text text.txt --fail-if perplexity<1", 0);
    check("evaluate model --text text.txt --fail-if perplexity>1", 1);
    check("evaluate model --text text.txt --fail-if perplexity>1 --json", 1);
}

/// A file that was changed by another hand is named, with status 1.
#[test]
fn a_damaged_model_is_named() {
    let place = Workplace::new();
    place.succeed("run -c c.toml --set train.steps=2");
    let folder = fs::read_to_string(place.path("model/best")).unwrap();
    let folder = place.path("model/checkpoints").join(folder.trim());
    let check = |file: &str, change: &dyn Fn(&Path)| {
        let path = folder.join(file);
        let before = fs::read(&path).unwrap();
        change(&path);
        let ran = place.run("evaluate model --text text.txt");
        assert_eq!(ran.status, Some(1), "{file}: {}", ran.stderr);
        assert!(ran.stderr.contains(file), "{file}: {}", ran.stderr);
        fs::write(&path, before).unwrap();
    };
    check("model.safetensors", &|path| fs::write(path, b"short").unwrap());
    check("tokenizer.json", &|path| fs::write(path, b"{}").unwrap());
    check("cleaning.json", &|path| fs::remove_file(path).unwrap());
    check("model.json", &|path| fs::write(path, b"[]").unwrap());
}
