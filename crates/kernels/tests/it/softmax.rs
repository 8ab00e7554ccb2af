use grulm_kernels::{cross_entropy, logits};
use tch::{
    Device::Cpu,
    Kind::{Double, Float},
    Tensor,
};

/// Two states, three words; by hand: logits [1, 2, 0] and [0, 0, 0].
fn sample() -> [Tensor; 3] {
    let x = Tensor::from_slice(&[1f32, 0.0, 0.0, 0.0]).view([2, 2]);
    let weight = Tensor::from_slice(&[1f32, 5.0, 2.0, 7.0, 0.0, 9.0]).view([3, 2]);
    [x, weight, Tensor::zeros([3], (Float, Cpu))]
}

#[test]
fn nats_are_those_of_the_softmax() {
    let [x, weight, bias] = sample();
    let nll = cross_entropy(&x, &weight, &bias, &Tensor::from_slice(&[1i64, 2])).unwrap();
    let expect = [(1f64.exp() + 2f64.exp() + 1.0).ln() - 2.0, 3f64.ln()];
    for (i, expect) in expect.into_iter().enumerate() {
        assert!((nll.double_value(&[i as i64]) - expect).abs() < 1e-6);
    }
    assert_eq!(nll.kind(), Float);
}

#[test]
fn misuse_is_an_error() {
    let [x, weight, bias] = sample();
    for targets in [&[0i64, 3][..], &[-1, 0], &[0], &[], &[0, 0, 0]] {
        assert!(cross_entropy(&x, &weight, &bias, &Tensor::from_slice(targets)).is_err(), "{targets:?}");
    }
    assert!(cross_entropy(&x, &weight, &bias, &Tensor::from_slice(&[0f32, 1.0])).is_err());
    assert!(logits(&x.narrow(1, 0, 1), &weight, &bias).is_err());
    assert!(logits(&x, &weight, &bias.narrow(0, 0, 2)).is_err());
    assert!(logits(&x.to_kind(Double), &weight, &bias).is_err());
}
