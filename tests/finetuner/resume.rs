//! A run that was stopped goes on as if it had not been, in whatever stage.

use std::{fs, path::Path};

use grulm_durable::digest::sha256;

use crate::program::Workplace;

const STAGES: &str = "--set finetune.adapt.train.steps=30 --set finetune.adapt.train.batch_size=8 \
    --set finetune.adapt.train.precision=fp32 --set finetune.adapt.train.checkpoint_every=10 \
    --set finetune.unfreeze=gradual --set train.epochs=2.0 --set train.checkpoint_every=10 --set train.keep=100 \
    --set finetune.adapt.train.keep=100 --set task.ngrams=2";

/// Weights and metrics of a run: what is deterministic.
pub(crate) fn trace(place: &Workplace, dir: &str) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for folder in [format!("{dir}/adapt"), dir.to_owned()] {
        let last = place.read(&format!("{folder}/last"));
        let of_last = |name: &str| format!("checkpoints/{}/{name}", last.trim());
        for name in [of_last("model.safetensors"), of_last("task.json"), "metrics.jsonl".to_owned(), "best".to_owned()]
        {
            files.push(fs::read(place.path(&folder).join(name)).unwrap());
        }
    }
    files
}

/// Takes a run back to where it was after `step` of a stage, as a kill would leave it.
fn cut(folder: &Path, step: u64) {
    for entry in fs::read_dir(folder.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let at: u64 = name.trim_start_matches("step-").parse().unwrap();
        if at > step {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn every_stage_resumes_bit_for_bit() {
    let place = Workplace::new();
    place.succeed(&format!("train -c c.toml {STAGES} --set run.dir=whole"));
    let whole = trace(&place, "whole");
    // In the middle of the task's stage.
    place.succeed(&format!("train -c c.toml {STAGES}"));
    cut(&place.path("model"), 40);
    place.succeed(&format!("train -c c.toml {STAGES} --resume"));
    assert!(trace(&place, "model") == whole, "stopped in the second stage");
    // In the middle of the adaptation: nothing of the second stage is there.
    cut(&place.path("model/adapt"), 10);
    cut(&place.path("model"), 0);
    place.succeed(&format!("train -c c.toml {STAGES} --resume"));
    assert!(trace(&place, "model") == whole, "stopped in the first stage");
    // At the end of the adaptation, between its last checkpoint and what names it.
    cut(&place.path("model"), 0);
    for pointer in ["last", "best"] {
        place.write(&format!("model/adapt/{pointer}"), "step-0000010\n");
    }
    place.succeed(&format!("train -c c.toml {STAGES} --resume"));
    assert!(trace(&place, "model") == whole, "stopped between the stages");
    // At the checkpoint of before the first step, which is there to go back to: n-grams have learned nothing then.
    let rolls = format!("{STAGES} --set train.on_divergence=rollback --set run.dir=rolls");
    place.succeed(&format!("train -c c.toml {rolls}"));
    cut(&place.path("rolls"), 0);
    assert!(place.path("rolls/checkpoints/step-0000000").is_dir());
    place.succeed(&format!("train -c c.toml {rolls} --resume"));
    assert!(trace(&place, "rolls") == whole, "stopped before the first step");
}

#[cfg(unix)]
#[test]
fn a_signal_stops_either_stage_after_a_checkpoint() {
    let place = Workplace::new();
    let args = format!("train -c c.toml {STAGES} --set finetune.adapt.train.log_every=1 --set train.log_every=1");
    place.succeed(&format!("{args} --set run.dir=whole"));
    for (stage, signal, status) in [("model/adapt", "-TERM", 143), ("model", "-INT", 130)] {
        let lines = || fs::read_to_string(place.path(stage).join("metrics.jsonl")).unwrap_or_default().lines().count();
        let ran = place.signal(&format!("{args} --resume"), signal, || lines() >= 3);
        assert_eq!(ran.status, Some(status), "{stage}: {}", ran.stderr);
        assert!(ran.stderr.contains("which is saved"), "{stage}: {}", ran.stderr);
        assert!(place.path(stage).join("last").is_file());
    }
    place.succeed(&format!("{args} --resume"));
    assert!(trace(&place, "model") == trace(&place, "whole"));
}

#[test]
fn a_run_is_not_replaced_or_mixed_up_unasked() {
    let place = Workplace::new();
    place.succeed("train -c c.toml --set train.steps=4");
    let check = |args: &str, says: &str| {
        let ran = place.run(args);
        assert_eq!(ran.status, Some(2), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    };
    check("train -c c.toml --set train.steps=4", "--overwrite");
    check("train -c c.toml --set train.steps=4 --resume --set task.hidden=8", "`task.hidden`");
    place.succeed("train -c c.toml --set run.dir=other --set train.steps=2");
    let other = "train -c c.toml --set train.steps=4 --resume --set finetune.pretrained=other";
    check(other, "model: the run started from other weights");
    let text = place.read("train.jsonl");
    place.write("train.jsonl", &text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
    check("train -c c.toml --set train.steps=4 --resume", "another corpus");
    place.write("train.jsonl", &text.replace("\"negative\"", "\"bad\""));
    place.write("valid.jsonl", &place.read("valid.jsonl").replace("\"negative\"", "\"bad\""));
    let renamed = "train -c c.toml --set train.steps=4 --set task.test=[] --resume";
    check(renamed, "another corpus");
    // The text of an adaptation that has finished counts as well.
    place.write("more.jsonl", "{\"text\": \"one more\"}\n");
    let adapted = "train -c c.toml --set run.dir=adapted --set train.steps=4 --set task.test=[] \
        --set finetune.adapt.train.steps=4 --set finetune.adapt.text=[\"more.jsonl\"]";
    place.succeed(adapted);
    place.write("more.jsonl", "{\"text\": \"another\"}\n");
    check(&format!("{adapted} --resume"), "adapted/adapt: the run learned from another corpus");
    let weights = fs::read(place.path("pretrained/model.safetensors")).unwrap();
    let task = place.read("pretrained/task.json");
    let mut others = weights.clone();
    *others.last_mut().unwrap() ^= 1;
    fs::write(place.path("pretrained/model.safetensors"), &others).unwrap();
    place.write("pretrained/task.json", &task.replace(&sha256(&weights), &sha256(&others)));
    check(&format!("{adapted} --resume"), "adapted/adapt: the run started from other weights");
    check(
        &format!("{adapted} --overwrite --set finetune.adapt.train.batch_size=1000000"),
        "`finetune.adapt.train.batch_size` = 1000000",
    );
}
