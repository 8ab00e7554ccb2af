//! A run that was stopped goes on as if it had not been.

use std::fs;

use grulm_train::{LayerSettings, OptimizerKind, Outcome, Start, StopFlag, TrainConfig, Unfreeze};
use tch::Device;

use crate::toy::{Run, Toy, ten_steps};

/// Everything deterministic that a run leaves, `state.json`'s clock aside.
fn trace(run: &Run, step: u64) -> Vec<Vec<u8>> {
    let files = ["model.safetensors", "optimizer.safetensors", "carry.safetensors", "provenance.json"];
    let mut trace: Vec<_> = files.iter().map(|file| run.bytes(&format!("checkpoints/step-{step:07}/{file}"))).collect();
    trace.push(run.bytes("metrics.jsonl"));
    trace.push(run.bytes("best"));
    trace
}

#[test]
fn ten_steps_are_five_and_five_bit_for_bit() {
    let configs = [
        ten_steps(),
        TrainConfig { accumulate: 2, l2: 1e-3, weight_decay: 0.1, ..ten_steps() },
        TrainConfig { optimizer: OptimizerKind::Sgd, ..ten_steps() },
    ];
    let layers = LayerSettings { freeze_layers: 1, unfreeze: Unfreeze::Gradual, layer_decay: 0.4, l2_sp: 0.1 };
    let configs = configs.into_iter().map(|config| (config, LayerSettings::default())).chain([(ten_steps(), layers)]);
    for (config, layers) in configs {
        let whole = Run::with_layers(config.clone(), layers);
        whole.fresh();
        for stop_at in 1..10 {
            let halves = Run::with_layers(config.clone(), layers);
            let stop = StopFlag::new();
            let mut toy = Toy { signal_at: Some((stop_at - 1, stop.clone())), ..Toy::new(16) };
            let outcome = halves.train_with(&mut toy, Start::Fresh, &stop).unwrap();
            let checkpoint = halves.dir.join(format!("checkpoints/step-{stop_at:07}"));
            assert_eq!(outcome, Outcome::Interrupted { signal: 15, checkpoint: Some(checkpoint) });
            halves.train(&mut Toy::new(16), Start::Resume).unwrap();
            assert!(trace(&whole, 10) == trace(&halves, 10), "stopped at {stop_at}: {config:?}");
            let (mut a, mut b) = (whole.state(10), halves.state(10));
            (a.elapsed_seconds, b.elapsed_seconds) = (0.0, 0.0);
            a.sha256.remove("state.json");
            b.sha256.remove("state.json");
            assert_eq!(a, b);
        }
    }
}

#[test]
fn a_kill_without_warning_loses_only_what_came_after_the_checkpoint() {
    let whole = Run::new(ten_steps());
    whole.fresh();
    let killed = Run::new(ten_steps());
    killed.fresh();
    // As a kill between step 5's checkpoint and the next rename leaves it: metrics beyond it, a whole folder without its name.
    for step in [8, 10] {
        fs::remove_dir_all(killed.dir.join(format!("checkpoints/step-{step:07}"))).unwrap();
    }
    let part = killed.dir.join("checkpoints/step-0000010.part");
    fs::create_dir(&part).unwrap();
    fs::write(part.join("model.safetensors"), b"half").unwrap();
    killed.train(&mut Toy::new(16), Start::Resume).unwrap();
    assert!(trace(&whole, 10) == trace(&killed, 10));
    assert!(!part.exists());
}

#[test]
fn a_run_that_died_before_its_first_checkpoint_starts_over() {
    let whole = Run::new(ten_steps());
    whole.fresh();
    let died = Run::new(ten_steps());
    died.fresh();
    fs::remove_dir_all(died.dir.join("checkpoints")).unwrap();
    fs::create_dir(died.dir.join("checkpoints")).unwrap();
    died.train(&mut Toy::new(16), Start::Resume).unwrap();
    assert!(trace(&whole, 10) == trace(&died, 10));
}

#[test]
fn a_finished_run_stays_finished_and_can_be_extended() {
    let mut run = Run::new(ten_steps());
    let finished = run.train(&mut Toy::new(16), Start::Fresh).unwrap();
    let (metrics, timing) = (run.bytes("metrics.jsonl"), run.bytes("timing.jsonl"));
    assert_eq!(run.train(&mut Toy::new(16), Start::Resume).unwrap(), finished);
    assert_eq!((run.bytes("metrics.jsonl"), run.bytes("timing.jsonl")), (metrics.clone(), timing));

    run.config.steps = Some(20);
    let Outcome::Finished { best, scores } = run.train(&mut Toy::new(16), Start::Resume).unwrap() else { panic!() };
    assert!(best.ends_with("step-0000020"), "{best:?}");
    assert_eq!(run.state(20).total_steps, 20);
    assert!(run.bytes("metrics.jsonl").starts_with(&metrics));
    let Outcome::Finished { scores: before, .. } = finished else { panic!() };
    assert!(scores.unwrap().criterion < before.unwrap().criterion);

    run.config.steps = Some(15);
    let message = run.train(&mut Toy::new(16), Start::Resume).unwrap_err().to_string();
    assert!(message.contains("train.steps") && message.contains("20 or more"), "{message}");
}

#[test]
fn what_does_not_belong_to_the_run_is_refused() {
    let mut run = Run::new(ten_steps());
    run.fresh();
    run.config.optimizer = OptimizerKind::Sgd;
    let message = run.train(&mut Toy::new(16), Start::Resume).unwrap_err().to_string();
    assert!(message.contains("momentum_buffer.embedding") && message.contains("train.optimizer"), "{message}");
}

/// Begun on a GPU and gone on with on a CPU, and the other way round.
#[test]
fn a_run_can_change_its_device() {
    let cuda = Device::cuda_if_available();
    if !cuda.is_cuda() {
        eprintln!("skipped: no CUDA device");
        return;
    }
    let expect = Run::new(ten_steps()).fresh().weights();
    for (first, second) in [(cuda, Device::Cpu), (Device::Cpu, cuda), (cuda, cuda)] {
        let run = Run::new(ten_steps());
        let stop = StopFlag::new();
        let mut toy = Toy { signal_at: Some((4, stop.clone())), ..Toy::on(16, first) };
        assert!(matches!(run.train_with(&mut toy, Start::Fresh, &stop).unwrap(), Outcome::Interrupted { .. }));
        let mut toy = Toy::on(16, second);
        run.train(&mut toy, Start::Resume).unwrap();
        let near = |(found, expect): (&f32, &f32)| (found - expect).abs() < 1e-3;
        assert!(toy.weights().iter().zip(&expect).all(near), "{first:?} {second:?}");
        assert_eq!(run.state(10).step, 10);
    }
}
