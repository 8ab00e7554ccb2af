//! From parallel files to a translator that is scored and translates.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::program::{Ran, Workplace};

const EVALUATE: &str = "evaluate model --data valid.xx --references valid.en";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

/// The pairs of the sample, as JSON Lines.
fn rows(place: &Workplace, name: &str) -> String {
    let (sources, targets) = (place.read(&format!("{name}.xx")), place.read(&format!("{name}.en")));
    let row = |(source, target): (&str, &str)| format!("{}\n", serde_json::json!({"source": source, "target": target}));
    sources.lines().zip(targets.lines()).map(row).collect()
}

#[test]
fn a_translator_is_trained_scored_and_used() {
    let place = Workplace::of_translations();
    let dropout = "finetune.dropout={embedding=0.0,input=0.0,hidden=0.0,weight=0.0,output=0.0} --set task.dropout=0.0";
    let schedule = "--set train.epochs=12.0 --set train.batch_size=8 --set train.learning_rate=1e-2";
    let table = place.succeed(&format!("train -c c.toml {schedule} --set {dropout}"));
    for part in ["1,200 pairs", "validation bleu", "validation perplexity", "test chrf", "best checkpoint"] {
        assert!(table.contains(part), "{table} lacks {part:?}");
    }
    let scores = json(&place.succeed(&format!("{EVALUATE} --json")));
    let bleu = scores["bleu"].as_f64().unwrap();
    assert!(bleu > 20.0 && scores["chrf"].as_f64().unwrap() > 40.0, "{scores}");
    assert_eq!(json(&place.read("model/test.json"))["scores"]["bleu"].as_f64(), Some(bleu));
    assert_eq!(scores["examples"].as_u64(), Some(30));
    assert_eq!(scores["signature"], "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
    // Rows with both sides are the same pairs.
    place.write("valid.jsonl", &rows(&place, "valid"));
    assert_eq!(json(&place.succeed("evaluate model --data valid.jsonl --json")), scores);

    translations_are_written(&place);
    searches_differ(&place, bleu);
    let ran = place.run(&format!("{EVALUATE} --fail-if bleu<99"));
    assert!(ran.status == Some(1) && ran.stderr.contains("--fail-if bleu<99 holds"), "{}", ran.stderr);
    let inspected = json(&place.succeed("inspect model --json"));
    assert_eq!((&inspected["task"], &inspected["search"]["beam"]), (&"translation".into(), &3.into()));
    assert!(
        place.succeed("inspect model").contains("source_field source") || inspected["fields"]["source"] == "source"
    );
}

fn translations_are_written(place: &Workplace) {
    place.succeed(&format!("{EVALUATE} --per-line lines.jsonl"));
    let scored = json_lines(&place.read("lines.jsonl"));
    assert_eq!(scored.len(), 30);
    assert_eq!((&scored[21]["file"], &scored[21]["row"]), (&"valid.xx".into(), &22.into()));
    // Lines in, lines out; rows in, rows out; from a file or a pipe, however many side by side.
    place.succeed("predict model --lines --input valid.xx --output out.en");
    let translations: Vec<String> = place.read("out.en").lines().map(str::to_owned).collect();
    let expect: Vec<_> = scored.iter().map(|line| line["translation"].as_str().unwrap()).collect();
    assert_eq!(translations, expect);
    let rows: String = place
        .read("valid.xx")
        .lines()
        .enumerate()
        .map(|(id, source)| format!("{}\n", serde_json::json!({"id": id, "source": source})))
        .collect();
    place.write("in.jsonl", &rows);
    place.succeed("predict model --input in.jsonl --output out.jsonl --batch-size 7");
    let answered = json_lines(&place.read("out.jsonl"));
    assert_eq!(answered.len(), 30);
    for (id, (row, translation)) in answered.iter().zip(&translations).enumerate() {
        assert_eq!((row["id"].as_u64(), row["translation"].as_str()), (Some(id as u64), Some(translation.as_str())));
    }
    let mut child: Command = place.command("predict model --lines");
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(place.read("valid.xx").as_bytes()).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout), (Some(0), place.read("out.en")), "{}", ran.stderr);
}

fn searches_differ(place: &Workplace, bleu: f64) {
    let figure = |args: &str| json(&place.succeed(&format!("{EVALUATE} --json {args}")))["bleu"].as_f64().unwrap();
    assert_eq!(figure("--beam 3"), bleu);
    assert_eq!(figure("--ensemble model"), bleu, "twice the same model is that model");
    assert!(figure("--beam 1") > 10.0);
    let best = place.read("model/best");
    let best = format!("model/checkpoints/{}", best.trim());
    let newest = format!("model/checkpoints/{}", place.read("model/last").trim());
    assert!(figure(&format!("--beam 1 --ensemble {best} {newest}")) > 10.0);
    let check = |args: &str, says: &str| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    };
    check(&format!("{EVALUATE} --beam 0"), "`--beam` = 0");
    check(&format!("{EVALUATE} --length-penalty=-1"), "`--length-penalty` = -1.0");
    check(&format!("{EVALUATE} --errors wrong.jsonl"), "--per-line");
    check(&format!("{EVALUATE} --fail-if accuracy<1"), "examples, bleu, chrf");
    check(&format!("{EVALUATE} --ensemble pretrained"), "expected \"translation\"");
    check("predict model --ensemble nowhere --input valid.xx --lines", "--ensemble: nowhere");
    check("evaluate model --data valid.xx valid.en --references valid.en", "`--references`");
}

#[test]
fn a_smaller_translator_says_what_it_lost() {
    let place = Workplace::of_translations();
    place.succeed("train -c c.toml --set train.epochs=1.0 --set run.save_as=int8");
    let size = |path: &str| fs::metadata(place.path(path)).unwrap().len();
    let best = format!("model/checkpoints/{}/model.safetensors", place.read("model/best").trim());
    assert!(size("model/saved/model.safetensors") < size(&best) * 4 / 10);
    place.succeed("predict model/saved --lines --input valid.xx --output out.en");
    assert_eq!(place.read("out.en").lines().count(), 30);
    assert!(place.succeed("inspect model/saved").contains("saved in"));
    let evaluated = place.succeed("evaluate model/saved --data valid.xx --references valid.en");
    assert!(evaluated.contains("int8; validation bleu") && evaluated.contains("before rounding"), "{evaluated}");
}

#[test]
fn frozen_layers_and_layers_from_scratch() {
    let place = Workplace::of_translations();
    let tensors = |path: String| grulm_model::load_tensors(&place.path(&path).join("model.safetensors")).unwrap();
    let before = tensors("pretrained".into());
    let after = |settings: &str| {
        place.succeed(&format!("train -c c.toml --overwrite --set train.steps=3 --set task.criterion=nll {settings}"));
        tensors(format!("model/checkpoints/{}", place.read("model/best").trim()))
    };
    let same = |after: &[(String, tch::Tensor)], name: &str, origin: &str| {
        let find = |all: &[(String, tch::Tensor)], name: &str| {
            all.iter().find(|(own, _)| own == name).unwrap().1.shallow_clone()
        };
        find(after, name).equal(&find(&before, origin))
    };
    let frozen = after("--set finetune.freeze_layers=2");
    let (first, second) = ("rnns.0.weight_hh_l0", "rnns.1.weight_hh_l0");
    for (part, origin) in [("encoder.forward", "encoder.forward"), ("decoder.forward", "encoder.forward")] {
        assert!(same(&frozen, &format!("{part}.{first}"), &format!("{origin}.{first}")), "{part}");
        assert!(!same(&frozen, &format!("{part}.{second}"), &format!("{origin}.{second}")), "{part}");
    }
    assert!(same(&frozen, "encoder.embedding.weight", "encoder.embedding.weight"));
    let gradual = after("--set finetune.unfreeze=gradual");
    assert!(same(&gradual, &format!("decoder.forward.{second}"), &format!("encoder.forward.{second}")));
    let scratch = after("--set finetune.from_scratch=true");
    assert!(!same(&scratch, &format!("decoder.forward.{first}"), &format!("encoder.forward.{first}")));
}

#[test]
fn a_stopped_translator_resumes_bit_for_bit() {
    let place = Workplace::of_translations();
    let settings =
        "--set train.steps=40 --set train.checkpoint_every=10 --set train.keep=100 --set train.evaluate_every=20";
    let trace = |dir: &str| {
        let last = format!("{dir}/checkpoints/{}/model.safetensors", place.read(&format!("{dir}/last")).trim());
        [last, format!("{dir}/metrics.jsonl"), format!("{dir}/best")].map(|path| fs::read(place.path(&path)).unwrap())
    };
    place.succeed(&format!("train -c c.toml {settings} --set run.dir=whole"));
    place.succeed(&format!("train -c c.toml {settings}"));
    for step in ["0000030", "0000040"] {
        fs::remove_dir_all(place.path(&format!("model/checkpoints/step-{step}"))).unwrap();
    }
    place.succeed(&format!("train -c c.toml {settings} --resume"));
    assert!(trace("model") == trace("whole"));
    // The same pairs, wherever they lie; but no others.
    place.write("train.jsonl", &rows(&place, "train"));
    place.write("valid.jsonl", &rows(&place, "valid"));
    let moved = "--set task.train=[\"train.jsonl\"] --set task.valid=[\"valid.jsonl\"] --set train.steps=44";
    place.succeed(&format!("train -c c.toml {settings} {moved} --resume"));
    let ran = place.run(&format!("train -c c.toml {settings} --set task.train=[\"valid.jsonl\"] --resume"));
    assert!(ran.status == Some(2) && ran.stderr.contains("another corpus"), "{}", ran.stderr);
    let ran = place.run(&format!("train -c c.toml {settings} --set task.heads=2 --resume"));
    assert!(ran.status == Some(2) && ran.stderr.contains("`task.heads`"), "{}", ran.stderr);
}

#[test]
fn pairs_that_do_not_fit_are_named() {
    let place = Workplace::of_translations();
    let check = |args: &str, status: i32, says: &[&str]| {
        for dry in ["", " --dry-run"] {
            let ran = place.run(&format!("train -c c.toml {args}{dry}"));
            assert_eq!(ran.status, Some(status), "{args}: {}", ran.stderr);
            let last = ran.stderr.lines().last().unwrap_or_default();
            for part in says {
                assert!(last.contains(part), "{args}: {last} lacks {part:?}");
            }
            assert!(!place.path("model").exists(), "{args}");
        }
    };
    let longer = place.read("train.en") + "One more.\n";
    place.write("longer.en", &longer);
    check("--set task.train.target=[\"longer.en\"]", 1, &["longer.en: 1201 lines; expected 1200, as many as train.xx"]);
    check("--set task.test.target=[\"longer.en\"]", 1, &["longer.en: 1201 lines; expected 30"]);
    check(
        "--set task.train.target=[\"train.en\",\"valid.en\"]",
        2,
        &["`task.train`", "as many files as there are sources: 1"],
    );
    check("--set task.train.target=[\"nowhere.en\"]", 2, &["`task.train` = \"nowhere.en\""]);
    let good = rows(&place, "train");
    let row = |name: &str, line: &str, says: &[&str]| {
        place.write(name, &format!("{good}{line}\n"));
        check(&format!("--set task.train=[\"{name}\"]"), 1, says);
    };
    row(
        "field.jsonl",
        "{\"source\": \"a\"}",
        &["field.jsonl:1201", "no `target` beside `source`", "task.target_field"],
    );
    row("broken.jsonl", "{\"source\": \"a\", \"tar", &["broken.jsonl:1201", "malformed JSON"]);
    row("type.jsonl", "{\"source\": 1, \"target\": \"a\"}", &["type.jsonl:1201", "`source` is a number"]);
    place.write("empty.jsonl", "");
    check("--set task.train=[\"empty.jsonl\"]", 2, &["`task.train` = \"empty.jsonl\"", "pairs to learn from"]);
    check("--set train.sequence_length=1", 2, &["1200 pairs", "at most 1 tokens a side"]);
    check(
        "--set task.train.source=[\"valid.xx\"] --set task.train.target=[\"valid.en\"] --set task.valid=[] \
         --set task.valid_fraction=0.999999",
        2,
        &["`task.valid_fraction` = 0.999999", "none of the 30 pairs"],
    );
    // A file may stand beside several others.
    let twice =
        "--set task.train.source=[\"train.xx\",\"train.xx\"] --set task.train.target=[\"train.en\",\"train.en\"]";
    assert!(place.succeed(&format!("train -c c.toml --dry-run {twice}")).contains("2,400 pairs"));
    let evaluate = place.run("evaluate pretrained --data valid.xx --references valid.en");
    assert_eq!(evaluate.status, Some(2), "{}", evaluate.stderr);
}

#[test]
fn odd_pairs_are_learned_from_and_translated() {
    let place = Workplace::of_translations();
    let long = "gutil ".repeat(10_000);
    let mut odd = rows(&place, "valid");
    for (source, target) in
        [("", ""), ("", "Nothing."), (long.trim(), "Long."), ("a\u{2028}b\u{0}", "\u{85}\u{0}"), ("🦀 北京", "Crab.")]
    {
        odd += &format!("{}\n", serde_json::json!({"source": source, "target": target}));
    }
    place.write("odd.jsonl", &odd);
    let settings = "--set task.train=[\"odd.jsonl\"] --set task.valid=[\"odd.jsonl\"] --set task.test=[\"odd.jsonl\"]";
    let short = "--set task.max_length=20 --set train.steps=2 --set task.beam=2";
    let ran = place.run(&format!("train -c c.toml {settings} {short}"));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("3 with an empty side, ") && ran.stdout.contains("not learned from"), "{}", ran.stderr);
    assert!(ran.stderr.contains("changes 1 of 35 validation references"), "{}", ran.stderr);
    place.succeed("predict model --input odd.jsonl --output out.jsonl");
    let out = json_lines(&place.read("out.jsonl"));
    assert_eq!(out.len(), 35);
    assert_eq!((&out[30]["translation"], &out[31]["translation"]), (&"".into(), &"".into()));
    place.write("odd.xx", &format!("\n{long}\nMi zair?\r\n"));
    place.succeed("predict model --lines --input odd.xx --output odd.en");
    let lines = place.read("odd.en");
    assert_eq!((lines.lines().count(), lines.lines().next()), (3, Some("")));
    // A row that cannot be read leaves no output behind.
    place.write("bad.jsonl", "{\"source\": \"a\"}\n{\"sauce\": \"b\"}\n");
    let ran = place.run("predict model --input bad.jsonl --output bad_out.jsonl");
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("bad.jsonl:2: no `source` beside `sauce`"), "{}", ran.stderr);
    assert!(!place.path("bad_out.jsonl").exists() && !place.is_half_written("bad_out.jsonl"));
}
