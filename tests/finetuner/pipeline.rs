//! From label files to a classifier that is scored and labels texts.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use grulm_tasks::bundle::weights_sha256;
use serde_json::Value;
use tch::Tensor;

use crate::program::{Ran, Workplace};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The figures of `evaluate --json` on the test file.
fn evaluate(place: &Workplace, model: &str) -> Value {
    json(&place.succeed(&format!("evaluate {model} --data test.jsonl --json")))
}

#[test]
fn a_classifier_is_trained_scored_and_used() {
    let place = Workplace::new();
    // Long enough that the last bits of the arithmetic do not decide how much is learned.
    let table = place.succeed("train -c c.toml --set train.epochs=24.0 --set train.learning_rate=3e-3");
    for part in ["labels", "negative", "positive", "validation accuracy", "test accuracy", "best checkpoint"] {
        assert!(table.contains(part), "{table} lacks {part:?}");
    }
    let scores = evaluate(&place, "model");
    let accuracy = scores["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.85, "{scores}");
    assert_eq!(json(&place.read("model/test.json"))["scores"]["accuracy"].as_f64(), Some(accuracy));
    assert_eq!(scores["examples"].as_u64(), Some(100));
    let confusion: u64 = scores["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(confusion, 100);
    for label in ["negative", "positive"] {
        assert!(scores["per_class"][label]["f1"].as_f64().unwrap() > 0.8, "{scores}");
    }
    errors_are_listed(&place, accuracy);
    texts_are_labelled(&place);
    gates_hold(&place);
    options_of_other_tasks_are_refused(&place);
    #[cfg(unix)]
    labelling_can_be_stopped(&place);
    let inspected = json(&place.succeed("inspect model --json"));
    assert_eq!(inspected["labels"], serde_json::json!(["negative", "positive"]));
    assert!(place.succeed("inspect model").contains("negative, positive"));
}

fn errors_are_listed(place: &Workplace, accuracy: f64) {
    place.succeed("evaluate model --data test.jsonl --errors wrong.jsonl");
    let wrong: Vec<Value> = place.read("wrong.jsonl").lines().map(json).collect();
    assert_eq!(wrong.len(), ((1.0 - accuracy) * 100.0).round() as usize);
    let texts = place.read("test.jsonl");
    for error in wrong {
        assert_ne!(error["label"], error["predicted"]);
        let row = texts.lines().nth(error["row"].as_u64().unwrap() as usize - 1).map(json).unwrap();
        assert_eq!((&row["text"], &row["label"]), (&error["text"], &error["label"]));
    }
}

fn texts_are_labelled(place: &Workplace) {
    let rows = "{\"id\": 7, \"text\": \"A wonderful film.\", \"by\": {\"name\": \"é\"}}\n{\"text\": \"\", \"id\": 8}\n";
    place.write("in.jsonl", rows);
    place.succeed("predict model --input in.jsonl --output out.jsonl");
    let out: Vec<Value> = place.read("out.jsonl").lines().map(json).collect();
    assert_eq!(out.len(), 2);
    assert_eq!((&out[0]["id"], &out[0]["by"]["name"]), (&7.into(), &"é".into()));
    let p = &out[0]["probabilities"];
    let sum = p["negative"].as_f64().unwrap() + p["positive"].as_f64().unwrap();
    assert!((sum - 1.0).abs() < 1e-9, "{p}");
    assert_eq!(p[out[0]["label"].as_str().unwrap()], out[0]["probability"]);
    // From standard input to standard output: the same.
    let mut child: Command = place.command("predict model");
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(rows.as_bytes()).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout), (Some(0), place.read("out.jsonl")), "{}", ran.stderr);
    // What evaluate counts is what predict says.
    place.succeed("predict model --input test.jsonl --output labelled.jsonl");
    let right = place
        .read("test.jsonl")
        .lines()
        .zip(place.read("labelled.jsonl").lines())
        .filter(|(gold, given)| json(gold)["label"] == json(given)["label"])
        .count();
    let accuracy = evaluate(place, "model")["accuracy"].as_f64().unwrap();
    assert_eq!(right, (accuracy * 100.0).round() as usize);
}

/// Nothing half written is left behind.
#[cfg(unix)]
fn labelling_can_be_stopped(place: &Workplace) {
    place.write("many.jsonl", &"{\"text\": \"A wonderful film.\"}\n".repeat(300_000));
    // From a pipe nothing more comes, and it does not end.
    let (file, pipe) = ("--input many.jsonl", "--batch-size 8");
    for (input, signal, status) in
        [(file, "-INT", 130), (file, "-TERM", 143), (pipe, "-INT", 130), (pipe, "-TERM", 143)]
    {
        let mut child = place.command(&format!("predict model {input} --output stopped.jsonl"));
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let mut rows = child.stdin.take().unwrap();
        if input == pipe {
            rows.write_all(&b"{\"text\": \"A wonderful film.\"}\n".repeat(300)).unwrap();
        }
        let begun = Instant::now();
        while !place.is_half_written("stopped.jsonl") && begun.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(2));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let ran = Ran::of(child.wait_with_output().unwrap());
        drop(rows);
        assert_eq!(ran.status, Some(status), "{input}: {}", ran.stderr);
        assert!(!place.path("stopped.jsonl").exists() && !place.is_half_written("stopped.jsonl"));
    }
}

fn options_of_other_tasks_are_refused(place: &Workplace) {
    // Lines of JSON would be labelled, not the texts in them.
    let ran = place.run("predict model --input test.jsonl --lines");
    assert!(ran.status == Some(2) && ran.stderr.contains("test.jsonl is named as a file of rows"), "{}", ran.stderr);
    for option in ["--temperature 0.5", "--seed 3", "--beam 2", "--n-best 2"] {
        let ran = place.run(&format!("predict model --input test.jsonl {option}"));
        let (name, _) = option.split_once(' ').unwrap();
        assert!(ran.status == Some(2) && ran.stderr.contains(name), "{option}: {}", ran.stderr);
    }
}

fn gates_hold(place: &Workplace) {
    let evaluate = "evaluate model --data test.jsonl";
    assert_eq!(place.run(&format!("{evaluate} --fail-if accuracy<0.5")).status, Some(0));
    let ran = place.run(&format!("{evaluate} --fail-if accuracy>0.5"));
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(place.run(&format!("{evaluate} --fail-if bleu>0.5")).status, Some(2));
}

#[test]
fn a_smaller_model_says_what_it_lost() {
    let place = Workplace::new();
    let mut sizes = Vec::new();
    for format in ["fp16", "int8"] {
        place.succeed(&format!("train -c c.toml --overwrite --set task.ngrams=2 --set run.save_as={format}"));
        let scores = evaluate(&place, "model/saved");
        assert_eq!(scores["saved_in"], format);
        let accuracy = |scores: &Value| scores["accuracy"].as_f64().unwrap();
        let before = accuracy(&evaluate(&place, "model"));
        assert!((accuracy(&scores) - before).abs() <= 0.03, "{format}: {scores}, before {before}");
        assert!(scores["validation_after_rounding"]["accuracy"].is_number(), "{scores}");
        // What rounding is said to leave is what the saved bundle has: temperature and mixture are those of its own weights.
        let valid = json(&place.succeed("evaluate model/saved --data valid.jsonl --json"));
        for figure in ["accuracy", "nll"] {
            let stated = scores["validation_after_rounding"][figure].as_f64().unwrap();
            assert!((valid[figure].as_f64().unwrap() - stated).abs() < 1e-6, "{format}: {figure} {stated}, {valid}");
        }
        assert!(place.succeed("evaluate model/saved --data test.jsonl").contains("before rounding"));
        let inspected = place.succeed("inspect model/saved");
        assert!(inspected.contains("saved in") && inspected.contains("ngrams"), "{inspected}");
        sizes.push(fs::metadata(place.path("model/saved/model.safetensors")).unwrap().len());
    }
    let best = place.path("model/checkpoints").join(place.read("model/best").trim());
    let whole = fs::metadata(best.join("model.safetensors")).unwrap().len();
    assert!(sizes[0] < whole * 6 / 10 && sizes[1] < whole * 4 / 10, "{sizes:?} of {whole}");
}

#[test]
fn prompts_are_completed() {
    let place = Workplace::new();
    let row = |i: usize| {
        let (a, b) = (["red", "blue", "green"][i % 3], ["cat", "dog"][i % 2]);
        format!("{{\"prompt\": \"the {a} {b} is\", \"completion\": \"{a}\", \"id\": {i}}}\n")
    };
    place.write("prompts.jsonl", &(0..60).map(row).collect::<String>());
    let config = place.read("c.toml");
    let task = config.find("[task]").unwrap()..config.find("[train]").unwrap();
    let section = "[task]\nkind = \"generation\"\nformat = \"completion\"\ntrain = [\"prompts.jsonl\"]\nvalid = [\"prompts.jsonl\"]\ntest = [\"prompts.jsonl\"]\n\n";
    place.write("g.toml", &format!("{}{section}{}", &config[..task.start], &config[task.end..]));
    let table = place.succeed("train -c g.toml --set train.epochs=60.0 --set train.learning_rate=1e-2");
    assert!(table.contains("test perplexity"), "{table}");
    place.succeed("predict model --input prompts.jsonl --output out.jsonl --temperature 0 --max-tokens 5");
    let (out, prompts) = (place.read("out.jsonl"), place.read("prompts.jsonl"));
    let right = out.lines().map(json).zip(prompts.lines().map(json));
    let right = right
        .filter(|(found, gold)| {
            found["completion"].as_str().map(str::trim) == gold["completion"].as_str() && found["id"] == gold["id"]
        })
        .count();
    assert!(right >= 55, "{right} of 60");
    // Whatever the size of the batches.
    place.succeed(
        "predict model --input prompts.jsonl --output one.jsonl --temperature 0.9 --max-tokens 5 --batch-size 1",
    );
    place.succeed("predict model --input prompts.jsonl --output many.jsonl --temperature 0.9 --max-tokens 5");
    assert_eq!(place.read("one.jsonl"), place.read("many.jsonl"));
    let scores = json(&place.succeed("evaluate model --data prompts.jsonl --json"));
    assert!(scores["perplexity"].as_f64().unwrap() < 2.0, "{scores}");
    assert!(place.succeed("inspect model").contains("prompt_field prompt"));
    place.write("other.jsonl", "{\"text\": \"a\"}\n");
    let ran = place.run("predict model --input other.jsonl");
    let says = "other.jsonl:1: no `prompt` beside `text`; expected a string `prompt`\n";
    assert!(ran.status == Some(1) && ran.stderr.ends_with(says), "{}", ran.stderr);
    place.write("text.txt", &"the cat sat on the mat\n".repeat(50));
    place.succeed("train -c g.toml --set task.format=text --set task.train=[\"text.txt\"] --set task.valid=[\"text.txt\"] --set task.test=[\"text.txt\"] --set run.dir=writer --set train.epochs=3.0 --set task.unit=file");
    let ran = place.run("predict writer --input prompts.jsonl");
    assert!(ran.status == Some(2) && ran.stderr.contains("pretrainer generate"), "{}", ran.stderr);
    let inspected = place.succeed("inspect writer");
    // Text to evaluate it on is read as its own was.
    assert!(inspected.contains("language_model") && inspected.contains("unit file"), "{inspected}");
}

/// The folder of a run's best checkpoint.
fn best(place: &Workplace, run: &str) -> PathBuf {
    place.path(run).join("checkpoints").join(place.read(&format!("{run}/best")).trim())
}

/// The weights of the encoder in a bundle, by name.
fn encoder(bundle: &Path) -> BTreeMap<String, Tensor> {
    let tensors = grulm_model::load_tensors(&bundle.join("model.safetensors")).unwrap();
    tensors.into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect()
}

fn parent(bundle: &Path) -> Value {
    json(&fs::read_to_string(bundle.join("provenance.json")).unwrap())["parent"].clone()
}

#[test]
fn a_classifier_is_a_start_for_another() {
    let place = Workplace::new();
    place.succeed("train -c c.toml --set train.epochs=1.0");
    // Of other labels.
    for file in ["train.jsonl", "valid.jsonl", "test.jsonl"] {
        place.write(file, &place.read(file).replacen("\"positive\"", "\"mixed\"", 9));
    }
    let other = "train -c c.toml --set finetune.pretrained=model --set run.dir=other";
    let frozen = place.run(&format!("{other} --set train.epochs=1.0 --set finetune.freeze_layers=3"));
    assert_eq!(frozen.status, Some(0), "{}", frozen.stderr);
    assert!(frozen.stderr.contains("teach little"), "{}", frozen.stderr);
    let (first, second) = (best(&place, "model"), best(&place, "other"));
    assert_eq!(encoder(&second), encoder(&first));
    assert_eq!(parent(&second), weights_sha256(&first).unwrap());
    assert_eq!(
        json(&place.succeed("inspect other --json"))["labels"],
        serde_json::json!(["mixed", "negative", "positive"])
    );
    // Not in its own place, which would be gone.
    let ran = place.run(&format!("{other} --set run.dir=model --overwrite"));
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("`run.dir`"), "{}", ran.stderr);
    assert!(first.is_dir());
    let speaks = format!("{other}-again --set finetune.adapt.train.epochs=1.0");
    let ran = place.run(&speaks);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("language_model, generation; it is of kind \"classification\""), "{}", ran.stderr);
}

#[test]
fn frozen_layers_keep_their_bytes() {
    let place = Workplace::new();
    let before = encoder(&place.path("pretrained"));
    let differs = |freeze: &str| {
        place.succeed(&format!("train -c c.toml --overwrite --set train.epochs=1.0 {freeze}"));
        let after = encoder(&best(&place, "model"));
        let mut names: Vec<_> = before
            .iter()
            .filter(|(name, tensor)| after.get(*name) != Some(tensor))
            .map(|(name, _)| name.split('.').take(4).collect::<Vec<_>>().join("."))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let (first, second) = ("encoder.forward.rnns.0".to_owned(), "encoder.forward.rnns.1".to_owned());
    assert_eq!(differs("--set finetune.freeze_layers=3"), Vec::<String>::new());
    assert_eq!(differs("--set finetune.freeze_layers=2"), std::slice::from_ref(&second));
    assert_eq!(differs("--set finetune.freeze_layers=1"), [first, second]);
    // In one epoch of gradual unfreezing, only the head learns.
    assert_eq!(differs("--set finetune.unfreeze=gradual"), Vec::<String>::new());
    let all = differs("");
    assert_eq!(all.len(), 3, "{all:?}");
}

#[test]
fn adaptation_comes_first_and_is_kept() {
    let place = Workplace::new();
    let adapt = "--set finetune.adapt.train.epochs=2.0 --set finetune.adapt.train.batch_size=8 --set finetune.adapt.train.precision=fp32";
    let planned =
        place.succeed(&format!("train -c c.toml {adapt} --set finetune.adapt.text=[\"test.jsonl\"] --dry-run"));
    assert!(planned.contains("adapts first") && planned.contains("and 1 file"), "{planned}");
    // What is not there shows before there is a run.
    for option in ["--dry-run", ""] {
        let missing = format!("train -c c.toml {adapt} --set finetune.adapt.text=[\"nope.txt\"] {option}");
        place.refuse(&missing, 2, &["finetune.adapt.text", "nope.txt"]);
        assert!(!place.path("model").exists());
    }
    place.succeed(&format!("train -c c.toml {adapt} --set train.epochs=1.0"));
    assert!(place.path("model/adapt/best").is_file());
    let adapted = best(&place, "model/adapt");
    assert_eq!(parent(&adapted), weights_sha256(&place.path("pretrained")).unwrap());
    assert_eq!(parent(&best(&place, "model")), weights_sha256(&adapted).unwrap());
    assert!(fs::read_dir(place.path("model/adapt/checkpoints")).unwrap().count() > 0);
    // The stage is not repeated.
    let again = place.run(&format!("train -c c.toml {adapt} --set train.epochs=1.0 --resume"));
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("adapted already"), "{}", again.stderr);
}
