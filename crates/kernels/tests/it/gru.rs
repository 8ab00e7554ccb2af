use grulm_kernels::{Compute, GruWeights, Kernels, Precision, autocast, gru};
use proptest::prelude::*;
use tch::{
    Device::{self, Cpu},
    Kind::{self, BFloat16, Double, Float, Int64},
    Tensor,
};

pub(crate) const NAMES: [&str; 8] = ["y", "last", "dx", "dh0", "dw_ih", "dw_hh", "db_ih", "db_hh"];

/// One layer's sizes and how its operands and its loss look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) time: i64,
    pub(crate) batch: i64,
    pub(crate) input: i64,
    pub(crate) hidden: i64,
    pub(crate) loss: Loss,
    /// Operands that are transposed views.
    pub(crate) strided: bool,
    /// Whether x, and whether h0, require a gradient.
    pub(crate) grads: (bool, bool),
    /// How large x, h0 and the biases are: what the gates' arguments, but for their weights, grow with.
    pub(crate) scale: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Loss {
    Outputs,
    Last,
    Both,
}

/// Numbers that repeat: a generator of PyTorch's would be shared by the tests, which run side by side.
fn numbers(shape: &[i64], salt: f64, scale: f64) -> Tensor {
    let index = Tensor::arange(shape.iter().product::<i64>(), (Double, Cpu));
    ((index * 12.9898 + salt).sin() * 43_758.545_3).frac().view(shape) * scale
}

fn strided(tensor: &Tensor) -> Tensor {
    let last = tensor.dim() as i64 - 1;
    tensor.transpose(0, last).contiguous().transpose(0, last)
}

impl Case {
    /// A case without particulars: T, B, I, H.
    pub(crate) fn of((time, batch, input, hidden): (i64, i64, i64, i64)) -> Self {
        Self { time, batch, input, hidden, loss: Loss::Both, strided: false, grads: (true, true), scale: 1.0 }
    }

    /// x, h0 and the four weights, in double precision, but numbers that f32 holds.
    fn operands(&self) -> [Tensor; 6] {
        let Case { time, batch, input, hidden, .. } = *self;
        let bound = 1.0 / (hidden.max(input) as f64).sqrt();
        let shapes: [&[i64]; 6] = [
            &[time, batch, input],
            &[batch, hidden],
            &[3 * hidden, input],
            &[3 * hidden, hidden],
            &[3 * hidden],
            &[3 * hidden],
        ];
        let mut sizes = [self.scale, self.scale, bound, bound, bound * self.scale, bound * self.scale].into_iter();
        let mut salt = 0.0;
        shapes.map(|shape| {
            salt += 1.0;
            let values = numbers(shape, salt, sizes.next().unwrap()).to_kind(Float).to_kind(Double);
            if self.strided && shape.len() > 1 { strided(&values) } else { values }
        })
    }

    /// Outputs, last state, and the gradients of x, h0 and the weights under `layer` with operands of `kind` on `device`; on the CPU.
    pub(crate) fn run(
        &self,
        (kind, device): (Kind, Device),
        layer: impl Fn(&[Tensor; 6]) -> (Tensor, Tensor),
    ) -> Vec<Option<Tensor>> {
        let mut index = 0;
        let operands = self.operands().map(|tensor| {
            index += 1;
            let wanted = match index {
                1 => self.grads.0,
                2 => self.grads.1,
                _ => true,
            };
            tensor.to_kind(kind).to_device(device).set_requires_grad(wanted)
        });
        let (y, last) = layer(&operands);
        let weigh = |tensor: &Tensor, salt| {
            (tensor * numbers(&tensor.size(), salt, 1.0).to_kind(tensor.kind()).to_device(device)).sum(None::<Kind>)
        };
        match self.loss {
            Loss::Outputs => weigh(&y, 20.0),
            Loss::Last => weigh(&last, 21.0),
            Loss::Both => weigh(&y, 20.0) + weigh(&last, 21.0),
        }
        .backward();
        let grads = operands.iter().map(|tensor| {
            let grad = tensor.grad();
            grad.defined().then(|| grad.to_device(Cpu).to_kind(Double))
        });
        let results = [y, last].map(|tensor| Some(tensor.detach().to_device(Cpu).to_kind(Double)));
        results.into_iter().chain(grads).collect()
    }

    fn fused(&self, compute: Compute) -> Vec<Option<Tensor>> {
        self.run((Float, Cpu), |[x, h, weight_ih, weight_hh, bias_ih, bias_hh]| {
            gru(x, h, &GruWeights { weight_ih, weight_hh, bias_ih, bias_hh }, compute).unwrap()
        })
    }

    fn libtorch(&self, kind: Kind) -> Vec<Option<Tensor>> {
        self.run((kind, Cpu), |[x, h, weights @ ..]| {
            let (y, last) = x.gru(&h.unsqueeze(0), weights, true, 1, 0.0, false, false, false);
            (y, last.squeeze_dim(0))
        })
    }

    pub(crate) fn exact(&self) -> Vec<Option<Tensor>> {
        self.run((Double, Cpu), plain)
    }
}

/// The definition, step by step.
fn plain([x, h0, w_ih, w_hh, b_ih, b_hh]: &[Tensor; 6]) -> (Tensor, Tensor) {
    let mut h = h0.shallow_clone();
    let mut outputs = Vec::new();
    for t in 0..x.size()[0] {
        let (from_x, from_h) = (x.get(t).linear(w_ih, Some(b_ih)).chunk(3, 1), h.linear(w_hh, Some(b_hh)).chunk(3, 1));
        let r = (&from_x[0] + &from_h[0]).sigmoid();
        let z = (&from_x[1] + &from_h[1]).sigmoid();
        let n = (&from_x[2] + r * &from_h[2]).tanh();
        h = (1.0 - &z) * n + z * h;
        outputs.push(h.shallow_clone());
    }
    (Tensor::stack(&outputs, 0), h)
}

/// The implementations that have a backward pass of their own, in this arithmetic.
fn own(precision: Precision) -> impl Iterator<Item = Compute> {
    let all = if Kernels::best() == Kernels::Portable {
        vec![Kernels::Portable]
    } else {
        vec![Kernels::best(), Kernels::Portable]
    };
    all.into_iter().map(move |kernels| Compute { precision, kernels })
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.square().sum(Double).double_value(&[]).sqrt()
}

/// Norm of the difference over the norm, of each of `NAMES`. What has no gradient must have none in both. Where numbers of
/// the order of 1 nearly cancel, so that next to nothing is left, the difference is measured against a tenth of that order.
pub(crate) fn errors(found: &[Option<Tensor>], exact: &[Option<Tensor>]) -> Vec<f64> {
    let error = |(name, (found, exact)): (&str, (&Option<Tensor>, &Option<Tensor>))| match (found, exact) {
        (Some(found), Some(exact)) => {
            assert_eq!(found.size(), exact.size(), "{name}");
            norm(&(found - exact)) / norm(exact).max(0.1 * (exact.numel() as f64).sqrt())
        }
        (None, None) => 0.0,
        _ => panic!("{name}: gradient {:?}, expected {:?}", found.is_some(), exact.is_some()),
    };
    NAMES.into_iter().zip(found.iter().zip(exact)).map(error).collect()
}

fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![Just(1_i64), Just(2), Just(7), Just(33), 1_i64..20];
    let loss = prop_oneof![Just(Loss::Outputs), Just(Loss::Last), Just(Loss::Both)];
    let (t, b, i) = (prop_oneof![Just(1_i64), 1_i64..12], prop_oneof![Just(1_i64), 1_i64..9], size.clone());
    (t, b, i, size, loss, any::<bool>(), any::<(bool, bool)>()).prop_map(
        |(time, batch, input, hidden, loss, strided, grads)| Case {
            loss,
            strided,
            grads,
            ..Case::of((time, batch, input, hidden))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn fp32_agrees_with_double_precision(case in cases()) {
        let exact = case.exact();
        for compute in own(Precision::Fp32) {
            for (name, error) in NAMES.into_iter().zip(errors(&case.fused(compute), &exact)) {
                prop_assert!(error <= 1e-5, "{compute:?}: {name}: {error}");
            }
        }
    }

    #[test]
    fn fp32_agrees_with_libtorch(case in cases()) {
        let case = Case { strided: false, ..case };
        let libtorch = case.libtorch(Float);
        for compute in own(Precision::Fp32) {
            for (name, error) in NAMES.into_iter().zip(errors(&case.fused(compute), &libtorch)) {
                prop_assert!(error <= 2e-5, "{compute:?}: {name}: {error}");
            }
        }
    }

    /// One rounding to 8 bits is off by 2^-9 at most; products and sums of such numbers by a few times that.
    #[test]
    fn bf16_stays_near_double_precision(case in cases()) {
        let exact = case.exact();
        for compute in own(Precision::Bf16) {
            for (name, error) in NAMES.into_iter().zip(errors(&case.fused(compute), &exact)) {
                prop_assert!(error <= 0.05, "{compute:?}: {name}: {error}");
            }
        }
    }
}

#[test]
fn the_plain_definition_is_pytorchs() {
    let case = Case::of((9, 3, 5, 6));
    for (name, error) in NAMES.into_iter().zip(errors(&case.libtorch(Double), &case.exact())) {
        assert!(error < 1e-13, "{name}: {error}");
    }
}

/// Sizes that training has, and some that no tile divides.
pub(crate) const LARGER: [(i64, i64, i64, i64); 4] =
    [(35, 8, 50, 48), (20, 20, 101, 150), (64, 3, 33, 97), (9, 33, 200, 210)];

/// Norm of the difference over the norm.
fn relative_errors(found: &[Option<Tensor>], exact: &[Option<Tensor>]) -> Vec<f64> {
    let pairs = found.iter().flatten().zip(exact.iter().flatten());
    pairs.map(|(found, exact)| norm(&(found - exact)) / norm(exact)).collect()
}

#[test]
fn fp32_is_exact_to_a_hundred_thousandth_of_the_norm() {
    for (sizes, scale) in LARGER.into_iter().flat_map(|sizes| [1.0, 1e-2, 1e-3, 1e-4].map(|scale| (sizes, scale))) {
        let case = Case { scale, ..Case::of(sizes) };
        let exact = case.exact();
        for compute in own(Precision::Fp32) {
            for (name, error) in NAMES.into_iter().zip(relative_errors(&case.fused(compute), &exact)) {
                assert!(error <= 1e-5, "{compute:?} {case:?}: {name}: {error}");
            }
        }
    }
}

#[test]
fn bf16_is_no_further_from_double_precision_than_autocast() {
    for sizes in LARGER {
        let case = Case { loss: Loss::Outputs, ..Case::of(sizes) };
        let exact = case.exact();
        let autocast = relative_errors(&autocast(Precision::Bf16, Cpu, || case.libtorch(Float)).unwrap(), &exact);
        for compute in own(Precision::Bf16) {
            let ours = relative_errors(&case.fused(compute), &exact);
            for (name, (ours, theirs)) in NAMES.into_iter().zip(ours.into_iter().zip(autocast.clone())) {
                assert!(theirs > 1e-4, "autocast was on: {name}: {theirs}");
                assert!(ours <= theirs && ours > 1e-5, "{compute:?} {case:?}: {name}: {ours}, autocast {theirs}");
            }
        }
    }
}

#[test]
fn gradients_do_not_depend_on_autocast_nor_on_the_thread() {
    let case = Case::of((6, 2, 5, 7));
    let same = |found: Vec<Option<Tensor>>| {
        assert_eq!(errors(&found, &case.fused(Compute::fp32())), [0.0; 8]);
    };
    same(autocast(Precision::Bf16, Cpu, || case.fused(Compute::fp32())).unwrap());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| case.fused(Compute::fp32()))).collect();
        threads.into_iter().for_each(|thread| same(thread.join().unwrap()));
    });
}

#[test]
fn misuse_is_an_error() {
    let base = || {
        [vec![4, 2, 3], vec![2, 5], vec![15, 3], vec![15, 5], vec![15], vec![15]]
            .map(|s| numbers(&s, 0.0, 1.0).to_kind(Float))
    };
    let run = |operands: &[Tensor; 6]| {
        let [x, h, weight_ih, weight_hh, bias_ih, bias_hh] = operands;
        let all = own(Precision::Fp32).chain(own(Precision::Bf16));
        all.map(|compute| gru(x, h, &GruWeights { weight_ih, weight_hh, bias_ih, bias_hh }, compute).map(drop))
            .collect::<Vec<_>>()
    };
    assert!(run(&base()).iter().all(Result::is_ok));
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Float, Cpu));
    let replacements = |own: &Tensor| {
        let mut shapes = vec![vec![], vec![0], vec![1], vec![2, 2], vec![0, 0], vec![1, 1, 1, 1]];
        for dim in 0..own.dim() {
            for size in [0, own.size()[dim] + 1, own.size()[dim] - 1] {
                let mut shape = own.size();
                shape[dim] = size;
                shapes.push(shape);
            }
        }
        let mut all: Vec<Tensor> = shapes.iter().map(|shape| zeros(shape)).collect();
        all.extend([own.to_kind(Int64), own.to_kind(Double), own.to_kind(Kind::Bool), Tensor::new()]);
        all
    };
    for place in 0..6 {
        for replacement in replacements(&base()[place]) {
            let mut operands = base();
            // Any number of time steps is a good one.
            let fits = place == 0
                && replacement.defined()
                && replacement.size() != [0, 2, 3]
                && replacement.size()[..].get(1..) == Some(&[2, 3]);
            if fits && replacement.kind() == Float {
                continue;
            }
            operands[place] = replacement;
            for result in run(&operands) {
                let message = result.unwrap_err().to_string();
                assert!(message.starts_with("gru: "), "{message}");
            }
        }
    }
    let empty = [vec![4, 2, 0], vec![2, 0], vec![0, 0], vec![0, 0], vec![0], vec![0]].map(|shape| zeros(&shape));
    assert!(run(&empty).iter().all(Result::is_err));
    let mut half = base();
    half[0] = half[0].to_kind(BFloat16);
    assert!(run(&half).iter().all(Result::is_ok), "the input of a layer under autocast");
}

#[test]
fn what_changed_since_the_forward_pass_is_an_error_of_the_backward_pass() {
    let case = Case::of((3, 2, 4, 5));
    let [x, h, w @ ..] = case.operands().map(|tensor| tensor.to_kind(Float).set_requires_grad(true));
    let weights = GruWeights { weight_ih: &w[0], weight_hh: &w[1], bias_ih: &w[2], bias_hh: &w[3] };
    let (y, _) = gru(&x, &h, &weights, Compute::fp32()).unwrap();
    let sum = y.sum(Float);
    let _ = tch::no_grad(|| w[1].shallow_clone().zero_());
    assert!(sum.f_backward().unwrap_err().to_string().contains("inplace"));
    // And nothing is left broken behind.
    let (y, _) = gru(&x, &h, &weights, Compute::fp32()).unwrap();
    y.sum(Float).f_backward().unwrap();
    assert!(w[1].grad().defined());
}

#[test]
fn a_second_derivative_is_an_error_not_a_wrong_number() {
    let case = Case::of((3, 2, 4, 5));
    let [x, h, w @ ..] = case.operands().map(|tensor| tensor.to_kind(Float).set_requires_grad(true));
    let weights = GruWeights { weight_ih: &w[0], weight_hh: &w[1], bias_ih: &w[2], bias_hh: &w[3] };
    let (y, _) = gru(&x, &h, &weights, Compute::fp32()).unwrap();
    let first = Tensor::f_run_backward(&[y.square().sum(Float)], &[&x], true, true);
    assert!(first.and_then(|grads| grads[0].square().sum(Float).f_backward()).is_err());
}

/// The backward pass writes the gradients of the gates where their values stood.
#[test]
fn a_second_backward_pass_is_an_error() {
    if Kernels::best() == Kernels::Portable {
        return;
    }
    let [x, h, w @ ..] = Case::of((3, 2, 4, 5)).operands().map(|tensor| tensor.to_kind(Float).set_requires_grad(true));
    let weights = GruWeights { weight_ih: &w[0], weight_hh: &w[1], bias_ih: &w[2], bias_hh: &w[3] };
    let (y, _) = gru(&x, &h, &weights, Compute::fp32()).unwrap();
    let sum = y.sum(Float);
    let run = || Tensor::f_run_backward(&[&sum], &[&x], true, false);
    assert!(run().is_ok());
    assert!(run().unwrap_err().to_string().contains("taken already"));
}
