//! Updates against PyTorch's.

use std::path::Path;

use grulm_model::Params;
use grulm_tasks::{Loss, Scores, Step, Task, bundle::Provenance};
use tch::{Device, Kind, Tensor};

use super::Updater;
use crate::{
    config::{OptimizerKind, TrainConfig},
    layers::{LayerSettings, Layers, Unfreeze},
};

/// `mean loss = (w * c).sum() * (step + 1) + (b * b).sum()`, over two predictions.
struct Quadratic {
    params: Params,
    infinite_at: Option<u64>,
}

impl Quadratic {
    fn new() -> Self {
        Self::on(Device::Cpu)
    }

    fn on(device: Device) -> Self {
        Self::with_head(&[2], device)
    }

    fn with_head(size: &[i64], device: Device) -> Self {
        let mut params = Params::new(0, device);
        let w = params.add("w", &[2, 2], 0.0, 0).unwrap();
        let b = params.add("b", size, 0.0, 1).unwrap();
        tch::no_grad(|| {
            w.shallow_clone().copy_(&Tensor::from_slice2(&[[0.5f32, -1.0], [2.0, 0.25]]));
            b.shallow_clone().copy_(&Tensor::from_slice(&[0.1f32, -0.3]).view(size));
        });
        Self { params, infinite_at: None }
    }

    fn values(&self) -> Vec<f32> {
        let flat: Vec<_> = self.params.iter().map(|param| param.tensor.detach().flatten(0, -1)).collect();
        Vec::try_from(Tensor::cat(&flat, 0)).unwrap()
    }
}

impl Task for Quadratic {
    fn params(&self) -> &Params {
        &self.params
    }

    fn step(&mut self, step: Step) -> Result<Loss, grulm_tasks::Error> {
        let tensors: Vec<_> = self.params.iter().map(|param| &param.tensor).collect();
        let c =
            Tensor::from_slice2(&[[1.0f32, -2.0], [0.5, 3.0]]).to_device(self.params.device()) * (step.step + 1) as f64;
        let mut mean = (tensors[0] * c).sum(Kind::Float) + tensors[1].square().sum(Kind::Float);
        if self.infinite_at == Some(step.step) {
            mean *= f64::INFINITY;
        }
        Ok(Loss { sum: mean * 2.0, count: 2, penalty: None })
    }

    fn batches_per_epoch(&self) -> u64 {
        1
    }

    fn figures(&self, _: f64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, grulm_tasks::Error> {
        Ok(None)
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn load_state(&mut self, _: &[(String, Tensor)]) -> Result<(), grulm_tasks::Error> {
        Ok(())
    }

    fn save_bundle(&self, _: &Path, _: &Provenance) -> Result<(), grulm_tasks::Error> {
        Ok(())
    }
}

/// The CPU, and a CUDA device where there is one.
fn devices() -> impl Iterator<Item = Device> {
    let cuda = Device::cuda_if_available();
    if !cuda.is_cuda() {
        eprintln!("skipped: no CUDA device");
    }
    [Some(Device::Cpu), cuda.is_cuda().then_some(cuda)].into_iter().flatten()
}

fn base() -> TrainConfig {
    TrainConfig { betas: [0.9, 0.99], clip_norm: 0.0, ..TrainConfig::default() }
}

// def run(make, l2=0.0, clip=0.0):
//     w = torch.tensor([[0.5, -1.0], [2.0, 0.25]], requires_grad=True)
//     b = torch.tensor([0.1, -0.3], requires_grad=True)
//     opt = make(w, b)
//     for t in range(3):
//         opt.zero_grad()
//         loss = (w * torch.tensor([[1.0, -2.0], [0.5, 3.0]]) * (t + 1)).sum() + (b * b).sum() + l2 * (w * w).sum()
//         loss.backward()
//         if clip: torch.nn.utils.clip_grad_norm_([w, b], clip)
//         opt.step()
//     print([round(x, 7) for x in w.flatten().tolist() + b.tolist()])
// groups = lambda w, b, wd: [{"params": [w], "weight_decay": wd}, {"params": [b], "weight_decay": 0.0}]
// adamw = lambda wd: lambda w, b: torch.optim.AdamW(groups(w, b, wd), lr=0.01, betas=(0.9, 0.99), eps=1e-8, fused=True)
// sgd = lambda w, b: torch.optim.SGD([w, b], lr=0.01, momentum=0.9)
// run(adamw(0.1)); run(adamw(0.0), l2=0.2); run(adamw(0.1), clip=1.0); run(sgd); run(sgd, l2=0.2); run(sgd, clip=1.0)
#[test]
fn three_updates_are_those_of_pytorch() {
    let check_on = |device: Device, config: &TrainConfig, expect: [f32; 6]| {
        let mut task = Quadratic::on(device);
        let mut updater = Updater::new(config, Layers::default(), &task.params).unwrap();
        for step in 0..3 {
            updater.update(&mut task, 0, 0, step, 0.01).unwrap();
        }
        for (found, expect) in task.values().iter().zip(expect) {
            assert!((found - expect).abs() < 2e-7, "{:?}, expected {expect}: {config:?}", task.values());
        }
        assert_eq!(updater.first_skipped().unwrap(), None);
        assert_eq!(updater.optimizer.steps(), 3);
    };
    let check = |config: TrainConfig, expect| devices().for_each(|device| check_on(device, &config, expect));
    let adamw = base();
    let sgd = TrainConfig { optimizer: OptimizerKind::Sgd, momentum: 0.9, ..base() };
    let decay = |config: &TrainConfig| TrainConfig { weight_decay: 0.1, ..config.clone() };
    let l2 = |config: &TrainConfig| TrainConfig { l2: 0.2, ..config.clone() };
    let clip = |config: &TrainConfig| TrainConfig { clip_norm: 1.0, ..config.clone() };
    check(decay(&adamw), [0.469337, -0.9678386, 1.9648416, 0.2200863, 0.0701497, -0.2700354]);
    check(l2(&adamw), [0.4706193, -0.970621, 1.970124, 0.2207698, 0.0701497, -0.2700354]);
    check(clip(&decay(&adamw)), [0.4685254, -0.9670269, 1.9640299, 0.2192746, 0.0723498, -0.2720216]);
    check(sgd.clone(), [0.4049, -0.8098, 1.95245, -0.0353, 0.0889712, -0.2669136]);
    check(l2(&sgd), [0.3939502, -0.7879004, 1.9078394, -0.0401953, 0.0889712, -0.2669136]);
    check(clip(&sgd), [0.4852588, -0.9705177, 1.9926294, 0.2057765, 0.0979109, -0.2937326]);
}

#[test]
fn decoupled_decay_of_sgd_shrinks_matrices_alone() {
    let config = TrainConfig { optimizer: OptimizerKind::Sgd, weight_decay: 0.5, ..base() };
    let mut task = Quadratic::new();
    Updater::new(&config, Layers::default(), &task.params).unwrap().update(&mut task, 0, 0, 0, 0.01).unwrap();
    // w * (1 - 0.01 * 0.5) - 0.01 * c, and b - 0.01 * 2 b.
    let expect = [0.4875, -0.975, 1.985, 0.21875, 0.098, -0.294];
    for (found, expect) in task.values().iter().zip(expect) {
        assert!((found - expect).abs() < 1e-6, "{:?}", task.values());
    }
}

#[test]
fn an_update_that_is_not_finite_changes_nothing_and_is_remembered() {
    for (device, optimizer) in devices().flat_map(|d| [OptimizerKind::AdamW, OptimizerKind::Sgd].map(|o| (d, o))) {
        for clip_norm in [0.0, 1.0] {
            let config = TrainConfig { optimizer, clip_norm, l2: 0.1, weight_decay: 0.1, ..base() };
            let mut task = Quadratic { infinite_at: Some(1), ..Quadratic::on(device) };
            let mut updater = Updater::new(&config, Layers::default(), &task.params).unwrap();
            updater.update(&mut task, 0, 0, 0, 0.01).unwrap();
            let (values, state) = (task.values(), named(&updater));
            updater.update(&mut task, 0, 0, 1, 0.01).unwrap();
            assert_eq!(task.values(), values, "{config:?}");
            assert_eq!(named(&updater), state, "{config:?}");
            assert_eq!(updater.first_skipped().unwrap(), Some(2));
            updater.update(&mut task, 0, 0, 2, 0.01).unwrap();
            assert_eq!(updater.first_skipped().unwrap(), Some(2), "the first one counts");
            assert_eq!(updater.optimizer.steps(), 2);
        }
    }
}

/// `w` is the pretrained layer, `b` the head; the gradients are `c * (step + 1)` and `2 b`.
#[test]
fn layers_learn_at_their_own_rates() {
    let sgd = TrainConfig { optimizer: OptimizerKind::Sgd, momentum: 0.0, ..base() };
    let check = |layers: LayerSettings, step: u64, expect: [f32; 6]| {
        let mut task = Quadratic::with_head(&[1, 2], Device::Cpu);
        let layers = Layers::new(layers, &task.params, 1).unwrap();
        let mut updater = Updater::new(&sgd, layers, &task.params).unwrap();
        updater.update(&mut task, 0, 0, step, 0.01).unwrap();
        for (found, expect) in task.values().iter().zip(expect) {
            assert!((found - expect).abs() < 1e-6, "{layers:?}: {:?}", task.values());
        }
        updater
    };
    let (all, frozen) = (LayerSettings::default(), [0.5, -1.0, 2.0, 0.25, 0.098, -0.294]);
    check(all, 0, [0.49, -0.98, 1.995, 0.22, 0.098, -0.294]);
    check(LayerSettings { layer_decay: 0.5, ..all }, 0, [0.495, -0.99, 1.9975, 0.235, 0.098, -0.294]);
    check(LayerSettings { freeze_layers: 1, ..all }, 0, frozen);
    let gradual = LayerSettings { unfreeze: Unfreeze::Gradual, ..all };
    check(gradual, 0, frozen);
    check(gradual, 1, [0.48, -0.96, 1.99, 0.19, 0.098, -0.294]);
    // A frozen layer does not decay either.
    let decays = TrainConfig { weight_decay: 0.5, l2: 0.5, ..sgd.clone() };
    let mut task = Quadratic::new();
    let layers = Layers::new(LayerSettings { freeze_layers: 1, ..all }, &task.params, 1).unwrap();
    Updater::new(&decays, layers, &task.params).unwrap().update(&mut task, 0, 0, 0, 0.01).unwrap();
    assert_eq!(task.values()[..4], [0.5, -1.0, 2.0, 0.25]);
}

/// After one step away from where it was, the pull is `2 * 0.1 * (w - w0)` more of gradient, and none on the head.
#[test]
fn pretrained_weights_are_pulled_back() {
    let sgd = TrainConfig { optimizer: OptimizerKind::Sgd, momentum: 0.0, ..base() };
    let mut task = Quadratic::new();
    let layers = Layers::new(LayerSettings { l2_sp: 0.1, ..LayerSettings::default() }, &task.params, 1).unwrap();
    let mut updater = Updater::new(&sgd, layers, &task.params).unwrap();
    for step in 0..2 {
        updater.update(&mut task, 0, 0, step, 0.01).unwrap();
    }
    // w1 = w0 - 0.01 c, and w2 = w1 - 0.01 (2 c + 0.2 (w1 - w0)) = w0 - (0.03 - 0.00002) c.
    let moved = 0.02998;
    let expect = [0.5 - moved, -1.0 + 2.0 * moved, 2.0 - 0.5 * moved, 0.25 - 3.0 * moved, 0.09604, -0.28812];
    for (found, expect) in task.values().iter().zip(expect) {
        assert!((f64::from(*found) - expect).abs() < 1e-6, "{:?}, expected {expect}", task.values());
    }
}

/// The optimizer's state as it goes to disk.
fn named(updater: &Updater) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    updater.optimizer.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn optimizer_state_of_another_kind_or_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    let task = Quadratic::new();
    Updater::new(&base(), Layers::default(), &task.params).unwrap().optimizer.save(&path).unwrap();
    let check = |config: &TrainConfig, params: &Params, expect: &str| {
        let message =
            Updater::new(config, Layers::default(), params).unwrap().optimizer.load(&path).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    };
    check(&TrainConfig { optimizer: OptimizerKind::Sgd, ..base() }, &task.params, "train.optimizer");
    let mut other = Params::new(0, Device::Cpu);
    let _ = other.add("w", &[2, 3], 0.0, 0).unwrap();
    let _ = other.add("b", &[2], 0.0, 0).unwrap();
    check(&base(), &other, "[2, 3]");
    let mut fewer = Params::new(0, Device::Cpu);
    let _ = fewer.add("w", &[2, 2], 0.0, 0).unwrap();
    check(&base(), &fewer, "belongs to no weight");
    Updater::new(&base(), Layers::default(), &task.params).unwrap().optimizer.load(&path).unwrap();
}
