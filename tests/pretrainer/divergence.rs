//! Losses that are not finite.

use crate::program::Workplace;

/// Decay multiplies each matrix by 1 - rate * decay at each step: by -2.5 at this rate, by -0.75 at half of it. Without it a
/// loss stays finite at any rate: gates saturate, and the softmax is computed in logarithms.
const DIVERGING: &str = "train -c c.toml --set train.learning_rate=1e3 --set train.weight_decay=0.0035 \
    --set train.schedule=constant --set train.steps=200 --set train.log_every=1 --set train.evaluate_every=40 \
    --set train.checkpoint_every=10";

/// The steps that have a line in the metrics.
fn steps(place: &Workplace) -> u64 {
    place.read("model/metrics.jsonl").lines().filter(|line| line.contains("\"loss\"")).count() as u64
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_at_once() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let ran = place.run(DIVERGING);
    // A line of metrics each step: the first that is not finite is the step after the last line.
    let bad = steps(&place) + 1;
    let last = (bad - 1) / 10 * 10;
    assert!(last >= 10 && bad < 200, "diverged at step {bad}");
    let at = format!("not finite at step {bad}; the last good checkpoint is model/checkpoints/step-{last:07}");
    ran.failed(DIVERGING, 1, &[&at, "Try a lower train.learning_rate than 1000", "train.on_divergence = \"rollback\""]);
    assert!(!place.read("model/metrics.jsonl").contains("\"loss\":null"), "no line is of a broken model");
    for (name, bytes) in place.everything("model/checkpoints") {
        assert!(!name.ends_with(".part") && (name.contains('/') || bytes.is_empty()), "{name}");
    }
    assert_eq!(place.read("model/last"), format!("step-{last:07}\n"));
    // The same again from there, and nothing is lost by trying.
    let ran = place.run(&format!("{DIVERGING} --resume"));
    ran.failed(DIVERGING, 1, &[&at, &format!("resuming from model/checkpoints/step-{last:07}")]);
    place.succeed("evaluate model --text text.txt");
}

#[test]
fn a_run_goes_back_at_a_lower_rate() {
    let place = Workplace::new();
    place.succeed("prepare -c c.toml");
    let args = format!("{DIVERGING} --set train.on_divergence=\"rollback\"");
    let ran = place.run(&args);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let said: Vec<_> = ran.stderr.lines().filter(|line| line.contains("rollback")).collect();
    assert_eq!(said.len(), 1, "{}", ran.stderr);
    for part in ["was not finite at step", "back to model/checkpoints/step-", "0.5 times", "rollback 1 of 3"] {
        assert!(said[0].contains(part), "{}", said[0]);
    }
    assert_eq!(steps(&place), 200);
    assert!(place.read("model/metrics.jsonl").lines().last().unwrap().contains("\"step\":200"));

    // Where no rate helps that it may come to, it ends.
    let args = args.replace("weight_decay=0.0035", "weight_decay=1.0");
    let ran = place.run(&format!("{args} --overwrite"));
    ran.failed(&args, 1, &["rollback 1 of 3", "rollback 2 of 3", "rollback 3 of 3", "the run went back 3 times"]);
    assert!(ran.stderr.contains("Try a lower train.learning_rate than 125,"), "{}", ran.stderr);
    assert!(place.path("model/checkpoints").join(place.read("model/last").trim()).join("state.json").is_file());
}
