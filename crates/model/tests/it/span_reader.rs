//! A reader whose weights and inputs are set by a formula, against PyTorch, which reads each row by itself. The numbers are printed
//! by
//!
//! ```python
//! import torch
//! from torch.nn.functional import layer_norm, linear
//!
//! H, WIDTHS, TOKEN, MATCH = 3, [4, 5], 2, 1
//!
//! def formula(k, *shape):
//!     index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
//!     return (0.5 * torch.sin(0.7 * index + k)).float().view(shape)
//!
//! k = iter(range(100))
//! def affine(i, o): return formula(next(k), o, i), formula(next(k), o)
//! def both_ways(i):
//!     gru = torch.nn.GRU(i, H, bidirectional=True)
//!     for end in ["", "_reverse"]:
//!         for name, shape in [("weight_ih", (3 * H, i)), ("weight_hh", (3 * H, H)), ("bias_ih", (3 * H,)), ("bias_hh", (3 * H,))]:
//!             getattr(gru, name + "_l0" + end).data = formula(next(k), *shape)
//!     return lambda x: gru(x)[0]
//! def similar(i): return *affine(i, H), formula(next(k), H)
//!
//! lexical, sharpness, mix, contextual = affine(4, H), formula(next(k), 1), affine(9, 2 * H), both_ways(2 * H + TOKEN)
//! similarity, question = similar(2 * H), affine(2 * H, 1)
//! context_part, question_part = affine(5 * H, 2 * H), affine(8 * H + MATCH + 1, 2 * H)
//! fuse, self_similarity, self_part, refine = both_ways(2 * H), similar(2 * H), affine(6 * H, 2 * H), both_ways(2 * H)
//! start, end, head, tail = affine(2 * H, 2 * H), affine(2 * H, 2 * H), affine(2 * H, H), affine(2 * H, H)
//!
//! def texts(seed, lengths):  # one by one, without what fills them up
//!     T, B = max(lengths), len(lengths)
//!     layers = [formula(seed + l, T, B, width) for l, width in enumerate(WIDTHS)]
//!     features = formula(seed + 5, T, B, TOKEN)
//!     for b, n in enumerate(lengths):
//!         own = [layer_norm(layer[:n, b], layer.shape[2:]) for layer in layers]
//!         words = linear(own[0], *lexical).relu()
//!         mixed = linear(torch.cat(own, 1), *mix)
//!         yield words, mixed, contextual(torch.cat([mixed, features[:n, b]], 1))
//!
//! def keys(x, by): return linear(x, by[0], by[1]).relu()
//!
//! torch.set_grad_enabled(False)
//! contexts, questions = list(texts(20, [6, 4])), list(texts(40, [4, 3]))
//! matches = formula(60, 6, 3, MATCH)
//! for row, (c, q) in enumerate([(0, 0), (0, 1), (1, 1)]):
//!     (words, mixed, read), (asked_words, _, asked) = contexts[c], questions[q]
//!     by_words = words @ asked_words.T * sharpness * 30 / H
//!     by_meaning = (keys(read, similarity) * similarity[2]) @ keys(asked, similarity).T
//!     found_words, roles = by_words.softmax(1) @ asked_words, by_words.softmax(1) @ asked
//!     found = by_meaning.softmax(1) @ asked
//!     sought = by_words.softmax(0).sum(1, keepdim=True)
//!     pair = [words * found_words, found_words, roles, read * found, found, matches[: len(read), row], sought]
//!     x = (linear(torch.cat(pair, 1), *question_part) + linear(torch.cat([words, mixed, read], 1), *context_part)).relu()
//!     x = fuse(x)
//!     scores = (keys(x, self_similarity) * self_similarity[2]) @ keys(x, self_similarity).T
//!     itself = scores.masked_fill(torch.eye(len(x), dtype=torch.bool), -torch.inf).softmax(1) @ x
//!     x = refine(x + linear(torch.cat([x, itself, x * itself], 1), *self_part).relu())
//!     summary = linear(asked, *question).T.softmax(1) @ asked
//!     starts, ends = (x @ linear(summary, *by).T for by in (start, end))
//!     pairs = linear(x, *head) @ linear(x, *tail).T / H ** 0.5 + ends.T
//!     inside = range(1, len(x) - 1)
//!     spans = {(s, e): (starts[s, 0] + pairs[s, e] - pairs[s, s : len(x) - 1].logsumexp(0)).item() for s in inside for e in inside if e >= s}
//!     best = max(spans, key=spans.get)
//!     print([round(v, 6) for v in (starts[0, 0].item(), starts[1:-1, 0].logsumexp(0).item(), spans[best])], best)
//! ```

use grulm_kernels::Compute;
use grulm_model::{LayeredTexts, Params, QuestionRows, SpanReader, SpanReaderSizes};
use tch::{Device, Kind, Tensor, no_grad};

use crate::cuda::on_each_device;

/// 0.5 sin(0.7 i + k) at index `i`.
fn formula(k: usize, shape: &[i64], device: Device) -> Tensor {
    let index = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, device));
    ((index * 0.7 + k as f64).sin() * 0.5).to_kind(Kind::Float).view(shape)
}

/// Texts of these lengths; what stands behind their ends is of no use.
fn texts(seed: usize, lengths: &[i64], device: Device) -> LayeredTexts {
    let (time, lanes) = (lengths[0], lengths.len() as i64);
    let layers = [4, 5].into_iter().enumerate().map(|(l, width)| formula(seed + l, &[time, lanes, width], device));
    let features = formula(seed + 5, &[time, lanes, 2], device);
    LayeredTexts { layers: layers.collect(), features, lengths: lengths.to_vec() }
}

#[test]
fn spans_are_scored_as_pytorch_scores_them() {
    on_each_device(check);
}

fn check(device: Device) {
    let mut params = Params::new(1, device);
    let sizes = SpanReaderSizes { layers: vec![4, 5], hidden: 3, token_features: 2, match_features: 1 };
    let reader = SpanReader::new(&mut params, "head", &sizes, 0.3, 1).unwrap();
    for (k, param) in params.iter().enumerate() {
        no_grad(|| param.tensor.shallow_clone().copy_(&formula(k, &param.tensor.size(), device)));
    }
    let (contexts, questions) = (texts(20, &[6, 4], device), texts(40, &[4, 3], device));
    let features = formula(60, &[6, 3, 1], device);
    let rows = QuestionRows { contexts: vec![0, 0, 1], questions: vec![0, 1, 1], features };
    let scores = no_grad(|| reader.read(&contexts, &questions, &rows, None, Compute::fp32())).unwrap();
    let best = scores.best(1, 100).unwrap();
    let expect = [
        ([0.236671, 1.489704, 0.058938], (4, 4)),
        ([1.040935, 1.891172, 0.381575], (4, 4)),
        ([0.753027, 0.928099, 0.14997], (2, 2)),
    ];
    for (row, (numbers, (start, end))) in (0..).zip(expect) {
        let found = [scores.none().unwrap(), scores.total().unwrap(), best.scores.squeeze_dim(1)];
        for (found, expect) in found.iter().zip(numbers) {
            let found = found.double_value(&[row]);
            assert!((found - expect).abs() < 1e-5, "row {row}: {found}, PyTorch {expect}");
        }
        assert_eq!((best.starts.int64_value(&[row, 0]), best.ends.int64_value(&[row, 0])), (start, end));
    }
}
