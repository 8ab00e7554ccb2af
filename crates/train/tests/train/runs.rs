//! Whole runs.

use std::time::{Duration, Instant};

use grulm_train::{
    Budget, Error, LrRange, OnDivergence, Outcome, Schedule, Start, StopFlag, TrainConfig, best_checkpoint, find_lr,
};

use crate::toy::{Run, Toy, ten_steps};

#[test]
fn a_run_learns_and_leaves_its_records() {
    let run = Run::new(TrainConfig { steps: Some(60), evaluate_every: Some(20), ..ten_steps() });
    let Outcome::Finished { best, scores } = run.train(&mut Toy::new(16), Start::Fresh).unwrap() else { panic!() };
    assert!(scores.unwrap().get("perplexity").unwrap() < 3.0);
    assert_eq!(best, best_checkpoint(&run.dir).unwrap());
    assert_eq!(run.read("last"), "step-0000060\n");
    assert_eq!(run.read("config.toml"), "[train]\n");
    let metrics = run.read("metrics.jsonl");
    let lines: Vec<serde_json::Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let training: Vec<_> = lines.iter().filter(|line| line.get("loss").is_some()).collect();
    assert_eq!(training.len(), 20);
    for key in ["step", "loss", "perplexity", "learning_rate", "grad_norm"] {
        assert!(training[3][key].is_number(), "{key}: {metrics}");
    }
    assert_eq!(training[3]["learning_rate"], TrainConfig::rates(&run.config).at(11, 60));
    let evaluations: Vec<_> = lines.iter().filter(|line| line.get("evaluation").is_some()).collect();
    assert_eq!(evaluations.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [20, 40, 60]);
    assert!(run.read("timing.jsonl").lines().next().unwrap().contains("tokens_per_second"));
    // 16 rows of 60 steps, but every fifth: 960 * 4 / 5.
    assert_eq!(run.state(60).tokens, 768);
}

#[test]
fn accumulated_micro_batches_are_one_batch() {
    let train = |accumulate, rows| {
        let run = Run::new(TrainConfig { accumulate, ..ten_steps() });
        let mut toy = Toy { carries: false, ..Toy::new(rows) };
        run.train(&mut toy, Start::Fresh).unwrap();
        toy.weights()
    };
    let (whole, halves) = (train(1, 16), train(2, 8));
    for (a, b) in whole.iter().zip(&halves) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn the_best_checkpoint_and_the_newest_are_kept() {
    let run = Run::new(TrainConfig {
        steps: Some(40),
        learning_rate: 1e-30,
        evaluate_every: Some(10),
        checkpoint_every: 5,
        keep: 2,
        ..ten_steps()
    });
    let Outcome::Finished { best, .. } = run.train(&mut Toy::new(16), Start::Fresh).unwrap() else { panic!() };
    assert!(best.ends_with("step-0000010"));
    assert_eq!(run.checkpoints(), ["step-0000010", "step-0000035", "step-0000040"]);
}

#[test]
fn patience_ends_a_run_that_does_not_get_better() {
    let mut run = Run::new(TrainConfig { steps: Some(100), learning_rate: 1e-30, patience: 3, ..ten_steps() });
    run.train(&mut Toy::new(16), Start::Fresh).unwrap();
    assert_eq!(run.read("last"), "step-0000016\n");
    assert_eq!(run.read("best"), "step-0000004\n");
    assert!(run.state(16).finished);
    let mut toy = Toy::new(16);
    run.train(&mut toy, Start::Resume).unwrap();
    assert_eq!((run.read("last").as_str(), toy.evaluations), ("step-0000016\n", 0), "it had finished");
    run.config.steps = Some(200);
    run.train(&mut Toy::new(16), Start::Resume).unwrap();
    assert_eq!(run.read("last"), "step-0000028\n", "more steps give it another chance");
}

#[test]
fn without_validation_data_the_newest_is_the_best() {
    let run = Run::new(ten_steps());
    let outcome = run.train(&mut Toy { validates: false, ..Toy::new(16) }, Start::Fresh).unwrap();
    let best = run.dir.join("checkpoints/step-0000010");
    assert_eq!(outcome, Outcome::Finished { best, scores: None });
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let check = |nan_at, clip_norm, expect: &[&str]| {
        let run = Run::new(TrainConfig { clip_norm, ..ten_steps() });
        let error = run.train(&mut Toy { nan_at: Some(nan_at), ..Toy::new(16) }, Start::Fresh).unwrap_err();
        assert!(matches!(error, Error::Diverged { step, .. } if step == nan_at + 1), "{error}");
        let message = error.to_string();
        assert!(expect.iter().all(|part| message.contains(part)), "{message}");
        assert!(!run.read("metrics.jsonl").contains("null"));
        run
    };
    let run = check(6, 1.0, &["step 7", "step-0000005", "train.learning_rate than 0.05", "fp32"]);
    run.train(&mut Toy::new(16), Start::Resume).unwrap();
    let whole = Run::new(ten_steps());
    whole.fresh();
    assert_eq!(run.bytes("metrics.jsonl"), whole.bytes("metrics.jsonl"));
    check(0, 0.0, &["step 1", "no checkpoint had been saved yet", "train.clip_norm"]);
    check(9, 1.0, &["step 10", "step-0000008"]);
}

#[test]
fn a_rollback_goes_on_from_the_last_good_checkpoint_at_half_the_rate() {
    let config = TrainConfig { on_divergence: OnDivergence::Rollback, log_every: 1, ..ten_steps() };
    let broken = || Toy { nan_at: Some(6), nans: 1, ..Toy::new(16) };
    let (whole, rolled) = (Run::new(TrainConfig { log_every: 1, ..ten_steps() }), Run::new(config.clone()));
    whole.fresh();
    rolled.train(&mut broken(), Start::Fresh).unwrap();
    assert_eq!((rolled.state(10).rollbacks, rolled.state(10).finished), (1, true));
    let rates = |run: &Run| -> Vec<(u64, f64)> {
        let lines = run.read("metrics.jsonl");
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter_map(|line| Some((line["step"].as_u64()?, line["learning_rate"].as_f64()?))).collect()
    };
    let expected: Vec<_> =
        rates(&whole).into_iter().map(|(step, rate)| (step, if step > 5 { rate / 2.0 } else { rate })).collect();
    assert_eq!(rates(&rolled), expected, "every step once, those after the checkpoint of step 5 at half the rate");

    // Stopped on the way and taken up again, it ends in the same place.
    let stopped = Run::new(config.clone());
    let stop = StopFlag::new();
    let mut toy = Toy { signal_at: Some((8, stop.clone())), ..broken() };
    stopped.train_with(&mut toy, Start::Fresh, &stop).unwrap();
    stopped.train(&mut Toy::new(16), Start::Resume).unwrap();
    for file in ["metrics.jsonl", "checkpoints/step-0000010/model.safetensors"] {
        assert_eq!(stopped.bytes(file), rolled.bytes(file), "{file}");
    }

    // Before the first checkpoint of the schedule there is the one of step 0.
    let early = Run::new(config.clone());
    early.train(&mut Toy { nan_at: Some(0), nans: 2, ..Toy::new(16) }, Start::Fresh).unwrap();
    assert_eq!(early.state(10).rollbacks, 2);

    // What going back does not help ends the run.
    let hopeless = Run::new(config);
    let error = hopeless.train(&mut Toy { nan_at: Some(6), ..Toy::new(16) }, Start::Fresh).unwrap_err();
    assert!(matches!(error, Error::Diverged { step: 7, .. }), "{error}");
    assert!(error.to_string().contains("step-0000005, to which the run went back 3 times"), "{error}");
}

#[test]
fn a_budget_fixes_the_number_of_steps_and_is_met() {
    let budget = Duration::from_secs(4);
    let run = Run::new(TrainConfig {
        steps: None,
        epochs: Some(1000.0),
        budget: Some(Budget(budget)),
        evaluate_every: Some(50),
        ..ten_steps()
    });
    let mut toy = Toy { delay: Duration::from_millis(10), ..Toy::new(16) };
    let begun = Instant::now();
    run.train(&mut toy, Start::Fresh).unwrap();
    let took = begun.elapsed();
    assert!(took > budget / 3 && took < budget * 3 / 2, "{took:?}");
    let step: u64 = run.read("last").trim().trim_start_matches("step-").parse().unwrap();
    let state = run.state(step);
    assert_eq!(state.total_steps, step);
    assert!(step > 20, "{step}");

    // The probe leaves no trace: the same number of steps, given, makes the same run.
    let given = Run::new(TrainConfig { steps: Some(step), epochs: None, budget: None, ..run.config.clone() });
    assert_eq!(given.fresh().weights(), toy.weights());
    assert_eq!(given.bytes("metrics.jsonl"), run.bytes("metrics.jsonl"));

    // On resume the number is not measured again.
    let mut toy = Toy::new(16);
    run.train(&mut toy, Start::Resume).unwrap();
    assert_eq!((run.state(step).total_steps, toy.evaluations), (step, 0));
}

#[test]
fn a_signal_while_the_budget_is_measured_leaves_no_checkpoint() {
    let budget = Some(Budget(Duration::from_secs(60)));
    let run = Run::new(TrainConfig { steps: None, budget, ..ten_steps() });
    let stop = StopFlag::new();
    let mut toy = Toy { signal_at: Some((1, stop.clone())), ..Toy::new(16) };
    let outcome = run.train_with(&mut toy, Start::Fresh, &stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted { signal: 15, checkpoint: None });
    assert!(run.checkpoints().is_empty());
    assert_eq!(toy.weights(), Toy::new(16).weights());
}

#[test]
fn the_rate_finder_proposes_a_rate_that_learns_and_puts_everything_back() {
    let mut toy = Toy::new(64);
    let before = toy.weights();
    let range = LrRange { low: 1e-5, high: 100.0, steps: 120 };
    let curve = find_lr(&mut toy, &TrainConfig::default(), 3, range, &StopFlag::new()).unwrap();
    assert_eq!(toy.weights(), before);
    assert!(curve.points.windows(2).all(|pair| pair[0].rate < pair[1].rate));
    assert!((1e-3..1.0).contains(&curve.proposal()), "{curve:?}");
    let config = TrainConfig { steps: Some(80), learning_rate: curve.proposal(), ..ten_steps() };
    let run = Run::new(TrainConfig { schedule: Schedule::OneCycle, ..config });
    let Outcome::Finished { scores, .. } = run.train(&mut toy, Start::Fresh).unwrap() else { panic!() };
    assert!(scores.unwrap().criterion < 1.5);
    for (low, high, steps) in [(0.0, 1.0, 10), (1.0, 1.0, 10), (1e-3, f64::INFINITY, 10), (1e-3, 1.0, 2)] {
        let found = find_lr(&mut toy, &TrainConfig::default(), 3, LrRange { low, high, steps }, &StopFlag::new());
        assert!(found.is_err(), "{low} {high} {steps}");
    }
}
