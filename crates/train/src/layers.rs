//! Which layers of a model learn, and how fast: a function of the step.

use grulm_config::Invalid;
use grulm_model::Params;
use serde::{Deserialize, Serialize};

use crate::Error;

/// When the layers that are not frozen for good begin to learn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfreeze {
    /// All at once.
    #[default]
    None,
    /// The head first, then one more layer each epoch, from the top down (Howard and Ruder, arXiv 1801.06146).
    Gradual,
}

/// How the layers of a pretrained model are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerSettings {
    /// Layers that never learn, counted from the input: 1 is the embedding, 2 the first GRU layer as well, and so on.
    pub freeze_layers: usize,
    /// When the others begin to.
    pub unfreeze: Unfreeze,
    /// The rate of each layer is that of the layer above times this, in `0..=1` (arXiv 1801.06146 has 1 / 2.6).
    pub layer_decay: f64,
    /// Pulls the pretrained weights back to where they were: this times the sum of the squared differences is added to the
    /// mean loss (L2-SP, Li et al., arXiv 1802.01483).
    pub l2_sp: f64,
}

impl Default for LayerSettings {
    fn default() -> Self {
        Self { freeze_layers: 0, unfreeze: Unfreeze::None, layer_decay: 1.0, l2_sp: 0.0 }
    }
}

/// The layers of one model under [`LayerSettings`]. The last group is the head, which is not pretrained.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Layers {
    settings: LayerSettings,
    /// The group of the head.
    head: usize,
    /// The group that learns first when layers are unfrozen: the topmost with weights. Above the GRU layers of a model with tied
    /// weights there is nothing but a bias.
    first: usize,
    /// Updates an epoch.
    epoch: u64,
}

impl Layers {
    /// The layers of a model with the weights `params`, in a stage of `steps_per_epoch` updates an epoch.
    ///
    /// # Errors
    /// When the model has fewer layers below its head than `freeze_layers`.
    pub fn new(settings: LayerSettings, params: &Params, steps_per_epoch: u64) -> Result<Self, Invalid> {
        let head = params.iter().map(|param| param.group).max().unwrap_or(0);
        let allowed =
            format!("0 to {head}: the embedding and {} of the GRU layers, below the head", head.saturating_sub(1));
        Invalid::check("finetune.freeze_layers", settings.freeze_layers, settings.freeze_layers <= head, allowed)?;
        let weights = params.iter().filter(|param| param.tensor.dim() > 1);
        let first = weights.map(|param| param.group).max().unwrap_or(head);
        Ok(Self { settings, head, first, epoch: steps_per_epoch.max(1) })
    }

    /// What the learning rate of layer group `group` is multiplied by in update `step`, counted from zero; 0 where it is frozen.
    #[must_use]
    pub fn factor(&self, group: usize, step: u64) -> f64 {
        let LayerSettings { freeze_layers, unfreeze, layer_decay, .. } = self.settings;
        let below_head = self.head.saturating_sub(group);
        let below_first = self.first.saturating_sub(group) as u64;
        let waits = unfreeze == Unfreeze::Gradual && step / self.epoch.max(1) < below_first;
        if group < freeze_layers || waits {
            return 0.0;
        }
        layer_decay.powi(i32::try_from(below_head).unwrap_or(i32::MAX))
    }

    /// Lets those weights of `params` have gradients that learn in update `step`. A backward pass ends above the others.
    pub(crate) fn set_trainable(&self, params: &Params, step: u64) -> Result<(), Error> {
        for param in params {
            let learns = self.factor(param.group, step) > 0.0;
            if param.tensor.requires_grad() != learns {
                let _ = param.tensor.f_set_requires_grad(learns)?;
            }
        }
        Ok(())
    }

    /// The weight of the pull towards the pretrained weights of `group`.
    pub(crate) fn pull(&self, group: usize) -> f64 {
        if group < self.head { self.settings.l2_sp } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn params() -> Params {
        let mut params = Params::new(0, Device::Cpu);
        for group in 0..4 {
            let _ = params.add(format!("w{group}"), &[1, 1], 0.1, group).unwrap();
        }
        params
    }

    #[test]
    fn factors_by_layer_and_step() {
        let check = |settings: LayerSettings, step: u64, expect: [f64; 4]| {
            let layers = Layers::new(settings, &params(), 10).unwrap();
            assert_eq!([0, 1, 2, 3].map(|group| layers.factor(group, step)), expect, "{settings:?} at {step}");
        };
        let all = LayerSettings::default();
        check(all, 0, [1.0; 4]);
        check(LayerSettings { layer_decay: 0.5, ..all }, 7, [0.125, 0.25, 0.5, 1.0]);
        check(LayerSettings { freeze_layers: 2, layer_decay: 0.5, ..all }, 7, [0.0, 0.0, 0.5, 1.0]);
        check(LayerSettings { freeze_layers: 3, ..all }, 7, [0.0, 0.0, 0.0, 1.0]);
        let gradual = LayerSettings { unfreeze: Unfreeze::Gradual, ..all };
        check(gradual, 0, [0.0, 0.0, 0.0, 1.0]);
        check(gradual, 9, [0.0, 0.0, 0.0, 1.0]);
        check(gradual, 10, [0.0, 0.0, 1.0, 1.0]);
        // Where weights are tied, the head is a bias.
        let mut tied = Params::new(0, Device::Cpu);
        for (group, size) in [&[1, 1], &[1, 1], &[1, 1], [1].as_slice()].into_iter().enumerate() {
            let _ = tied.add(format!("w{group}"), size, 0.1, group).unwrap();
        }
        let layers = Layers::new(gradual, &tied, 10).unwrap();
        assert_eq!(
            [9, 10].map(|step| [0, 1, 2, 3].map(|group| layers.factor(group, step))),
            [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]]
        );
        check(gradual, 30, [1.0; 4]);
        check(LayerSettings { freeze_layers: 1, ..gradual }, 1000, [0.0, 1.0, 1.0, 1.0]);
        // Pretraining has no plan: all learn at the full rate.
        assert_eq!([0, 3].map(|group| Layers::default().factor(group, 0)), [1.0; 2]);
    }

    #[test]
    fn no_more_can_be_frozen_than_is_below_the_head() {
        let settings = LayerSettings { freeze_layers: 4, ..LayerSettings::default() };
        let message = Layers::new(settings, &params(), 1).unwrap_err().to_string();
        assert_eq!(
            message,
            "`finetune.freeze_layers` = 4: allowed: 0 to 3: the embedding and 2 of the GRU layers, below the head"
        );
    }
}
