//! One update: forward and backward passes, normalisation, clipping, the optimizer.

use grulm_model::Params;
use grulm_tasks::{Step, Task};
use tch::{Device, Kind, Tensor};

use crate::{Error, config::TrainConfig, optim::Optimizer};

/// The optimizer, and what the device remembers between the points at which the host looks.
#[derive(Debug)]
pub(crate) struct Updater {
    pub(crate) optimizer: Optimizer,
    accumulate: u64,
    clip_norm: f64,
    l2: f64,
    /// The first update, counted from one, whose loss or gradient was not finite; infinite while there is none. 0-dim f64.
    first_bad: Tensor,
}

/// What an update leaves behind, on the device.
#[derive(Debug)]
pub(crate) struct Updated {
    /// The loss, summed over the predictions: 0-dim f64, nats.
    pub(crate) loss_sum: Tensor,
    /// Number of predictions.
    pub(crate) count: u64,
    /// Norm of the gradient of the mean loss before clipping: 0-dim f32.
    pub(crate) grad_norm: Tensor,
}

impl Updater {
    pub(crate) fn new(config: &TrainConfig, params: &Params) -> Self {
        Self {
            optimizer: Optimizer::new(config, params),
            accumulate: config.accumulate,
            clip_norm: config.clip_norm,
            l2: config.l2,
            first_bad: Tensor::full([], f64::INFINITY, (Kind::Double, params.device())),
        }
    }

    /// Makes the update that `step` (counted from zero) of `stage` names. Nothing is read from the device.
    pub(crate) fn update(
        &mut self,
        task: &mut dyn Task,
        seed: u64,
        stage: u64,
        step: u64,
        learning_rate: f64,
    ) -> Result<Updated, Error> {
        let device = task.params().device();
        let mut loss_sum = Tensor::zeros([], (Kind::Double, device));
        let mut count = 0;
        task.params().zero_grad();
        for micro in 0..self.accumulate {
            let loss = task.step(Step { seed, stage, step, micro, accumulate: self.accumulate })?;
            loss.sum.f_backward()?;
            let _ = loss_sum.f_add_(&loss.sum.detach())?;
            count += loss.count;
        }
        let gradients = gradients(task.params(), self.l2, count)?;
        let grad_norm = norm(&gradients, device)?.f_div_scalar(count.max(1) as f64)?;
        let scale = gradient_scale(&grad_norm, count, self.clip_norm)?;
        let found_inf = not_finite(&loss_sum, &grad_norm)?;
        self.optimizer.update(task.params(), &gradients, learning_rate, &scale, &found_inf)?;
        // x / 0 is infinite: only an update that was skipped can lower the figure.
        let bad = found_inf.f_to_kind(Kind::Double)?.f_reciprocal()?.f_mul_scalar((step + 1) as f64)?;
        self.first_bad = self.first_bad.f_minimum(&bad)?;
        Ok(Updated { loss_sum, count, grad_norm })
    }

    /// The first update, counted from one, that had to be skipped. Reads the device.
    pub(crate) fn first_skipped(&self) -> Result<Option<u64>, Error> {
        let first = f64::try_from(&self.first_bad)?;
        Ok(first.is_finite().then_some(first as u64))
    }
}

/// The gradients of the summed loss and of the L2 term, times the number of predictions. A weight that took no part has
/// zeros, so that it moves in the same way whether an earlier update of this process has touched it or not.
fn gradients(params: &Params, l2: f64, count: u64) -> Result<Vec<Tensor>, Error> {
    // Filled on the device: a copy from the host would wait for it.
    let penalty = Tensor::f_full([], 2.0 * l2 * count as f64, (Kind::Float, params.device()))?;
    tch::no_grad(|| {
        params
            .iter()
            .map(|param| {
                let mut gradient = param.tensor.grad();
                if !gradient.defined() {
                    gradient = param.tensor.f_zeros_like()?;
                }
                if l2 > 0.0 && param.decays {
                    let _ = gradient.f_addcmul_(&param.tensor, &penalty)?;
                }
                Ok(gradient)
            })
            .collect()
    })
}

/// The Euclidean norm over all `tensors`: 0-dim f32.
fn norm(tensors: &[Tensor], device: Device) -> Result<Tensor, Error> {
    if tensors.is_empty() {
        return Ok(Tensor::zeros([], (Kind::Float, device)));
    }
    let norms = tensors.iter().map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::f_stack(&norms, 0)?.f_norm()?)
}

/// What gradients of the sum are divided by: the number of predictions, and more where the norm of the mean's gradient is
/// above `clip_norm` (Pascanu et al., arXiv 1211.5063).
fn gradient_scale(grad_norm: &Tensor, count: u64, clip_norm: f64) -> Result<Tensor, Error> {
    let count = count.max(1) as f64;
    if clip_norm == 0.0 {
        return Ok(Tensor::full([], count, (Kind::Float, grad_norm.device())));
    }
    // As torch.nn.utils.clip_grad_norm_ has it: clip / (norm + 1e-6), at most 1.
    Ok(grad_norm.f_add_scalar(1e-6)?.f_div_scalar(clip_norm)?.f_clamp_min(1.0)?.f_mul_scalar(count)?)
}

/// 1 where the loss or the gradient's norm is not finite, else 0: 0-dim f32.
fn not_finite(loss_sum: &Tensor, grad_norm: &Tensor) -> Result<Tensor, Error> {
    let finite = loss_sum.f_isfinite()?.f_logical_and(&grad_norm.f_isfinite()?)?;
    Ok(finite.f_logical_not()?.f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests;
