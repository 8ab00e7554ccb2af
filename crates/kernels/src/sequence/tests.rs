//! Every instruction set and packing against the definition in double precision.

use proptest::prelude::*;

use super::*;
use crate::native::sequence::all;

const TOKENS: [usize; 4] = [0, 3, 1, 2];

/// Sizes of a model.
#[derive(Debug, Clone)]
struct Case {
    vocabulary: usize,
    width: usize,
    hidden: Vec<usize>,
    projection: Option<usize>,
}

/// A matrix and its bias.
struct Plain {
    columns: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Weights {
    width: usize,
    embedding: Vec<f32>,
    layers: Vec<(Plain, Plain)>,
    projection: Option<Plain>,
    softmax: Plain,
}

/// Numbers in `-scale..scale` that repeat.
fn numbers(count: usize, salt: usize, scale: f64) -> Vec<f32> {
    let number = |i: usize| ((i as f64 * 12.9898 + salt as f64).sin() * 43_758.545_3).fract();
    (0..count).map(|i| (number(i) * scale) as f32).collect()
}

impl Case {
    fn weights(&self) -> Weights {
        let mut salt = 0;
        let mut plain = |rows: usize, columns: usize| {
            salt += 2;
            let scale = (3.0 / columns as f64).sqrt();
            Plain { columns, weight: numbers(rows * columns, salt, scale), bias: numbers(rows, salt + 1, 0.5) }
        };
        let mut inputs = self.width;
        let mut layers = Vec::new();
        for &hidden in &self.hidden {
            layers.push((plain(3 * hidden, inputs), plain(3 * hidden, hidden)));
            inputs = hidden;
        }
        let projection = self.projection.map(|width| plain(width, std::mem::replace(&mut inputs, width)));
        let softmax = plain(self.vocabulary, inputs);
        Weights {
            width: self.width,
            embedding: numbers(self.vocabulary * self.width, 1, 1.0),
            layers,
            projection,
            softmax,
        }
    }
}

impl Plain {
    fn tensors(&self) -> (Tensor, Tensor) {
        let columns = i64::try_from(self.columns).unwrap();
        (Tensor::from_slice(&self.weight).view([-1, columns]), Tensor::from_slice(&self.bias))
    }

    /// The product, with the weights that `stored` makes of a row.
    fn product(&self, x: &[f64], stored: fn(&[f32]) -> Vec<f64>) -> Vec<f64> {
        let rows = self.weight.chunks(self.columns).zip(&self.bias);
        rows.map(|(row, &bias)| stored(row).iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + f64::from(bias)).collect()
    }
}

impl Weights {
    fn sequence(&self, functions: &'static Functions) -> Sequence {
        let (width, embedding) = (i64::try_from(self.width).unwrap(), Tensor::from_slice(&self.embedding));
        let embedding = embedding.view([-1, width]);
        let layers: Vec<_> = self.layers.iter().map(|(input, state)| (input.tensors(), state.tensors())).collect();
        let layers = layers.iter().map(|((weight_ih, bias_ih), (weight_hh, bias_hh))| GruWeights {
            weight_ih,
            weight_hh,
            bias_ih,
            bias_hh,
        });
        let (projection, softmax) = (self.projection.as_ref().map(Plain::tensors), self.softmax.tensors());
        let weights = SequenceWeights {
            embedding: &embedding,
            layers: layers.collect(),
            projection: projection.as_ref().map(|(weight, bias)| (weight, bias)),
            softmax: (&softmax.0, &softmax.1),
        };
        Sequence::with(&weights, functions).unwrap()
    }

    /// The logits behind each token, by the definition.
    fn exact(&self, tokens: &[u32], stored: fn(&[f32]) -> Vec<f64>) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut states: Vec<Vec<f64>> = self.layers.iter().map(|(_, state)| vec![0.0; state.columns]).collect();
        let mut all = Vec::new();
        for &token in tokens {
            let mut x = widen(&self.embedding[token as usize * self.width..][..self.width]);
            for ((input, recurrent), state) in self.layers.iter().zip(&mut states) {
                let (i, h) = (input.product(&x, stored), recurrent.product(state, stored));
                let units = state.len();
                for (u, state) in state.iter_mut().enumerate() {
                    let r = sigmoid(i[u] + h[u]);
                    let z = sigmoid(i[units + u] + h[units + u]);
                    let n = (i[2 * units + u] + r * h[2 * units + u]).tanh();
                    *state = (1.0 - z) * n + z * *state;
                }
                x.clone_from(state);
            }
            if let Some(projection) = &self.projection {
                x = projection.product(&x, stored);
            }
            all.extend(self.softmax.product(&x, stored));
        }
        all
    }
}

fn widen(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&x| f64::from(x)).collect()
}

/// What a row becomes in eight bits.
fn eight_bits(row: &[f32]) -> Vec<f64> {
    let scale = row.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
    row.iter().map(|x| f64::from((x * (1.0 / scale)).round_ties_even()) * f64::from(scale)).collect()
}

fn predict(sequence: &mut Sequence, tokens: &[u32]) -> Vec<f32> {
    tokens.iter().flat_map(|&token| sequence.predict(token).unwrap().to_vec()).collect()
}

/// Norm of the difference over the norm; where numbers of the order of 1 nearly cancel, over a tenth of that order.
fn error(found: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len());
    let norm = |squares: &mut dyn Iterator<Item = f64>| squares.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(exact).map(|(&a, b)| f64::from(a) - b));
    difference / norm(&mut exact.iter().copied()).max(0.1 * (exact.len() as f64).sqrt())
}

fn check(case: &Case) {
    let weights = case.weights();
    let tokens = TOKENS.map(|token| (token % case.vocabulary) as u32);
    let (exact, in_bytes) = (weights.exact(&tokens, widen), weights.exact(&tokens, eight_bits));
    for packing in Packing::ALL {
        let mut first: Option<Vec<f32>> = None;
        for (isa, functions) in all(packing) {
            let found = predict(&mut weights.sequence(functions), &tokens);
            let off = error(&found, &exact);
            // Numbers of 24, 8 and 7 bits.
            let bound = match packing {
                Packing::Fp32 => 1e-5,
                Packing::Bf16 | Packing::Int8 => 0.03,
            };
            assert!(off <= bound, "{case:?}: {isa}, {}: {off}", packing.name());
            if packing == Packing::Int8 {
                // The rounding of the weights is nearly all of the error, and sums of integers are the same in any order.
                let off = error(&found, &in_bytes);
                assert!(off <= 1e-3, "{case:?}: {isa}, against the same weights: {off}");
                assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{case:?}: {isa}");
            }
        }
    }
}

fn case(vocabulary: usize, width: usize, hidden: &[usize], projection: Option<usize>) -> Case {
    Case { vocabulary, width, hidden: hidden.to_vec(), projection }
}

#[test]
fn small_and_odd_sizes_agree_with_double_precision() {
    check(&case(1, 1, &[1], None));
    check(&case(4, 3, &[7], Some(1)));
    check(&case(97, 33, &[50, 50, 16], None));
    check(&case(49, 64, &[48], Some(17)));
    check(&case(5, 6, &[], None));
    // A projection reads the embedding, which is wider than all else.
    check(&case(2, 4096, &[], Some(1)));
}

/// Large enough to be shared between threads.
#[test]
fn large_sizes_agree_with_double_precision() {
    check(&case(301, 400, &[1150, 1150], Some(400)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_sizes_agree_with_double_precision(
        vocabulary in 1_usize..120,
        width in 1_usize..40,
        hidden in proptest::collection::vec(1_usize..60, 1..4),
        projection in proptest::option::of(1_usize..60),
    ) {
        check(&Case { vocabulary, width, hidden, projection });
    }
}

#[test]
fn a_sequence_remembers_until_it_is_reset() {
    let weights = case(40, 20, &[30, 30], None).weights();
    for packing in Packing::ALL {
        let mut sequence = weights.sequence(functions(packing));
        let all = predict(&mut sequence, &[1, 2, 1]);
        assert_ne!(all[..40], all[80..], "the same token, another state");
        sequence.reset();
        assert_eq!(predict(&mut sequence, &[1, 2, 1]), all);
        sequence.reset();
        sequence.read(1).unwrap();
        sequence.read(2).unwrap();
        assert_eq!(predict(&mut sequence, &[1]), all[80..], "reading is predicting without an answer");
        // A token that is refused is not read.
        sequence.reset();
        assert_eq!(sequence.read(40).unwrap_err().0, "sequence: token 40; expected 0 to 39");
        assert!(sequence.predict(u32::MAX).is_err());
        assert_eq!(predict(&mut sequence, &[1, 2, 1]), all);
    }
}

#[test]
fn weights_that_are_not_finite_show() {
    for (place, value) in [(0, f32::NAN), (5, f32::INFINITY)] {
        let mut weights = case(9, 4, &[6], None).weights();
        weights.softmax.weight[place] = value;
        for packing in Packing::ALL {
            for (isa, functions) in all(packing) {
                let found = predict(&mut weights.sequence(functions), &[2]);
                assert!(!found[0].is_finite(), "{isa}, {}: {found:?}", packing.name());
                assert!(found[1..].iter().all(|logit| logit.is_finite()), "{isa}, {}: {found:?}", packing.name());
            }
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_errors() {
    let numbers = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let fitting: [&[i64]; 9] = [&[9, 4], &[15, 4], &[15], &[15, 5], &[15], &[3, 5], &[3], &[9, 3], &[9]];
    let run = |t: &[Tensor]| {
        let layer = GruWeights { weight_ih: &t[1], bias_ih: &t[2], weight_hh: &t[3], bias_hh: &t[4] };
        let (projection, softmax) = (Some((&t[5], &t[6])), (&t[7], &t[8]));
        let weights = SequenceWeights { embedding: &t[0], layers: vec![layer], projection, softmax };
        Sequence::new(&weights, Packing::Int8).map(drop)
    };
    let all = || fitting.map(numbers);
    run(&all()).unwrap();
    for place in 0..fitting.len() {
        let shape = fitting[place];
        let mut wrong = vec![Tensor::new(), numbers(&[]), numbers(&[0]), numbers(&[1, 1, 1])];
        for dim in 0..shape.len() {
            for size in [0, shape[dim] - 1, shape[dim] + 1] {
                let mut shape = shape.to_vec();
                shape[dim] = size;
                wrong.push(numbers(&shape));
            }
        }
        wrong.extend([Kind::Double, Kind::BFloat16, Kind::Int64].map(|kind| numbers(shape).to_kind(kind)));
        for wrong in wrong {
            let mut operands = all();
            operands[place] = wrong;
            let message = run(&operands).unwrap_err().0;
            assert!(message.starts_with("sequence: "), "{place}: {message}");
        }
    }
}
