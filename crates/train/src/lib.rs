//! How anything is trained: one loop for every [`Task`](grulm_tasks::Task).
//!
//! [`train`] is the loop. It writes a run folder: `config.toml`, `metrics.jsonl` (what is deterministic), `timing.jsonl`
//! (what is not), and `checkpoints/`, with the files `best` and `last` that name two of them. A run that was stopped, or
//! killed, continues bit for bit.
//!
//! ```
//! use grulm_train::{Schedule, TrainConfig};
//!
//! let config = TrainConfig { learning_rate: 0.1, schedule: Schedule::Linear, ..TrainConfig::default() };
//! config.validate()?;
//! assert!((config.rates().at(50, 100) - 0.05).abs() < 1e-12);
//! # Ok::<(), grulm_config::Invalid>(())
//! ```

mod budget;
mod checkpoint;
mod config;
mod divergence;
mod error;
mod export;
mod find_lr;
mod layers;
mod memory;
mod optim;
mod recorder;
mod run_config;
mod run_folder;
mod schedule;
mod snapshot;
mod state;
mod stop;
mod trainer;
mod update;

pub use budget::seconds_a_step;
pub use checkpoint::{best_checkpoint, best_is_whole, finished, list as checkpoints};
pub use config::{Budget, OptimizerKind, PrecisionSetting, TrainConfig};
pub use divergence::OnDivergence;
pub use error::Error;
pub use export::{export, is_exported};
pub use find_lr::{LrCurve, LrPoint, LrRange, find_lr};
pub use layers::{LayerSettings, Layers, Unfreeze};
pub use memory::{Resident, installed_memory};
pub use optim::{Gradient, Optimizer};
pub use run_config::{DeviceSetting, KernelsSetting, LogLevel, RunConfig};
pub use run_folder::{ADAPT, RunFolder, Start};
pub use schedule::{Rates, Schedule, Warmup};
pub use state::{Best, TrainState};
pub use stop::StopFlag;
pub use trainer::{Options, Outcome, train};
