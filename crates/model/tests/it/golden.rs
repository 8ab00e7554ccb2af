//! Logits of models whose weights are set by a formula, against those of PyTorch's layers. The numbers are printed by
//!
//! ```python
//! import torch
//!
//! def formula(k, *shape):
//!     index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
//!     return (0.5 * torch.sin(0.7 * index + k)).float().view(shape)
//!
//! def logits(hiddens, tied, projection, stacks=1, stack=0, V=7, E=3, H=5):
//!     k = iter(range(100))
//!     embedding = torch.nn.Embedding.from_pretrained(formula(next(k), V, E))
//!     for s in range(stacks):
//!         layers, width = [], E
//!         for hidden in hiddens:
//!             gru = torch.nn.GRU(width, hidden)
//!             for name, shape in [("weight_ih", (3 * hidden, width)), ("weight_hh", (3 * hidden, hidden)),
//!                                 ("bias_ih", (3 * hidden,)), ("bias_hh", (3 * hidden,))]:
//!                 getattr(gru, name + "_l0").data = formula(next(k), *shape)
//!             layers, width = layers + [gru], hidden
//!         if s == stack:
//!             mine = layers
//!     out, projections = width, []
//!     if projection:
//!         projections, out = [(formula(next(k), E, H), formula(next(k), E)) for _ in range(stacks)], E
//!     weight = embedding.weight if tied else formula(next(k), V, out)
//!     bias = formula(next(k), V)
//!     x = embedding((torch.arange(8) * 3 % V).view(4, 2))
//!     for gru in mine:
//!         x, _ = gru(x)
//!     if projection:
//!         x = torch.nn.functional.linear(x, *projections[stack])
//!     y = torch.nn.functional.linear(x, weight, bias)
//!     check = (y.double().flatten() * torch.cos(torch.arange(y.numel(), dtype=torch.float64))).sum()
//!     print([round(v, 7) for v in y[3, 1].tolist()], round(check.item(), 6))
//!
//! torch.set_grad_enabled(False)
//! logits([5, 3], tied=True, projection=False)              # tied, and the same for a backward model
//! logits([5, 5], tied=False, projection=False)             # untied
//! logits([5, 5], tied=True, projection=True)               # tied, projection
//! logits([5, 5], tied=False, projection=True)              # untied, projection
//! logits([5, 3], tied=True, projection=False, stacks=2, stack=0)  # both directions: forward
//! logits([5, 3], tied=True, projection=False, stacks=2, stack=1)  # backward
//! logits([5, 5], tied=True, projection=True, stacks=2, stack=1)   # backward with a projection of its own
//! ```

use grulm_kernels::{Compute, Packing};
use grulm_model::{Direction, LanguageModel, ModelConfig, Reading};
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Int64},
    Tensor, no_grad,
};

use crate::cuda::on_each_device;

const VOCABULARY: i64 = 7;

fn config(tie_weights: bool, projection: bool, direction: Direction) -> ModelConfig {
    ModelConfig { embedding: 3, hidden: 5, layers: 2, tie_weights, projection, direction, ..ModelConfig::default() }
}

/// A model whose weight number `k` is 0.5 sin(0.7 i + k) at index `i`.
fn model(config: &ModelConfig, device: Device) -> LanguageModel {
    let model = LanguageModel::new(config, VOCABULARY, 1, device).unwrap();
    for (k, param) in model.params().iter().enumerate() {
        let index = Tensor::arange(param.tensor.numel() as i64, (Double, Cpu));
        let values = (index * 0.7 + k as f64).sin() * 0.5;
        no_grad(|| param.tensor.shallow_clone().copy_(&values.view_as(&param.tensor)));
    }
    model
}

/// The logits of the last step of the second lane, and a sum over all, on every device; on the CPU also a token at a time.
fn check(config: &ModelConfig, reading: Reading, last: [f64; 7], sum: f64) {
    on_each_device(|device| check_on(device, config, reading, last, sum));
}

fn check_on(device: Device, config: &ModelConfig, reading: Reading, last: [f64; 7], sum: f64) {
    let model = model(config, device);
    let tokens = (Tensor::arange(8, (Int64, device)) * 3).remainder(VOCABULARY).view([4, 2]);
    let carry = model.encoder().zero_carry(reading, 2, device).unwrap();
    let (logits, _) = no_grad(|| model.logits(reading, &tokens, &carry, Compute::fp32())).unwrap();
    let logits = logits.to_device(Cpu);
    let found = Vec::<f64>::try_from(logits.get(3).get(1).to_kind(Double)).unwrap();
    for (found, expect) in found.iter().zip(last) {
        assert!((found - expect).abs() < 1e-5, "{config:?}: {found}, PyTorch {expect}");
    }
    let mut sequence = (device == Cpu).then(|| model.sequence(reading, Packing::Fp32).unwrap());
    for t in 0..4 {
        let Some(sequence) = &mut sequence else { break };
        let token = tokens.int64_value(&[t, 1]) as u32;
        let step = logits.get(t).get(1);
        for (u, found) in sequence.predict(token).unwrap().iter().enumerate() {
            let expect = step.double_value(&[u as i64]);
            assert!((f64::from(*found) - expect).abs() < 1e-5, "{config:?}: a token at a time: {found}, {expect}");
        }
    }
    let weights = Tensor::arange(logits.numel() as i64, (Double, Cpu)).cos();
    let found = (logits.to_kind(Double).view(-1) * weights).sum(Double).double_value(&[]);
    assert!((found - sum).abs() < 1e-5, "{config:?}: {found}, PyTorch {sum}");
}

#[test]
fn logits_are_those_of_pytorch() {
    use Direction::{Backward, Both, Forward};
    let tied = [0.2451716, -0.4301797, -0.1558737, -0.4635173, -0.6388882, 0.2280371, 0.3244328];
    check(&config(true, false, Forward), Reading::Forward, tied, -0.67238);
    check(&config(true, false, Backward), Reading::Backward, tied, -0.67238);
    let untied = [0.1201301, -0.6470054, -0.5358672, 0.0865855, -0.3912848, 1.0401244, -0.1893004];
    check(&config(false, false, Forward), Reading::Forward, untied, 0.496482);
    let projected = [-0.9724363, -0.3435261, 0.3518102, -0.2219597, 0.5181422, 0.8969948, -0.2368056];
    check(&config(true, true, Forward), Reading::Forward, projected, 1.471753);
    let both = [-0.0374763, -0.458609, 0.6696934, 0.7224714, -0.1303557, 0.4099821, -0.0214507];
    check(&config(false, true, Forward), Reading::Forward, both, 0.760518);
    let forward = [-0.4415864, -0.7505907, 0.0407567, 0.1576761, 0.1147112, 0.7596129, 0.3839767];
    check(&config(true, false, Both), Reading::Forward, forward, 0.976655);
    let backward = [-0.1960628, -0.2840587, -0.6758206, 0.4146666, 0.5718071, 0.0410962, 0.6523615];
    check(&config(true, false, Both), Reading::Backward, backward, 0.676909);
    let own = [0.6205065, 0.3472934, -0.6066986, -0.2394864, -0.2881028, -0.7034996, 0.2475812];
    check(&config(true, true, Both), Reading::Backward, own, -1.119418);
}

#[test]
fn names_are_those_of_pytorch_and_their_number_is_known() {
    for direction in [Direction::Forward, Direction::Backward, Direction::Both] {
        for (tie, projection) in [(true, false), (true, true), (false, false), (false, true)] {
            let config = config(tie, projection, direction);
            let model = model(&config, Cpu);
            assert_eq!(model.params().count() as u64, config.weight_count(VOCABULARY), "{config:?}");
        }
    }
    let names: Vec<String> =
        model(&config(true, false, Direction::Both), Cpu).params().iter().map(|p| p.name.clone()).collect();
    assert_eq!(names[..2], ["encoder.embedding.weight", "encoder.forward.rnns.0.weight_ih_l0"]);
    assert_eq!(names[16..], ["encoder.backward.rnns.1.bias_hh_l0", "decoder.bias"]);
}

#[test]
fn windows_with_a_carry_are_one_long_pass() {
    let model = model(&config(true, false, Direction::Forward), Cpu);
    let tokens = (Tensor::arange(20, (Int64, Cpu)) * 3).remainder(VOCABULARY).view([10, 2]);
    let zero = || model.encoder().zero_carry(Reading::Forward, 2, Cpu).unwrap();
    let pass =
        |tokens: &Tensor, carry| no_grad(|| model.logits(Reading::Forward, tokens, &carry, Compute::fp32())).unwrap();
    let (whole, _) = pass(&tokens, zero());
    let (first, carry) = pass(&tokens.narrow(0, 0, 3), zero());
    let (second, _) = pass(&tokens.narrow(0, 3, 7), carry);
    assert!(Tensor::cat(&[first, second], 0).allclose(&whole, 1e-6, 1e-6, false));
}

#[test]
fn misuse_is_an_error() {
    let model = model(&config(true, false, Direction::Forward), Cpu);
    let carry = |batch| model.encoder().zero_carry(Reading::Forward, batch, Cpu).unwrap();
    let tokens = Tensor::zeros([4, 2], (Int64, Cpu));
    let logits = |tokens: &Tensor, carry| model.logits(Reading::Forward, tokens, &carry, Compute::fp32()).map(drop);
    assert!(logits(&tokens, carry(2)).is_ok());
    assert!(logits(&tokens.transpose(0, 1), carry(4)).is_ok(), "strides are no matter");
    assert!(logits(&tokens, carry(3)).is_err());
    assert!(logits(&tokens, grulm_model::Carry(vec![])).is_err());
    assert!(logits(&tokens, grulm_model::Carry(carry(2).0.into_iter().take(1).collect())).is_err());
    for wrong in [&tokens + VOCABULARY, &tokens - 1, tokens.to_kind(Double), tokens.view(-1), tokens.narrow(0, 0, 0)] {
        assert!(logits(&wrong, carry(2)).is_err(), "{wrong:?}");
    }
    let nll = |targets: &Tensor| model.nll(Reading::Forward, (&tokens, targets), &carry(2), Compute::fp32()).map(drop);
    assert!(nll(&tokens).is_ok() && nll(&tokens.narrow(0, 0, 3)).is_err() && nll(&(&tokens + VOCABULARY)).is_err());
    let message = model.encoder().zero_carry(Reading::Backward, 1, Cpu).unwrap_err().to_string();
    assert!(message.contains("no backward half"), "{message}");
    for vocabulary in [0, -1, i64::MIN, i64::MAX] {
        assert!(LanguageModel::new(&config(true, false, Direction::Forward), vocabulary, 0, Cpu).is_err());
    }
}
