//! `[finetune]`: what is fine-tuned, and how carefully.

use std::path::PathBuf;

use grulm_config::Invalid;
use grulm_model::{DropoutConfig, ModelConfig};
use grulm_train::{LayerSettings, TrainConfig, Unfreeze};
use serde::{Deserialize, Serialize};

/// `[finetune]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FinetuneSection {
    /// The pretrained language model: a bundle, or a run folder, which means its best checkpoint. Tokenizer and cleaning are
    /// its own.
    pub(crate) pretrained: PathBuf,
    /// Starts from random weights of the same sizes instead, to compare.
    pub(crate) from_scratch: bool,
    /// Layers that stay as they are, counted from the input: 1 is the embedding, 2 the first GRU layer as well, and so on.
    pub(crate) freeze_layers: usize,
    /// "none": all other layers learn from the start; "gradual": the head first, then one more layer each epoch.
    pub(crate) unfreeze: Unfreeze,
    /// The learning rate of each layer is that of the layer above times this, in `0..=1`.
    pub(crate) layer_decay: f64,
    /// Pulls the weights back to the pretrained ones: this times the sum of squared differences is added to the loss.
    pub(crate) l2_sp: f64,
    /// Dropout rates of the encoder; those of the pretrained model where not set.
    pub(crate) dropout: Option<DropoutRates>,
    /// Goes on with language modelling on the task's own text first.
    pub(crate) adapt: Option<AdaptSection>,
}

impl Default for FinetuneSection {
    fn default() -> Self {
        let LayerSettings { freeze_layers, unfreeze, layer_decay, l2_sp } = LayerSettings::default();
        Self {
            pretrained: PathBuf::new(),
            from_scratch: false,
            freeze_layers,
            unfreeze,
            layer_decay,
            l2_sp,
            dropout: None,
            adapt: None,
        }
    }
}

/// `[finetune.adapt]`: language modelling on the task's text, as in ULMFiT (arXiv 1801.06146), before the task is learned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdaptSection {
    /// More text of the kind, without labels: files, folders, globs.
    pub(crate) text: Vec<String>,
    /// How it is trained; the keys of `[train]`.
    pub(crate) train: TrainConfig,
}

/// `[finetune.dropout]`: rates that are not those of the pretrained model; the keys of `[model.dropout]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DropoutRates {
    embedding: Option<f64>,
    input: Option<f64>,
    hidden: Option<f64>,
    weight: Option<f64>,
    output: Option<f64>,
}

impl DropoutRates {
    /// These rates, and those of `model` where none is given.
    fn over(&self, model: &DropoutConfig) -> DropoutConfig {
        DropoutConfig {
            embedding: self.embedding.unwrap_or(model.embedding),
            input: self.input.unwrap_or(model.input),
            hidden: self.hidden.unwrap_or(model.hidden),
            weight: self.weight.unwrap_or(model.weight),
            output: self.output.unwrap_or(model.output),
        }
    }
}

impl FinetuneSection {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let named = !self.pretrained.as_os_str().is_empty();
        Invalid::check("finetune.pretrained", &self.pretrained, named, "a bundle or run folder of `pretrainer`")?;
        Invalid::check_range("finetune.layer_decay", self.layer_decay, f64::MIN_POSITIVE..=1.0)?;
        Invalid::check_range("finetune.l2_sp", self.l2_sp, 0.0..f64::INFINITY)?;
        let allowed = "0, since nothing is pretrained (finetune.from_scratch)";
        Invalid::check(
            "finetune.freeze_layers",
            self.freeze_layers,
            self.freeze_layers == 0 || !self.from_scratch,
            allowed,
        )?;
        Invalid::check("finetune.l2_sp", self.l2_sp, self.l2_sp == 0.0 || !self.from_scratch, allowed)?;
        if let Some(dropout) = &self.dropout {
            dropout.over(&DropoutConfig::default()).validate("finetune.dropout")?;
        }
        if let Some(adapt) = &self.adapt {
            Invalid::check(
                "finetune.from_scratch",
                true,
                !self.from_scratch,
                "false, since there is [finetune.adapt]",
            )?;
            let nested = |invalid: Invalid| Invalid { key: format!("finetune.adapt.{}", invalid.key), ..invalid };
            adapt.train.validate().map_err(nested)?;
            let allowed = "not set: adaptation starts from finetune.pretrained";
            Invalid::check("finetune.adapt.train.init", &adapt.train.init, adapt.train.init.is_none(), allowed)?;
        }
        Ok(())
    }

    /// Sizes like those of the pretrained model, with the dropouts of fine-tuning.
    pub(crate) fn sizes(&self, pretrained: &ModelConfig) -> ModelConfig {
        let dropout =
            self.dropout.as_ref().map_or_else(|| pretrained.dropout.clone(), |own| own.over(&pretrained.dropout));
        ModelConfig { dropout, ..pretrained.clone() }
    }

    /// Which layers learn.
    pub(crate) fn layers(&self) -> LayerSettings {
        let &Self { freeze_layers, unfreeze, layer_decay, l2_sp, .. } = self;
        LayerSettings { freeze_layers, unfreeze, layer_decay, l2_sp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_are_not_given_are_the_models() {
        let own = DropoutConfig { embedding: 0.1, input: 0.2, hidden: 0.3, weight: 0.4, output: 0.5 };
        let pretrained = ModelConfig { dropout: own.clone(), ..ModelConfig::default() };
        let check = |dropout: Option<DropoutRates>, expect: DropoutConfig| {
            let section = FinetuneSection { dropout, ..FinetuneSection::default() };
            assert_eq!(section.sizes(&pretrained).dropout, expect);
        };
        check(None, own.clone());
        check(Some(DropoutRates::default()), own.clone());
        let rates = DropoutRates { input: Some(0.0), output: Some(0.6), ..DropoutRates::default() };
        check(Some(rates), DropoutConfig { input: 0.0, output: 0.6, ..own });
    }
}
