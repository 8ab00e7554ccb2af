//! The sections that the config of every run has.

use std::path::Path;

use grulm_config::Validate;
use grulm_kernels::{Compute, Precision};
use grulm_train::{PrecisionSetting, RunConfig, TrainConfig};
use serde::{Serialize, de::DeserializeOwned};
use tch::Device;

use crate::previous::Previous;

/// The config of a run, of whatever it trains.
pub trait Sections: Clone + Serialize + DeserializeOwned + Validate {
    /// Settings of the config's other sections that say where things are, not what is computed: they may differ when a run
    /// goes on.
    const INCIDENTAL: &'static [&'static str];

    /// `[run]`: where the run lies and what computes.
    fn run(&self) -> &RunConfig;

    /// `[train]`: how it is trained.
    fn train(&self) -> &TrainConfig;

    /// `[train]`, to be changed.
    fn train_mut(&mut self) -> &mut TrainConfig;

    /// The model that the run starts from, and the key that names it.
    fn starts_from(&self) -> Option<(&'static str, &Path)>;

    /// What computes on `device`, and in which arithmetic.
    fn compute(&self, device: Device) -> Compute {
        Compute::fastest(self.run().kernels.named(), self.train().precision.named(), device)
    }

    /// Turns `train.precision = "auto"` into what it means for this run. On a CPU it may be measured, so what it meant when
    /// the run began is what `config.toml` says, and counts when the run goes on.
    fn settle_precision(&mut self, previous: Option<&Previous>, device: Device) {
        if let (PrecisionSetting::Auto, Some(previous)) = (self.train().precision, previous) {
            self.train_mut().precision = previous.precision;
        }
        self.train_mut().precision = match self.compute(device).precision {
            Precision::Fp32 => PrecisionSetting::Fp32,
            Precision::Bf16 => PrecisionSetting::Bf16,
        };
    }
}
