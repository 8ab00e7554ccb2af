use grulm_kernels::{Compute, Kernels, Precision, logits, nll, nll_sum};
use proptest::prelude::*;
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Float},
    Reduction, Tensor,
};

/// Two states, three words; by hand: logits [1, 2, 0] and [0, 0, 0].
fn sample() -> [Tensor; 3] {
    let x = Tensor::from_slice(&[1f32, 0.0, 0.0, 0.0]).view([2, 2]);
    let weight = Tensor::from_slice(&[1f32, 5.0, 2.0, 7.0, 0.0, 9.0]).view([3, 2]);
    [x, weight, Tensor::zeros([3], (Float, Cpu))]
}

fn all(precision: Precision) -> impl Iterator<Item = Compute> {
    [Kernels::best(), Kernels::Portable].into_iter().map(move |kernels| Compute { precision, kernels })
}

#[test]
fn nats_are_those_of_the_softmax() {
    let [x, weight, bias] = sample();
    let expect = [(1f64.exp() + 2f64.exp() + 1.0).ln() - 2.0, 3f64.ln()];
    for compute in all(Precision::Fp32) {
        let nll = nll(&x, &weight, &bias, &Tensor::from_slice(&[1i64, 2]), compute).unwrap();
        for (i, expect) in expect.into_iter().enumerate() {
            assert!((nll.double_value(&[i as i64]) - expect).abs() < 1e-6, "{compute:?}");
        }
        assert_eq!(nll.kind(), Float);
    }
}

/// Sum, and the gradients of x, weight and bias of three times the sum, by `loss` of operands of `kind` on `device`; on the CPU.
pub(crate) fn gradients(
    (rows, width, words): (i64, i64, i64),
    (kind, device): (tch::Kind, Device),
    loss: impl Fn(&[Tensor; 3], &Tensor) -> Tensor,
) -> Vec<Tensor> {
    let numbers = |shape: &[i64], salt: f64| {
        let index = Tensor::arange(shape.iter().product::<i64>(), (Double, Cpu));
        let values = ((index * 12.9898 + salt).sin() * 43_758.545_3).frac().view(shape);
        values.to_kind(Float).to_kind(kind).to_device(device).set_requires_grad(true)
    };
    let operands = [numbers(&[rows, width], 1.0), numbers(&[words, width], 2.0), numbers(&[words], 3.0)];
    let targets = Tensor::arange(rows, (tch::Kind::Int64, device)).remainder(words);
    let sum = loss(&operands, &targets);
    (&sum * 3.0).backward();
    let grads = operands.iter().map(Tensor::grad);
    [sum.detach()].into_iter().chain(grads).map(|tensor| tensor.to_device(Cpu).to_kind(Double)).collect()
}

/// [`gradients`] in double precision.
pub(crate) fn exact(sizes: (i64, i64, i64)) -> Vec<Tensor> {
    gradients(sizes, (Double, Cpu), |[x, weight, bias], targets| {
        x.linear(weight, Some(bias)).cross_entropy_loss::<Tensor>(targets, None, Reduction::Sum, -100, 0.0)
    })
}

/// Norm of the difference over the norm; where numbers of that `order` nearly cancel, over a tenth of it.
pub(crate) fn error(found: &Tensor, exact: &Tensor, order: f64) -> f64 {
    let norm = |tensor: &Tensor| tensor.square().sum(Double).double_value(&[]).sqrt();
    norm(&(found - exact)) / norm(exact).max(0.1 * order * (exact.numel() as f64).sqrt())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Chunks of rows, panels that are not full, one row, one word: each gradient as double precision has it.
    #[test]
    fn gradients_agree_with_double_precision(
        rows in prop_oneof![Just(1_i64), 1_i64..40, Just(641), Just(1300)],
        width in 1_i64..60,
        words in prop_oneof![Just(1_i64), 2_i64..9, 10_i64..300],
    ) {
        let sizes = (rows, width, words);
        // Probabilities are rounded by a part of themselves, whether their sums over rows cancel or not.
        let order = (rows as f64).sqrt();
        let exact = exact(sizes);
        for (precision, tolerance) in [(Precision::Fp32, 1e-5), (Precision::Bf16, 2e-2)] {
            let compute = Compute { precision, kernels: Kernels::best() };
            let found = gradients(sizes, (Float, Cpu), |[x, weight, bias], targets| nll_sum(x, weight, bias, targets, compute).unwrap());
            for (name, (found, exact)) in ["sum", "x", "weight", "bias"].into_iter().zip(found.iter().zip(&exact)) {
                let error = error(found, exact, order);
                prop_assert!(error <= tolerance, "{compute:?} {sizes:?} {name}: {error}");
            }
        }
    }
}

#[test]
fn the_sum_is_that_of_the_likelihoods_with_and_without_a_gradient() {
    let [x, weight, bias] = sample();
    let targets = Tensor::from_slice(&[1i64, 2]);
    for compute in all(Precision::Fp32).chain(all(Precision::Bf16)) {
        let each = nll(&x, &weight, &bias, &targets, compute).unwrap().sum(Float);
        let plain = nll_sum(&x, &weight, &bias, &targets, compute).unwrap();
        let graded = nll_sum(&x, &weight.copy().set_requires_grad(true), &bias, &targets, compute).unwrap();
        for sum in [plain, graded] {
            assert!((sum.double_value(&[]) - each.double_value(&[])).abs() < 1e-6, "{compute:?}");
        }
    }
}

/// Gradients of what is frozen are not made, and the others are the same without them.
#[test]
fn each_gradient_is_made_where_it_is_wanted() {
    let targets = Tensor::from_slice(&[1i64, 2]);
    for compute in all(Precision::Fp32) {
        let gradients = |wanted: [bool; 3]| {
            let mut wanted = wanted.into_iter();
            let operands = sample().map(|tensor| tensor.set_requires_grad(wanted.next().unwrap()));
            let [x, weight, bias] = &operands;
            nll_sum(x, weight, bias, &targets, compute).unwrap().backward();
            operands.map(|tensor| tensor.grad())
        };
        let every = gradients([true; 3]);
        for which in 1..8 {
            let wanted = [0, 1, 2].map(|index| which >> index & 1 == 1);
            for ((found, every), wanted) in gradients(wanted).iter().zip(&every).zip(wanted) {
                assert_eq!(found.defined(), wanted, "{compute:?} {which}");
                assert!(!wanted || found.equal(every), "{compute:?} {which}");
            }
        }
    }
}

#[test]
fn gradients_are_handed_over_once() {
    let [x, weight, bias] = sample();
    let x = x.set_requires_grad(true);
    if Kernels::best() == Kernels::Portable {
        return;
    }
    let sum = nll_sum(&x, &weight, &bias, &Tensor::from_slice(&[1i64, 2]), Compute::fp32()).unwrap();
    let run = || Tensor::f_run_backward(&[&sum], &[&x], true, false);
    assert!(run().is_ok());
    assert!(run().unwrap_err().to_string().contains("taken already"));
}

#[test]
fn misuse_is_an_error() {
    let [x, weight, bias] = sample();
    for compute in all(Precision::Fp32) {
        for loss in [nll, nll_sum] {
            for targets in [&[0i64, 3][..], &[-1, 0], &[-100, 0], &[0], &[], &[0, 0, 0]] {
                assert!(loss(&x, &weight, &bias, &Tensor::from_slice(targets), compute).is_err(), "{targets:?}");
            }
            assert!(loss(&x, &weight, &bias, &Tensor::from_slice(&[0f32, 1.0]), compute).is_err());
            let targets = Tensor::from_slice(&[0i64, 1]);
            assert!(loss(&x.narrow(1, 0, 1), &weight, &bias, &targets, compute).is_err());
            assert!(loss(&x, &weight, &bias.narrow(0, 0, 2), &targets, compute).is_err());
            assert!(loss(&x.to_kind(Double), &weight, &bias, &targets, compute).is_err());
            assert!(loss(&Tensor::new(), &weight, &bias, &targets, compute).is_err());
        }
    }
    assert!(logits(&x.narrow(1, 0, 1), &weight, &bias).is_err());
    assert!(logits(&x, &weight, &bias.narrow(0, 0, 2)).is_err());
    assert!(logits(&x.to_kind(Double), &weight, &bias).is_err());
}
