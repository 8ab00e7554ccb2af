//! A CUDA device against double precision on the CPU.

use grulm_kernels::{
    Compute, GruWeights, Kernels, Precision, autocast, dropout_mask, flatten, gru, nll, nll_sum, upload,
};
use tch::{
    Cuda,
    Device::{self, Cpu},
    Kind::{BFloat16, Double, Float},
    Tensor, no_grad,
};

use crate::{
    gpu::cuda,
    gru::{Case, LARGER, Loss, NAMES, errors},
    softmax,
};

/// The CPU, and a CUDA device where there is one.
pub(crate) fn devices() -> Vec<Device> {
    [Some(Cpu), cuda().map(|(device, _)| device)].into_iter().flatten().collect()
}

/// Both precisions with their tolerances; in bf16 the layer's products are of TF32.
fn precisions() -> [(Compute, f64); 2] {
    [(Precision::Fp32, 1e-4), (Precision::Bf16, 0.05)]
        .map(|(precision, tolerance)| (Compute { precision, kernels: Kernels::best() }, tolerance))
}

/// Results and gradients of the layer on `device`; `flat`: with weights in one buffer.
fn layer(case: &Case, device: Device, compute: Compute, flat: bool) -> Vec<Option<Tensor>> {
    case.run((Float, device), |[x, h, weight_ih, weight_hh, bias_ih, bias_hh]| {
        let weights = GruWeights { weight_ih, weight_hh, bias_ih, bias_hh };
        if flat {
            flatten(&weights).unwrap();
        }
        gru(x, h, &weights, compute).unwrap()
    })
}

#[test]
fn the_layer_agrees_with_double_precision() {
    let Some((device, _alone)) = cuda() else { return };
    let sizes = [(1, 1, 1, 1), (1, 5, 7, 33), (7, 1, 2, 3), (12, 9, 33, 20), (5, 4, 16, 150), (70, 64, 128, 256)];
    for sizes in LARGER.into_iter().chain(sizes) {
        let base = Case::of(sizes);
        let cases = [
            base,
            Case { loss: Loss::Outputs, grads: (false, true), ..base },
            Case { loss: Loss::Last, grads: (true, false), ..base },
            Case { strided: true, ..base },
        ];
        for case in cases {
            let exact = case.exact();
            for (compute, tolerance) in precisions() {
                // Transposed weights are none that could lie in one buffer as they are.
                for flat in [false, true].into_iter().filter(|flat| !(*flat && case.strided)) {
                    let found = errors(&layer(&case, device, compute, flat), &exact);
                    for (name, error) in NAMES.into_iter().zip(found) {
                        assert!(error <= tolerance, "{compute:?} {case:?}, flat: {flat}: {name}: {error}");
                    }
                }
            }
        }
    }
}

/// Whatever autocast says, and with a bf16 input, results are f32; and what has no gradient to give is the same.
#[test]
fn the_layer_keeps_f32_under_autocast_and_without_a_gradient() {
    let Some((device, _alone)) = cuda() else { return };
    let case = Case::of((9, 4, 12, 40));
    for (compute, tolerance) in precisions() {
        let expect = layer(&case, device, compute, false);
        let inside = autocast(Precision::Bf16, device, || layer(&case, device, compute, true)).unwrap();
        for (name, error) in NAMES.into_iter().zip(errors(&inside, &expect)) {
            assert!(error <= tolerance, "{compute:?}: {name}: {error}");
        }
        let _ = case.run((Float, device), |[x, h, weight_ih, weight_hh, bias_ih, bias_hh]| {
            let weights = GruWeights { weight_ih, weight_hh, bias_ih, bias_hh };
            let (y, last) = gru(x, h, &weights, compute).unwrap();
            let (plain, _) = no_grad(|| gru(x, h, &weights, compute)).unwrap();
            assert!(plain.allclose(&y, 1e-3, 1e-4, false), "{compute:?}");
            let (rounded, state) = gru(&x.to_kind(BFloat16), h, &weights, compute).unwrap();
            assert_eq!([&y, &last, &rounded, &state].map(Tensor::kind), [Float; 4]);
            (y, last)
        });
    }
}

/// Weights stay in their buffer while they are written to, and what is computed follows them.
#[test]
fn weights_in_one_buffer_can_be_overwritten() {
    let Some((device, _alone)) = cuda() else { return };
    let case = Case::of((5, 3, 6, 10));
    let _ = case.run((Float, device), |[x, h, weights @ ..]| {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = weights;
        let own = GruWeights { weight_ih, weight_hh, bias_ih, bias_hh };
        flatten(&own).unwrap();
        let places = weights.each_ref().map(|tensor| tensor.data_ptr());
        no_grad(|| weights.iter().for_each(|weight| weight.shallow_clone().copy_(&(weight * 0.5).to_device(Cpu))));
        assert_eq!(weights.each_ref().map(|tensor| tensor.data_ptr()), places);
        assert!(weights.iter().all(|weight| weight.is_leaf() && weight.requires_grad() && weight.is_contiguous()));
        let copies = weights.each_ref().map(|weight| weight.detach().copy());
        let [weight_ih, weight_hh, bias_ih, bias_hh] = &copies;
        let apart = GruWeights { weight_ih, weight_hh, bias_ih, bias_hh };
        let (y, last) = gru(x, h, &own, Compute::fp32()).unwrap();
        assert!(gru(x, h, &apart, Compute::fp32()).unwrap().0.allclose(&y, 1e-5, 1e-6, false));
        (y, last)
    });
}

#[test]
fn cross_entropy_agrees_with_double_precision() {
    let Some((device, _alone)) = cuda() else { return };
    for sizes in [(1, 1, 1), (40, 60, 300), (641, 33, 9), (1300, 128, 5000)] {
        let exact = softmax::exact(sizes);
        for (compute, tolerance) in precisions() {
            let found = softmax::gradients(sizes, (Float, device), |[x, weight, bias], targets| {
                autocast(compute.precision, device, || {
                    let sum = nll_sum(x, weight, bias, targets, compute).unwrap();
                    let each = nll(x, weight, bias, targets, compute).unwrap();
                    assert_eq!((each.kind(), each.size()), (Float, vec![sizes.0]));
                    assert!(each.sum(Float).allclose(&sum, 1e-4, 1e-4, false));
                    sum
                })
                .unwrap()
            });
            for (name, (found, exact)) in ["sum", "x", "weight", "bias"].into_iter().zip(found.iter().zip(&exact)) {
                let error = softmax::error(found, exact, (sizes.0 as f64).sqrt());
                assert!(error <= tolerance, "{compute:?} {sizes:?} {name}: {error}");
            }
        }
    }
}

#[test]
fn dropout_masks_are_those_of_the_cpu() {
    let Some((device, _alone)) = cuda() else { return };
    for shape in [&[0][..], &[1], &[3, 1, 2], &[1, 64, 301], &[600, 200]] {
        for (key, p) in [(0, 0.25), (u64::MAX, 0.5), (0x1234_5678_9abc_def0, 0.999)] {
            let [own, expect] = [device, Cpu].map(|device| dropout_mask(key, shape, p, device).unwrap());
            assert!(own.device() == device && own.to_device(Cpu).equal(&expect), "{shape:?} {p}");
        }
    }
}

#[test]
fn numbers_arrive_whole_however_many_are_on_their_way() {
    for device in devices() {
        let sent: Vec<_> = (0..200i64).map(|first| (first..first + 1000).collect::<Vec<_>>()).collect();
        let arrived: Vec<_> = sent.iter().map(|numbers| upload(numbers, device).unwrap()).collect();
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert!(arrived.device() == device && Vec::<i64>::try_from(arrived).unwrap() == *sent);
        }
        assert_eq!(upload::<f32>(&[], device).unwrap().size(), [0]);
        let flags = upload(&[true, false], device).unwrap();
        assert_eq!(Vec::<bool>::try_from(flags).unwrap(), [true, false]);
    }
}

#[test]
fn a_lack_of_memory_is_an_error() {
    let Some((device, _alone)) = cuda() else { return };
    let message = Tensor::f_zeros([1i64 << 45], (Double, device)).unwrap_err().to_string();
    assert!(message.contains("out of memory"), "{message}");
    assert!(Cuda::device_count() > 0 && Tensor::f_zeros([1], (Double, device)).is_ok());
}
