//! A CUDA device against the CPU.

use grulm_kernels::{Compute, Packing, Precision};
use grulm_model::{
    Direction, DropoutConfig, LanguageModel, ModelConfig, Noise, OutputPenalties, Reading, Site, WeightFormat,
};
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Float, Int64},
    Tensor, no_grad,
};

use crate::gpu::cuda;

const VOCABULARY: i64 = 50;

/// Checks the CPU, and a CUDA device where there is one.
pub(crate) fn on_each_device(check: impl Fn(Device)) {
    check(Cpu);
    if let Some((device, _alone)) = cuda() {
        check(device);
    }
}

fn config(tie_weights: bool, dropout: f64) -> ModelConfig {
    let dropout =
        DropoutConfig { embedding: dropout, input: dropout, hidden: dropout, weight: dropout, output: dropout };
    ModelConfig {
        embedding: 24,
        hidden: 40,
        layers: 3,
        tie_weights,
        projection: tie_weights,
        direction: Direction::Both,
        dropout,
    }
}

/// Two windows of text, the second read from the carry of the first: losses, the penalty, the carry and all gradients, by name
/// and on the CPU.
fn pass(config: &ModelConfig, device: Device, precision: Precision) -> Vec<(String, Tensor)> {
    let model = LanguageModel::new(config, VOCABULARY, 7, device).unwrap();
    let compute = Compute { precision, ..Compute::fp32() };
    let text = |salt: i64| (Tensor::arange(60, (Int64, device)) * 7 + salt).remainder(VOCABULARY).view([12, 5]);
    let mut results = Vec::new();
    for &reading in config.direction.readings() {
        let mut carry = model.encoder().zero_carry(reading, 5, device).unwrap();
        for window in 0..2 {
            let noise = Noise { site: Site::new(3).at(window), rates: &config.dropout };
            let penalties = OutputPenalties { activation: 2.0, temporal: 1.0 };
            let texts = (&text(window as i64), &text(window as i64 + 1));
            let loss = model.training_loss(reading, texts, &carry, Some(&noise), penalties, compute).unwrap();
            let penalty = loss.penalty.unwrap();
            (&loss.nll + &penalty * 60.0).backward();
            let (each, _) = model.nll(reading, texts, &carry, compute).unwrap();
            carry = loss.carry.detach();
            let carried = carry.0.iter().map(Tensor::shallow_clone);
            let all = [loss.nll.detach(), penalty.detach(), each].into_iter().chain(carried);
            results.extend(all.enumerate().map(|(index, x)| (format!("{} {window} {index}", reading.name()), x)));
        }
    }
    results.extend(model.params().iter().map(|param| (param.name.clone(), param.tensor.grad())));
    results.into_iter().map(|(name, tensor)| (name, tensor.to_device(Cpu).to_kind(Double))).collect()
}

#[test]
fn losses_and_gradients_are_those_of_the_cpu() {
    let Some((device, _alone)) = cuda() else { return };
    let norm = |tensor: &Tensor| tensor.square().sum(Double).double_value(&[]).sqrt();
    for (tie_weights, dropout) in [(true, 0.0), (false, 0.0), (true, 0.3), (false, 0.3)] {
        let config = config(tie_weights, dropout);
        let expected = pass(&config, Cpu, Precision::Fp32);
        for (precision, tolerance) in [(Precision::Fp32, 1e-4), (Precision::Bf16, 0.05)] {
            for ((name, found), (_, expect)) in pass(&config, device, precision).iter().zip(&expected) {
                let error = norm(&(found - expect)) / norm(expect).max(1e-6);
                assert!(error <= tolerance, "{precision:?} tied: {tie_weights}, dropout {dropout}: {name}: {error}");
            }
        }
    }
}

/// What a GPU saves a CPU opens, and the other way round, to the bit and in every format.
#[test]
fn saved_models_open_on_either_device() {
    let Some((device, _alone)) = cuda() else { return };
    let config = config(true, 0.0);
    let own = LanguageModel::new(&config, VOCABULARY, 7, device).unwrap();
    let other = LanguageModel::new(&config, VOCABULARY, 7, Cpu).unwrap();
    let [from_gpu, from_cpu, again] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for format in [WeightFormat::Fp32, WeightFormat::Fp16, WeightFormat::Int8] {
        own.save(from_gpu.path(), format).unwrap();
        other.save(from_cpu.path(), format).unwrap();
        let opened = LanguageModel::open(from_gpu.path(), Cpu).unwrap();
        let back = LanguageModel::open(from_cpu.path(), device).unwrap();
        back.save(again.path(), WeightFormat::Fp32).unwrap();
        let third = LanguageModel::open(again.path(), Cpu).unwrap();
        for ((a, b), c) in opened.params().iter().zip(back.params()).zip(third.params()) {
            let b = b.tensor.to_device(Cpu);
            assert!(c.tensor.equal(&b), "{format:?} {}", a.name);
            // A division may round otherwise on a GPU.
            assert!(a.tensor.allclose(&b, 1e-6, 1e-8, false) || format == WeightFormat::Int8, "{format:?} {}", a.name);
            assert!(format != WeightFormat::Fp32 || a.tensor.equal(&b), "{}", a.name);
        }
        assert!(opened.sequence(Reading::Forward, Packing::Fp32).is_ok());
        assert!(back.sequence(Reading::Forward, Packing::Fp32).is_err());
    }
}

/// A text read token by token, as generation reads it.
#[test]
fn windows_with_a_carry_are_one_long_pass() {
    on_each_device(|device| {
        let model = LanguageModel::new(&config(true, 0.0), VOCABULARY, 7, device).unwrap();
        let tokens = (Tensor::arange(20, (Int64, device)) * 3).remainder(VOCABULARY).view([10, 2]);
        let mut carry = model.encoder().zero_carry(Reading::Forward, 2, device).unwrap();
        let read = |tokens: &Tensor, carry: &grulm_model::Carry| {
            no_grad(|| model.logits(Reading::Forward, tokens, carry, Compute::fp32())).unwrap()
        };
        let (whole, _) = read(&tokens, &carry);
        for step in 0..10 {
            let (logits, after) = read(&tokens.narrow(0, step, 1), &carry);
            carry = after;
            assert_eq!((logits.kind(), logits.device()), (Float, device));
            assert!(logits.allclose(&whole.narrow(0, step, 1), 1e-4, 1e-5, false), "{device:?}, step {step}");
        }
    });
}
