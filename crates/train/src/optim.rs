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
    slots: Vec<Slot>,
}

/// What moves one weight.
#[derive(Debug)]
pub struct Gradient {
    /// Of the weight's shape.
    pub tensor: Tensor,
    /// The step size.
    pub learning_rate: f64,
}

/// State of one weight: named tensors of its shape.
#[derive(Debug)]
struct Slot {
    weight: String,
    /// Updates of this weight, a 0-dim f32 tensor on the device: it must not move where an update is skipped.
    step: Tensor,
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
    ///
    /// # Errors
    /// When there is no memory for its state.
    pub fn new(config: &TrainConfig, params: &Params) -> Result<Self, Error> {
        let settings = Settings {
            kind: config.optimizer,
            betas: config.betas,
            epsilon: config.epsilon,
            momentum: config.momentum,
            weight_decay: config.weight_decay,
        };
        let slots = params.iter().map(|param| {
            let zeros = || param.tensor.f_detach()?.f_zeros_like();
            Ok(Slot {
                weight: param.name.clone(),
                step: Tensor::f_zeros([] as [i64; 0], (Kind::Float, params.device()))?,
                first: zeros()?,
                second: (config.optimizer == OptimizerKind::AdamW).then(zeros).transpose()?,
            })
        });
        Ok(Self { settings, slots: slots.collect::<Result<_, Error>>()? })
    }

    /// Updates `params`, in the order that the optimizer was made with, by `gradients`, which are divided by `scale` first.
    /// Weights without one, which are frozen, stay as they are.
    ///
    /// `scale` and `found_inf` are 0-dim f32 tensors on the device; where `found_inf` is 1, neither weights nor state
    /// change. The host reads nothing from the device.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn update(
        &mut self,
        params: &Params,
        gradients: &[Option<Gradient>],
        scale: &Tensor,
        found_inf: &Tensor,
    ) -> Result<(), Error> {
        tch::no_grad(|| {
            let counted = found_inf.f_neg()?.f_add_scalar(1.0)?;
            let mut updates: Vec<Update<'_>> = params
                .iter()
                .zip(gradients)
                .zip(&mut self.slots)
                .filter_map(|((param, gradient), slot)| Some(Update { param, gradient: gradient.as_ref()?, slot }))
                .collect();
            for update in &mut updates {
                let _ = update.slot.step.f_add_(&counted)?;
            }
            match self.settings.kind {
                OptimizerKind::AdamW => adamw(self.settings, &updates, scale, found_inf),
                OptimizerKind::Sgd => sgd(self.settings, &mut updates, scale, found_inf),
            }
        })
    }

    /// The state by name, as PyTorch's optimizers call it.
    fn named(&self) -> Vec<(String, Tensor)> {
        let first = match self.settings.kind {
            OptimizerKind::AdamW => "exp_avg",
            OptimizerKind::Sgd => "momentum_buffer",
        };
        let mut named = Vec::new();
        for slot in &self.slots {
            named.push((format!("step.{}", slot.weight), slot.step.shallow_clone()));
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

    /// Updates that were made, of the weight that has had most; reads the device.
    #[must_use]
    pub fn steps(&self) -> u64 {
        let steps = self.slots.iter().map(|slot| slot.step.to_device(Device::Cpu).double_value(&[]) as u64);
        steps.max().unwrap_or(0)
    }
}

/// A weight that moves, with what moves it.
struct Update<'a> {
    param: &'a Param,
    gradient: &'a Gradient,
    slot: &'a mut Slot,
}

/// One fused update for each learning rate, of the weights that decay and of those that do not.
fn adamw(settings: Settings, updates: &[Update<'_>], scale: &Tensor, found_inf: &Tensor) -> Result<(), Error> {
    let mut kinds: Vec<(f64, bool)> = Vec::new();
    let kind = |update: &Update<'_>| (update.gradient.learning_rate, update.param.decays);
    for update in updates {
        if !kinds.contains(&kind(update)) {
            kinds.push(kind(update));
        }
    }
    for (learning_rate, decays) in kinds {
        let chosen = || updates.iter().filter(|update| kind(update) == (learning_rate, decays));
        let handles = |of: &dyn Fn(&Update<'_>) -> Tensor| chosen().map(of).collect::<Vec<_>>();
        let [beta1, beta2] = settings.betas;
        let weight_decay = if decays { settings.weight_decay } else { 0.0 };
        fused_adamw(
            &handles(&|update| update.param.tensor.shallow_clone()),
            &handles(&|update| update.gradient.tensor.shallow_clone()),
            &handles(&|update| update.slot.first.shallow_clone()),
            &chosen().filter_map(|update| Some(update.slot.second.as_ref()?.shallow_clone())).collect::<Vec<_>>(),
            &handles(&|update| update.slot.step.shallow_clone()),
            AdamWStep { learning_rate, beta1, beta2, weight_decay, epsilon: settings.epsilon },
            scale,
            found_inf,
        )?;
    }
    Ok(())
}

fn sgd(settings: Settings, updates: &mut [Update<'_>], scale: &Tensor, found_inf: &Tensor) -> Result<(), Error> {
    let Settings { momentum, weight_decay, .. } = settings;
    let skip = found_inf.f_gt(0.5)?;
    let counted = found_inf.f_neg()?.f_add_scalar(1.0)?;
    for Update { param, gradient, slot } in updates {
        let rate = counted.f_mul_scalar(gradient.learning_rate)?;
        let mut weight = param.tensor.shallow_clone();
        let velocity = slot.first.f_mul_scalar(momentum)?.f_add(&gradient.tensor.f_div(scale)?)?;
        // A selection, not a product with zero: zero times a number that is not finite is none either.
        slot.first = slot.first.f_where_self(&skip, &velocity)?;
        if param.decays && weight_decay > 0.0 {
            let _ = weight.f_mul_(&rate.f_mul_scalar(-weight_decay)?.f_add_scalar(1.0)?)?;
        }
        let _ = weight.f_sub_(&slot.first.f_mul(&rate)?)?;
    }
    Ok(())
}
