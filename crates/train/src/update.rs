//! One update: forward and backward passes, normalisation, clipping, the optimizer.

use grulm_model::{Param, Params};
use grulm_tasks::{Step, Task};
use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    config::TrainConfig,
    layers::Layers,
    optim::{Gradient, Optimizer},
    snapshot::copy_of,
};

/// The optimizer, and what the device remembers between the points at which the host looks.
#[derive(Debug)]
pub(crate) struct Updater {
    pub(crate) optimizer: Optimizer,
    layers: Layers,
    /// The weights as they were before training, of those that are pulled back to them.
    anchors: Vec<Option<Tensor>>,
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
    /// For the weights `params` as they are before training, resumed or not.
    pub(crate) fn new(config: &TrainConfig, layers: Layers, params: &Params) -> Result<Self, Error> {
        let anchor = |param: &Param| (layers.pull(param.group) > 0.0).then(|| copy_of(&param.tensor)).transpose();
        Ok(Self {
            optimizer: Optimizer::new(config, params)?,
            anchors: params.iter().map(anchor).collect::<Result<_, _>>()?,
            layers,
            accumulate: config.accumulate,
            clip_norm: config.clip_norm,
            l2: config.l2,
            first_bad: Tensor::f_full([] as [i64; 0], f64::INFINITY, (Kind::Double, params.device()))?,
        })
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
        self.layers.set_trainable(task.params(), step)?;
        for micro in 0..self.accumulate {
            let loss = task.step(Step { seed, stage, step, micro, accumulate: self.accumulate })?;
            match &loss.penalty {
                Some(penalty) => loss.sum.f_add(&penalty.f_mul_scalar(loss.count as f64)?)?.f_backward()?,
                None => loss.sum.f_backward()?,
            }
            let _ = loss_sum.f_add_(&loss.sum.detach())?;
            count += loss.count;
        }
        let gradients = self.gradients(task.params(), step, learning_rate, count)?;
        let grad_norm = norm(&gradients, device)?.f_div_scalar(count.max(1) as f64)?;
        let scale = gradient_scale(&grad_norm, count, self.clip_norm)?;
        let found_inf = not_finite(&loss_sum, &grad_norm)?;
        self.optimizer.update(task.params(), &gradients, &scale, &found_inf)?;
        // x / 0 is infinite: only an update that was skipped can lower the figure.
        let bad = found_inf.f_to_kind(Kind::Double)?.f_reciprocal()?.f_mul_scalar((step + 1) as f64)?;
        self.first_bad = self.first_bad.f_minimum(&bad)?;
        Ok(Updated { loss_sum, count, grad_norm })
    }

    /// The gradients of the summed loss and of the L2 terms, times the number of predictions, of the weights that are not frozen.
    /// A weight that took no part has zeros, so that it moves in the same way whether an earlier update of this process has
    /// touched it or not.
    fn gradients(
        &self,
        params: &Params,
        step: u64,
        learning_rate: f64,
        count: u64,
    ) -> Result<Vec<Option<Gradient>>, Error> {
        // Filled on the device: a copy from the host would wait for it.
        let times = |weight: f64| Tensor::f_full([], 2.0 * weight * count as f64, (Kind::Float, params.device()));
        let gradient = |(param, anchor): (&Param, &Option<Tensor>)| {
            let factor = self.layers.factor(param.group, step);
            if factor == 0.0 {
                return Ok(None);
            }
            let mut tensor = param.tensor.grad();
            if !tensor.defined() {
                tensor = param.tensor.f_zeros_like()?;
            }
            if self.l2 > 0.0 && param.decays {
                let _ = tensor.f_addcmul_(&param.tensor, &times(self.l2)?)?;
            }
            if let Some(anchor) = anchor {
                let _ = tensor.f_addcmul_(&param.tensor.f_sub(anchor)?, &times(self.layers.pull(param.group))?)?;
            }
            Ok(Some(Gradient { tensor, learning_rate: learning_rate * factor }))
        };
        tch::no_grad(|| params.iter().zip(&self.anchors).map(gradient).collect())
    }

    /// The first update, counted from one, that had to be skipped. Reads the device.
    pub(crate) fn first_skipped(&self) -> Result<Option<u64>, Error> {
        let first = f64::try_from(&self.first_bad)?;
        Ok(first.is_finite().then_some(first as u64))
    }

    /// Goes on as if no update had been skipped.
    pub(crate) fn forget_skipped(&mut self) -> Result<(), Error> {
        let _ = self.first_bad.f_fill_(f64::INFINITY)?;
        Ok(())
    }
}

/// The Euclidean norm over all gradients: 0-dim f32.
fn norm(gradients: &[Option<Gradient>], device: Device) -> Result<Tensor, Error> {
    let norms = gradients.iter().flatten().map(|gradient| gradient.tensor.f_norm()).collect::<Result<Vec<_>, _>>()?;
    if norms.is_empty() {
        return Ok(Tensor::zeros([], (Kind::Float, device)));
    }
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
