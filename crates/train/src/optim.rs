//! Optimizers whose state can be saved.

use std::path::Path;

use grulm_kernels::{AdamWStep, fused_adamw};
use grulm_model::{Param, Params};
use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    config::{OptimizerKind, TrainConfig},
};

/// An optimizer and its state, one slot a weight, in the order of [`Params`].
#[derive(Debug)]
pub struct Optimizer {
    settings: Settings,
    /// Updates made, a 0-dim f32 tensor on the device: it must not move where an update is skipped.
    step: Tensor,
    slots: Vec<Slot>,
}

/// State of one weight: named tensors of its shape.
#[derive(Debug)]
struct Slot {
    weight: String,
    /// `AdamW`: the running mean of the gradient. SGD: the momentum.
    first: Tensor,
    /// `AdamW`: the running mean of the squared gradient.
    second: Option<Tensor>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    kind: OptimizerKind,
    betas: [f64; 2],
    epsilon: f64,
    momentum: f64,
    weight_decay: f64,
}

impl Optimizer {
    /// An optimizer that has made no update yet.
    #[must_use]
    pub fn new(config: &TrainConfig, params: &Params) -> Self {
        let settings = Settings {
            kind: config.optimizer,
            betas: config.betas,
            epsilon: config.epsilon,
            momentum: config.momentum,
            weight_decay: config.weight_decay,
        };
        let slots = params.iter().map(|param| Slot {
            weight: param.name.clone(),
            first: param.tensor.detach().zeros_like(),
            second: (config.optimizer == OptimizerKind::AdamW).then(|| param.tensor.detach().zeros_like()),
        });
        Self { settings, step: Tensor::zeros([], (Kind::Float, params.device())), slots: slots.collect() }
    }

    /// Updates `params`, in the order that the optimizer was made with, by `gradients`, which are divided by `scale` first.
    ///
    /// `scale` and `found_inf` are 0-dim f32 tensors on the device; where `found_inf` is 1, neither weights nor state
    /// change. The host reads nothing from the device.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn update(
        &mut self,
        params: &Params,
        gradients: &[Tensor],
        learning_rate: f64,
        scale: &Tensor,
        found_inf: &Tensor,
    ) -> Result<(), Error> {
        tch::no_grad(|| {
            let _ = self.step.f_add_(&found_inf.f_neg()?.f_add_scalar(1.0)?)?;
            match self.settings.kind {
                OptimizerKind::AdamW => {
                    self.adamw(params, gradients, learning_rate, scale, found_inf, true)?;
                    self.adamw(params, gradients, learning_rate, scale, found_inf, false)
                }
                OptimizerKind::Sgd => self.sgd(params, gradients, learning_rate, scale, found_inf),
            }
        })
    }

    /// One fused update of the weights that decay, or of those that do not.
    fn adamw(
        &self,
        params: &Params,
        gradients: &[Tensor],
        learning_rate: f64,
        scale: &Tensor,
        found_inf: &Tensor,
        decays: bool,
    ) -> Result<(), Error> {
        let chosen: Vec<(&Param, &Tensor, &Slot)> = params
            .iter()
            .zip(gradients)
            .zip(&self.slots)
            .map(|((param, gradient), slot)| (param, gradient, slot))
            .filter(|(param, ..)| param.decays == decays)
            .collect();
        let [beta1, beta2] = self.settings.betas;
        let weight_decay = if decays { self.settings.weight_decay } else { 0.0 };
        let weights: Vec<_> = chosen.iter().map(|(param, ..)| param.tensor.shallow_clone()).collect();
        let gradients: Vec<_> = chosen.iter().map(|(_, gradient, _)| gradient.shallow_clone()).collect();
        let means: Vec<_> = chosen.iter().map(|(.., slot)| slot.first.shallow_clone()).collect();
        let variances: Vec<_> =
            chosen.iter().filter_map(|(.., slot)| slot.second.as_ref().map(Tensor::shallow_clone)).collect();
        let steps: Vec<_> = chosen.iter().map(|_| self.step.shallow_clone()).collect();
        let settings = AdamWStep { learning_rate, beta1, beta2, weight_decay, epsilon: self.settings.epsilon };
        if weights.is_empty() {
            return Ok(());
        }
        Ok(fused_adamw(&weights, &gradients, &means, &variances, &steps, settings, scale, found_inf)?)
    }

    fn sgd(
        &mut self,
        params: &Params,
        gradients: &[Tensor],
        learning_rate: f64,
        scale: &Tensor,
        found_inf: &Tensor,
    ) -> Result<(), Error> {
        let Settings { momentum, weight_decay, .. } = self.settings;
        let skip = found_inf.f_gt(0.5)?;
        let rate = found_inf.f_neg()?.f_add_scalar(1.0)?.f_mul_scalar(learning_rate)?;
        let keep = rate.f_mul_scalar(-weight_decay)?.f_add_scalar(1.0)?;
        for ((param, gradient), slot) in params.iter().zip(gradients).zip(&mut self.slots) {
            let mut weight = param.tensor.shallow_clone();
            let velocity = slot.first.f_mul_scalar(momentum)?.f_add(&gradient.f_div(scale)?)?;
            // A selection, not a product with zero: zero times a number that is not finite is none either.
            slot.first = slot.first.f_where_self(&skip, &velocity)?;
            if param.decays && weight_decay > 0.0 {
                let _ = weight.f_mul_(&keep)?;
            }
            let _ = weight.f_sub_(&slot.first.f_mul(&rate)?)?;
        }
        Ok(())
    }

    /// The state by name, as PyTorch's optimizers call it.
    fn named(&self) -> Vec<(String, Tensor)> {
        let first = match self.settings.kind {
            OptimizerKind::AdamW => "exp_avg",
            OptimizerKind::Sgd => "momentum_buffer",
        };
        let mut named = vec![("step".to_owned(), self.step.shallow_clone())];
        for slot in &self.slots {
            named.push((format!("{first}.{}", slot.weight), slot.first.shallow_clone()));
            if let Some(second) = &slot.second {
                named.push((format!("exp_avg_sq.{}", slot.weight), second.shallow_clone()));
            }
        }
        named
    }

    /// Writes the state as safetensors.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        Ok(grulm_model::save_tensors(path, &self.named())?)
    }

    /// Takes up a state that [`Optimizer::save`] wrote.
    ///
    /// # Errors
    /// When the file is not readable, or of another optimizer or other weights; nothing changes then.
    pub fn load(&mut self, path: &Path) -> Result<(), Error> {
        let mut loaded = grulm_model::load_tensors(path)?;
        let named = self.named();
        let mut pairs = Vec::with_capacity(named.len());
        for (name, own) in named {
            let Some(index) = loaded.iter().position(|(other, _)| *other == name) else {
                let kind = self.settings.kind;
                let reason =
                    format!("`{name}` is missing; is this the state of another train.optimizer than {kind:?}?");
                return Err(Error::checkpoint(path, reason));
            };
            let (_, tensor) = loaded.swap_remove(index);
            if tensor.size() != own.size() || tensor.kind() != own.kind() {
                let (found, expect) = (tensor.size(), own.size());
                return Err(Error::checkpoint(path, format!("`{name}` is {found:?}; the weights expect {expect:?}")));
            }
            pairs.push((own, tensor));
        }
        if let Some((name, _)) = loaded.first() {
            return Err(Error::checkpoint(path, format!("`{name}` belongs to no weight of this model")));
        }
        for (own, tensor) in &mut pairs {
            own.f_copy_(&tensor.to_device(own.device()))?;
        }
        Ok(())
    }

    /// Updates that were made; reads the device.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step.to_device(Device::Cpu).double_value(&[]) as u64
    }
}
