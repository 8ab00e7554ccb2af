use grulm_corpus::{CleanConfig, TokenizerKind};
use grulm_kernels::Compute;
use grulm_model::{Direction, OutputPenalties};
use grulm_tasks::{Batching, LanguageModelling, Step, Task, TokenSplit};
use tch::{
    Device::Cpu,
    Kind::{Float, Int64},
    Tensor,
};

use crate::sample::{SENTENCE, cleaner, model, stream, tokenizer, tokens};

fn task(direction: Direction) -> LanguageModelling {
    let tokenizer = tokenizer(TokenizerKind::Char, SENTENCE);
    let tokens = tokens(100, tokenizer.vocab_size() as u32);
    let split = TokenSplit { stream: stream(&tokens), bytes: 300 };
    let batching = Batching {
        batch_size: 3,
        sequence_length: 7,
        seed: 11,
        penalties: OutputPenalties::default(),
        compute: Compute::fp32(),
    };
    let model = model(direction, tokenizer.vocab_size());
    let cleaner = cleaner(&CleanConfig::default());
    LanguageModelling::new(model, tokenizer, cleaner, &split, Some(split.clone()), batching).unwrap()
}

fn step(step: u64) -> Step {
    Step { seed: 11, stage: 0, step, micro: 0, accumulate: 1 }
}

fn losses(task: &mut LanguageModelling, steps: std::ops::Range<u64>) -> Vec<f64> {
    steps.map(|at| task.step(step(at)).unwrap().sum.double_value(&[])).collect()
}

const ALL: [Direction; 3] = [Direction::Forward, Direction::Backward, Direction::Both];

#[test]
fn a_step_is_a_function_of_its_name_and_the_carry() {
    for direction in ALL {
        let (mut one, mut other) = (task(direction), task(direction));
        assert_eq!(one.batches_per_epoch(), 4);
        let first = losses(&mut one, 0..10);
        assert_eq!(losses(&mut other, 0..10), first);
        // Step 4 begins an epoch, with a carry of zeros: no history is needed for it.
        assert_eq!(losses(&mut other, 4..10), first[4..]);
        // The middle of an epoch needs its carry.
        assert_ne!(losses(&mut task(direction), 5..6), first[5..6]);
        // Noise differs between micro-batches, stages and seeds.
        let at_zero = |change: fn(&mut Step)| {
            let mut named = step(0);
            change(&mut named);
            task(direction).step(named).unwrap().sum.double_value(&[])
        };
        assert_eq!(at_zero(|_| ()), first[0]);
        assert_ne!(at_zero(|s| s.stage = 1), first[0]);
        assert_ne!(at_zero(|s| s.seed = 1), first[0]);
    }
}

#[test]
fn micro_batches_are_the_batches_in_turn() {
    let mut task = task(Direction::Forward);
    let batch = |step, micro| Step { step, micro, accumulate: 3, ..self::step(0) }.batch();
    assert_eq!([batch(0, 0), batch(0, 2), batch(1, 0), batch(2, 1)], [0, 2, 3, 7]);
    let loss = task.step(Step { micro: 1, accumulate: 2, ..step(0) }).unwrap();
    assert_eq!((loss.count, loss.sum.size(), loss.sum.kind()), (21, vec![], Float));
}

#[test]
fn both_directions_count_and_learn() {
    let mut task = task(Direction::Both);
    let loss = task.step(step(0)).unwrap();
    assert_eq!(loss.count, 42);
    loss.sum.backward();
    for param in task.params() {
        let gradient = param.tensor.grad();
        assert!(gradient.defined() && gradient.abs().sum(Float).double_value(&[]) > 0.0, "{}", param.name);
    }
    assert!(task.figures(1.0).is_empty());
    let scores = task.evaluate().unwrap().unwrap();
    assert!(scores.get("perplexity_backward").is_some());
}

#[test]
fn figures_of_a_loss_are_a_perplexity_and_bits_per_byte() {
    let figures = task(Direction::Forward).figures(2.0);
    // 3 bytes a token: 2 / ln 2 / 3 bits a byte.
    assert_eq!(figures[0], ("perplexity", 2f64.exp()));
    assert!(figures[1].0 == "bits_per_byte" && (figures[1].1 - 0.961_796_693_925_976).abs() < 1e-12);
}

#[test]
fn evaluation_leaves_no_trace_in_training() {
    let (mut one, mut other) = (task(Direction::Both), task(Direction::Both));
    let plain = losses(&mut one, 0..4);
    let mut found = losses(&mut other, 0..2);
    let first = other.evaluate().unwrap();
    assert_eq!(other.evaluate().unwrap(), first);
    found.extend(losses(&mut other, 2..4));
    assert_eq!(found, plain);
}

#[test]
fn a_state_goes_to_disk_and_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carry.safetensors");
    for direction in ALL {
        let mut whole = task(direction);
        losses(&mut whole, 0..6);
        grulm_model::save_tensors(&path, &whole.state()).unwrap();
        let mut resumed = task(direction);
        resumed.load_state(&grulm_model::load_tensors(&path).unwrap()).unwrap();
        for ((name, own), (other, expect)) in resumed.state().iter().zip(&whole.state()) {
            assert!(name == other && own.equal(expect), "{name}");
        }
        assert_eq!(losses(&mut resumed, 6..12), losses(&mut whole, 6..12));
    }
}

#[test]
fn a_state_of_another_task_is_refused_and_nothing_taken() {
    let check = |change: fn(&mut Vec<(String, Tensor)>), says: &str| {
        let mut own = task(Direction::Both);
        losses(&mut own, 0..1);
        let before: Vec<Tensor> = own.state().iter().map(|(_, tensor)| tensor.copy()).collect();
        let mut state: Vec<_> = own.state().iter().map(|(name, tensor)| (name.clone(), tensor.zeros_like())).collect();
        change(&mut state);
        let message = own.load_state(&state).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
        assert!(own.state().iter().zip(&before).all(|((_, now), then)| now.equal(then)), "{says}");
    };
    check(|s| drop(s.pop()), "`carry.backward.1`: found none, expected Float [3, 8]");
    check(Vec::clear, "`carry.forward.0`");
    check(|s| s.push(("more".into(), Tensor::from(0f32))), "5 carried states; expected 4");
    check(|s| s[2].1 = Tensor::zeros([3, 13], (Float, Cpu)), "`carry.backward.0`: found Float [3, 13]");
    check(|s| s[1].1 = s[1].1.to_kind(Int64), "`carry.forward.1`: found Int64 [3, 8]");
}
