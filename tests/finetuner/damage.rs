//! Full disks, changed files, hostile models: nothing good is lost, and nothing bad is used.

use std::fs;

use crate::{
    faults::Damage,
    program::{Ran, Workplace},
    resume::trace,
};

const STAGES: &str = "train -c c.toml --set finetune.adapt.train.steps=12 --set finetune.adapt.train.batch_size=8 \
    --set finetune.adapt.train.precision=fp32 --set finetune.adapt.train.checkpoint_every=4 --set train.steps=12 \
    --set train.checkpoint_every=4 --set train.keep=100 --set finetune.adapt.train.keep=100 --set train.log_every=1";

#[test]
fn both_stages_go_on_from_what_is_whole() {
    let place = Workplace::new();
    place.succeed(&format!("{STAGES} --set run.dir=whole"));
    let whole = trace(&place, "whole");
    place.succeed(STAGES);
    let newest = |stage: &str| {
        let folders = fs::read_dir(place.path(stage).join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
        folders.filter(|path| !path.to_string_lossy().ends_with(".damaged")).max().unwrap()
    };
    let passes_over = |stage: &str, file: &str, damage: Damage| {
        let folder = newest(stage);
        damage.at_tenth(&folder.join(file), 5);
        let ran = place.run(&format!("{STAGES} --resume"));
        assert_eq!(ran.status, Some(0), "{stage} {file}: {}", ran.stderr);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let says = format!("passing over {stage}/checkpoints/{name}: {stage}/checkpoints/{name}/{file}: ");
        assert!(ran.stderr.contains(&says), "{} lacks {says}", ran.stderr);
        assert!(trace(&place, "model") == whole, "{stage} {file}");
    };
    passes_over("model", "model.safetensors", Damage::Flip);
    passes_over("model", "state.json", Damage::Cut);
    passes_over("model/adapt", "optimizer.safetensors", Damage::Cut);

    // A disk that fills up in the second stage, whose optimizer's state is the largest file.
    fs::remove_dir_all(newest("model")).unwrap();
    let before = place.everything("model/checkpoints");
    // Texts as tokens are in a temporary file, which does not fit either at first.
    for blocks in [0, 300] {
        let ran = place.run_short_of_disk(blocks, &format!("{STAGES} --resume"));
        ran.failed(STAGES, 1, &["File too large"]);
        assert!(place.everything("model/checkpoints") == before, "{blocks} blocks");
    }
    place.succeed(&format!("{STAGES} --resume"));
    assert!(trace(&place, "model") == whole, "after a full disk");

    let lock = fs::File::options().write(true).open(place.path("model/run.lock")).unwrap();
    lock.lock().unwrap();
    for how in ["--resume", "--overwrite"] {
        place.refuse(&format!("{STAGES} {how}"), 2, &["model: another process", "is writing a run here"]);
    }
}

#[test]
fn predictions_are_written_whole_or_not_at_all() {
    let place = Workplace::new();
    place.succeed("train -c c.toml --set train.steps=4");
    let args = "predict model --input test.jsonl --output out.jsonl";
    let before = place.everything("");
    for blocks in [0, 8] {
        place.run_short_of_disk(blocks, args).failed(args, 1, &["out.jsonl", "File too large"]);
        assert!(place.everything("") == before, "{blocks} blocks");
    }
    for to in ["none/out.jsonl", "test.jsonl/out.jsonl"] {
        place.refuse(&format!("predict model --input test.jsonl --output {to}"), 1, &[to]);
    }
    if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
        for args in ["predict model --input test.jsonl", "evaluate model --data test.jsonl", "inspect model"] {
            let ran = Ran::of(place.command(args).stdout(full.try_clone().unwrap()).output().unwrap());
            ran.failed(args, 1, &["standard output", "No space left"]);
        }
    }
    if let Some(ran) = place.run_read_only(args) {
        ran.failed(args, 1, &["out.jsonl", "Read-only file system"]);
        let ran = place.run_read_only("predict model --input test.jsonl").unwrap();
        assert!(ran.status == Some(0) && ran.stdout.lines().count() > 10, "{}", ran.stderr);
    }
}

#[test]
fn models_that_changed_are_refused() {
    let place = Workplace::new();
    place.succeed("train -c c.toml --set train.steps=4 --set task.hidden=8");
    fs::rename(place.path("model/checkpoints").join(place.read("model/best").trim()), place.path("bundle")).unwrap();
    fs::remove_dir_all(place.path("model")).unwrap();
    let mut faults = 0;
    let predict = "predict bundle --input test.jsonl --output out.jsonl";
    // What the config names is named with its key, and is bad usage.
    for (folder, args, status) in [("pretrained", "train -c c.toml", 2), ("bundle", predict, 1)] {
        let good = place.everything(folder);
        let mut check = |file: &str, damage: &dyn Fn(&mut Vec<u8>), says: &str| {
            let mut bytes = good[file].clone();
            damage(&mut bytes);
            fs::write(place.path(folder).join(file), bytes).unwrap();
            place.refuse(args, status, &[file, says]);
            fs::write(place.path(folder).join(file), &good[file]).unwrap();
            faults += 1;
        };
        for file in ["model.safetensors", "tokenizer.json"] {
            check(file, &|bytes| bytes.truncate(bytes.len() / 2), "");
            check(file, &|bytes| *bytes.last_mut().unwrap() ^= 0x20, "");
        }
        let edit = |from: &'static str, to: &'static str| {
            move |bytes: &mut Vec<u8>| {
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(text.contains(from), "{text}");
                *bytes = text.replacen(from, to, 1).into_bytes();
            }
        };
        check("model.json", &edit("\"hidden\": 64", "\"hidden\": 1099511627776"), "model.hidden");
        check("task.json", &|bytes| bytes.truncate(10), "EOF");
        if folder == "bundle" {
            check("task.json", &edit("\"hidden\": 8", "\"hidden\": 1099511627776"), "hidden 1099511627776");
            check("task.json", &edit("\"hidden\": 8", "\"hidden\": 65536"), "call for at least");
            check("task.json", &edit("\"window\": 40", "\"window\": 0"), "window 0");
            check("task.json", &edit("\"ngrams\": 0", "\"ngrams\": 9"), "ngrams 9");
            check("task.json", &edit("\"ngrams\": 0", "\"ngrams\": 2"), "call for at least");
            check("task.json", &edit("\"ngram_share\": 0.0", "\"ngram_share\": 2.0"), "ngram_share 2");
        }
    }
    println!("{faults} faults");
}
