use grulm_kernels::{AdamWStep, Error, fused_adamw};
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Float},
    Tensor, no_grad,
};

use crate::cuda::devices;

const SETTINGS: AdamWStep = AdamWStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.99, weight_decay: 0.2, epsilon: 1e-6 };

/// Two parameters, equal but for their shape, and all that an update of them needs, on one device.
struct Operands {
    device: Device,
    params: Vec<Tensor>,
    grads: Vec<Tensor>,
    means: Vec<Tensor>,
    variances: Vec<Tensor>,
    steps: Vec<Tensor>,
    scale: Tensor,
    found_inf: Tensor,
}

fn scalar(value: f32) -> Tensor {
    Tensor::from(value)
}

fn operands(device: Device) -> Operands {
    let square = |values: [f32; 4]| {
        let tensor = Tensor::from_slice(&values).to_device(device);
        vec![tensor.view([2, 2]), tensor.copy()]
    };
    let scalar = |value| scalar(value).to_device(device);
    let step = scalar(0.0);
    Operands {
        device,
        params: square([0.5, -1.0, 2.0, 0.25]).into_iter().map(|tensor| tensor.set_requires_grad(true)).collect(),
        grads: square([0.0; 4]),
        means: square([0.0; 4]),
        variances: square([0.0; 4]),
        steps: vec![step.shallow_clone(), step],
        scale: scalar(1.0),
        found_inf: scalar(0.0),
    }
}

impl Operands {
    fn update(&self) -> Result<(), Error> {
        let Self { params, grads, means, variances, steps, scale, found_inf, .. } = self;
        no_grad(|| fused_adamw(params, grads, means, variances, steps, SETTINGS, scale, found_inf))
    }

    /// The update number `t`, with gradients that are `scale` times those of the golden run.
    fn golden_update(&mut self, t: i32, scale: f32) {
        let grad = (Tensor::from_slice(&[0.1f32, -0.2, 0.3, 0.0]) * f64::from(t) - 0.05) * f64::from(scale);
        let grad = grad.to_device(self.device);
        self.grads = vec![grad.view([2, 2]), grad.copy()];
        self.scale = scalar(scale).to_device(self.device);
        let _ = self.steps[0].fill_(f64::from(t));
        self.update().unwrap();
    }
}

fn close(tensor: &Tensor, expect: [f64; 4]) {
    let expect = Tensor::from_slice(&expect);
    let difference = (tensor.detach().to_device(Cpu).to_kind(Double).view(-1) - expect).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "{tensor}: off by {difference}");
}

/// The numbers are printed by
///
/// ```python
/// import torch
/// w = torch.tensor([[0.5, -1.0], [2.0, 0.25]], requires_grad=True)
/// optimizer = torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.2)
/// for t in range(1, 4):
///     w.grad = torch.tensor([[0.1, -0.2], [0.3, 0.0]]) * t - 0.05
///     optimizer.step()
///     print([round(x, 8) for x in w.detach().flatten().tolist()])
/// state = optimizer.state[w]
/// print(state["exp_avg"].flatten().tolist(), state["exp_avg_sq"].flatten().tolist())
/// ```
#[test]
fn updates_are_those_of_pytorch() {
    let golden = [
        [0.39000198, -0.88000041, 1.86000049, 0.34499803],
        [0.29059023, -0.76493168, 1.72747719, 0.43809608],
        [0.193158, -0.65295637, 1.59837246, 0.52933216],
    ];
    for (device, scale) in devices().into_iter().flat_map(|device| [1.0, 64.0, 0.3].map(|scale| (device, scale))) {
        let mut operands = operands(device);
        for (t, expect) in (1..).zip(golden) {
            operands.golden_update(t, scale);
            operands.params.iter().for_each(|param| close(param, expect));
        }
        close(&operands.means[0], [0.042_550_00, -0.125_750_01, 0.154_750_02, -0.013_550_00]);
        close(&operands.variances[1], [0.000_872_25, 0.006_842_31, 0.010_832_31, 0.000_074_25]);
    }
}

#[test]
fn where_an_infinity_was_found_nothing_changes() {
    devices().into_iter().for_each(nothing_changes_where_an_infinity_was_found);
}

fn nothing_changes_where_an_infinity_was_found(device: Device) {
    let mut operands = operands(device);
    operands.golden_update(1, 8.0);
    let all = |operands: &Operands| -> Vec<Tensor> {
        let lists = [&operands.params, &operands.grads, &operands.means, &operands.variances, &operands.steps];
        lists.into_iter().flatten().map(|tensor| tensor.detach().copy()).collect()
    };
    operands.found_inf = scalar(1.0).to_device(device);
    for grad in [1.0, f64::INFINITY, f64::NAN] {
        for tensor in &mut operands.grads {
            let _ = tensor.fill_(grad);
        }
        let before = all(&operands);
        operands.update().unwrap();
        for (after, before) in all(&operands).iter().zip(&before) {
            let same = after.isclose(before, 0.0, 0.0, true).all();
            assert!(bool::try_from(same).unwrap(), "{before} became {after}");
        }
    }
}

#[test]
fn misuse_is_an_error() {
    let check = |change: fn(&mut Operands), says: &str| {
        let mut operands = operands(Cpu);
        change(&mut operands);
        let before: Vec<Tensor> = operands.params.iter().map(|param| param.detach().copy()).collect();
        let message = operands.update().unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
        let unchanged = operands.params.iter().zip(&before).all(|(now, then)| !then.defined() || now.equal(then));
        assert!(unchanged, "{says}");
    };
    check(|o| drop(o.grads.pop()), "2 parameters, but [1, 2, 2, 2]");
    check(|o| o.steps.push(scalar(1.0)), "[2, 2, 2, 3]");
    check(|o| o.grads[0] = Tensor::zeros([1, 2], (Float, Cpu)), "its gradient is Float [1, 2]");
    check(|o| o.grads[0] = Tensor::zeros([4], (Float, Cpu)), "expected contiguous Float [2, 2]");
    check(|o| o.means[1] = Tensor::zeros([0], (Float, Cpu)), "its mean is Float [0]");
    check(|o| o.variances[1] = Tensor::zeros([3], (Float, Cpu)), "its variance is Float [3]");
    check(|o| o.grads[0] = o.grads[0].to_kind(Double), "its gradient is Double");
    check(|o| o.grads[0] = o.grads[0].to_kind(tch::Kind::Int64), "its gradient is Int64");
    check(|o| o.grads[0] = o.grads[0].transpose(0, 1), "not contiguous");
    check(|o| o.grads[0] = Tensor::new(), "its gradient is undefined");
    check(|o| o.steps[0] = Tensor::from(1i64), "a number of updates is Int64");
    check(|o| o.steps[1] = Tensor::zeros([2], (Float, Cpu)), "a number of updates is Float [2]");
    check(|o| o.scale = Tensor::zeros([0], (Float, Cpu)), "grad_scale is Float [0]");
    check(|o| o.found_inf = Tensor::new(), "found_inf is undefined");
}

#[test]
fn no_parameters_and_empty_ones_are_fine() {
    let (one, zero) = (scalar(1.0), scalar(0.0));
    fused_adamw(&[], &[], &[], &[], &[], SETTINGS, &one, &zero).unwrap();
    let empty = || vec![Tensor::zeros([0, 3], (Float, Cpu))];
    fused_adamw(&empty(), &empty(), &empty(), &empty(), &[scalar(1.0)], SETTINGS, &one, &zero).unwrap();
}
