//! A stack that attends to texts, its weights set by a formula, against PyTorch's layers. The numbers are printed by
//!
//! ```python
//! import torch
//! from torch.nn import functional as F
//!
//! def formula(k, *shape):
//!     index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
//!     return (0.5 * torch.sin(0.7 * index + k)).float().view(shape)
//!
//! def decode(hiddens, E=4, M=6, heads=2, T=4, B=2, S=5, lengths=(5, 3)):
//!     k = iter(range(100))
//!     layers, width = [], E
//!     for hidden in hiddens:
//!         gru = torch.nn.GRU(width, hidden)
//!         for name, shape in [("weight_ih", (3 * hidden, width)), ("weight_hh", (3 * hidden, hidden)),
//!                             ("bias_ih", (3 * hidden,)), ("bias_hh", (3 * hidden,))]:
//!             getattr(gru, name + "_l0").data = formula(next(k), *shape)
//!         layers, width = layers + [gru], hidden
//!     linear = lambda i, o, bias=True: (formula(next(k), o, i), formula(next(k), o) if bias else None)
//!     attentions = [[(formula(next(k), H), formula(next(k), H)), linear(H, M), linear(M, M, False),
//!                    linear(H + M, H), linear(H, H),
//!                    formula(next(k), heads), formula(next(k), heads)] for H in hiddens]
//!     starts = [linear(M, H) for H in hiddens]
//!     memory, x = formula(100, S, B, M), formula(101, T, B, E)
//!     inside = torch.arange(S)[:, None] < torch.tensor(lengths)                            # [S, B]
//!     mean = (memory * inside[:, :, None]).sum(0) / torch.tensor(lengths)[:, None]
//!     by_head = lambda t: t.unflatten(2, (heads, M // heads)).permute(1, 2, 0, 3)          # [B, A, ., M / A]
//!     for gru, (norm, query, key, combine, output, slope, pace), start in zip(layers, attentions, starts):
//!         y, _ = gru(x, torch.tanh(F.linear(mean, *start))[None])
//!         normed = F.layer_norm(y, y.shape[2:], *norm)
//!         far = (torch.arange(S) - pace[:, None, None] * torch.arange(1, T + 1)[:, None]).abs() * slope[:, None, None]  # [A, T, S]
//!         mask = (-far).expand(B, -1, -1, -1).masked_fill(~inside.T[:, None, None, :], -torch.inf)
//!         found = F.scaled_dot_product_attention(by_head(F.linear(normed, *query)), by_head(F.linear(memory, *key)),
//!                                                by_head(memory), attn_mask=mask)
//!         found = found.permute(2, 0, 1, 3).flatten(2)                                     # [T, B, M]
//!         x = y + F.linear(torch.tanh(F.linear(torch.cat([normed, found], 2), *combine)), *output)
//!     check = (x.double().flatten() * torch.cos(torch.arange(x.numel(), dtype=torch.float64))).sum()
//!     print([round(v, 7) for v in x[3, 1].tolist()], round(check.item(), 6))
//!
//! torch.set_grad_enabled(False)
//! decode([4])
//! decode([5, 4])
//! ```

use grulm_kernels::Compute;
use grulm_model::{AttentiveStack, LanguageModel, ModelConfig, Params, Progress, Reading, Source};
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Float},
    Tensor, no_grad,
};

use crate::cuda::on_each_device;

const MEMORY: i64 = 6;
const HEADS: i64 = 2;
const LENGTHS: [i64; 2] = [5, 3];

fn formula(k: f64, shape: &[i64]) -> Tensor {
    let index = Tensor::arange(shape.iter().product::<i64>(), (Double, Cpu));
    ((index * 0.7 + k).sin() * 0.5).to_kind(Float).view(shape)
}

fn config(layers: usize) -> ModelConfig {
    ModelConfig { embedding: 4, hidden: 5, layers, ..ModelConfig::default() }
}

/// A stack whose weight number `k` is given by the formula, and texts that it attends to.
fn set_up(config: &ModelConfig, device: Device) -> (AttentiveStack, Source) {
    let mut params = Params::new(1, device);
    let stack = AttentiveStack::new(&mut params, "decoder", config, (MEMORY, HEADS), config.layers + 1).unwrap();
    for (k, param) in params.iter().enumerate() {
        let values = formula(k as f64, &param.tensor.size());
        no_grad(|| param.tensor.shallow_clone().copy_(&values));
    }
    let memory = formula(100.0, &[5, 2, MEMORY]).to_device(device);
    let source = no_grad(|| stack.source(&memory, &LENGTHS)).unwrap();
    (stack, source)
}

fn forward(stack: &AttentiveStack, x: &Tensor, from: &Progress, source: &Source) -> (Tensor, Progress) {
    no_grad(|| stack.forward(x.shallow_clone(), from, source, None, 0.0, Compute::fp32())).unwrap()
}

#[test]
fn outputs_are_those_of_pytorch() {
    let check_on = |device: Device, layers: usize, last: [f64; 4], sum: f64| {
        let (stack, source) = set_up(&config(layers), device);
        let x = formula(101.0, &[4, 2, 4]).to_device(device);
        let y = forward(&stack, &x, source.start(), &source).0.to_device(Cpu);
        let found = Vec::<f64>::try_from(y.get(3).get(1).to_kind(Double)).unwrap();
        for (found, expect) in found.iter().zip(last) {
            assert!((found - expect).abs() < 1e-5, "{layers} layers: {found}, PyTorch {expect}");
        }
        let weights = Tensor::arange(y.numel() as i64, (Double, Cpu)).cos();
        let found = (y.to_kind(Double).view(-1) * weights).sum(Double).double_value(&[]);
        assert!((found - sum).abs() < 1e-5, "{layers} layers: {found}, PyTorch {sum}");
    };
    let check = |layers, last, sum| on_each_device(|device| check_on(device, layers, last, sum));
    check(1, [0.2917739, 0.0652276, 0.5899178, -0.0272001], -0.175621);
    check(2, [0.3057743, -0.1448149, 1.1111835, -0.8374272], 0.77101);
}

/// All steps at once are one step after the other, and several lanes a text are as many texts.
#[test]
fn steps_and_lanes_can_be_taken_apart() {
    let (stack, source) = set_up(&config(2), Cpu);
    let (time, lanes) = (4, 6);
    let x = formula(7.0, &[time, lanes, 4]);
    let each = Tensor::from_slice(&[0i64, 0, 0, 1, 1, 1]);
    let (whole, _) = forward(&stack, &x, &source.start().select(&each).unwrap(), &source);
    let mut carry = source.start().select(&each).unwrap();
    for t in 0..time {
        let (y, after) = forward(&stack, &x.narrow(0, t, 1), &carry, &source);
        assert!(y.allclose(&whole.narrow(0, t, 1), 1e-5, 1e-6, false), "step {t}");
        carry = after;
    }
    let apart = source.select(&each).unwrap();
    let (y, _) = forward(&stack, &x, apart.start(), &apart);
    assert!(y.allclose(&whole, 1e-5, 1e-6, false));
}

/// What stands behind the end of a text is not seen.
#[test]
fn a_text_ends_where_its_length_says() {
    let (stack, source) = set_up(&config(1), Cpu);
    let x = formula(7.0, &[3, 2, 4]);
    let (expect, _) = forward(&stack, &x, source.start(), &source);
    let memory = formula(100.0, &[5, 2, MEMORY]);
    let _ = memory.narrow(0, 3, 2).select(1, 1).fill_(9.0);
    let other = no_grad(|| stack.source(&memory, &LENGTHS)).unwrap();
    let (y, _) = forward(&stack, &x, other.start(), &other);
    assert!(y.allclose(&expect, 1e-6, 1e-6, false));
}

/// Before it learns, a stack with a language model's weights is that language model.
#[test]
fn attention_is_silent_at_first() {
    let config = config(2);
    let folder = tempfile::tempdir().unwrap();
    let model = LanguageModel::new(&config, 9, 3, Cpu).unwrap();
    let path = folder.path().join("model.safetensors");
    model.params().save(&path, grulm_model::WeightFormat::Fp32).unwrap();
    let mut params = Params::new(1, Cpu);
    let stack = AttentiveStack::new(&mut params, "decoder", &config, (MEMORY, HEADS), 3).unwrap();
    params
        .load_from(&path, |name| Some(format!("encoder.forward.{}", name.strip_prefix("decoder.forward.")?)))
        .unwrap();
    let source = no_grad(|| stack.source(&formula(100.0, &[5, 2, MEMORY]), &LENGTHS)).unwrap();
    let tokens = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 8]).view([3, 2]);
    let x = no_grad(|| model.encoder().embed(&tokens, None)).unwrap();
    let (y, _) = forward(&stack, &x, source.start(), &source);
    let zero = model.encoder().zero_carry(Reading::Forward, 2, Cpu).unwrap();
    let read = || model.encoder().forward(Reading::Forward, &tokens, &zero, None, Compute::fp32());
    assert!(y.equal(&no_grad(read).unwrap().0));
}
