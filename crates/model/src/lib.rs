//! The GRU language model and the parts that heads are built from.
//!
//! ```
//! use grulm_kernels::Compute;
//! use grulm_model::{LanguageModel, ModelConfig, Reading};
//! use tch::{Device, Tensor};
//!
//! let config = ModelConfig { embedding: 8, hidden: 16, layers: 2, ..ModelConfig::default() };
//! let model = LanguageModel::new(&config, 100, 1, Device::Cpu)?;
//! let carry = model.encoder().zero_carry(Reading::Forward, 1, Device::Cpu)?;
//! let tokens = Tensor::from_slice(&[5i64, 17, 42]).view([3, 1]); // [T, B]
//! let (logits, _carry) = model.logits(Reading::Forward, &tokens, &carry, Compute::fp32())?;
//! assert_eq!(logits.size(), [3, 1, 100]); // [T, B, V]
//! # Ok::<(), grulm_model::Error>(())
//! ```

mod attention;
mod attentive;
mod bidirectional;
mod config;
mod dropout;
mod encoder;
mod error;
mod gru;
mod language_model;
mod linear;
mod params;
mod penalties;
mod places;
mod pool;
mod random;
mod sample;
mod shape;
mod similarity;
mod softmax;
mod span_reader;
mod span_scores;
mod stack;
mod weights;

pub use attentive::{AttentiveStack, Progress, Source};
pub use bidirectional::{Bidirectional, Turn};
pub use config::{Direction, DropoutConfig, ModelConfig, Reading};
pub use dropout::Noise;
pub use encoder::{Carry, Encoder};
pub use error::Error;
pub use language_model::{LanguageModel, TrainingLoss};
pub use linear::{LayerNorm, Linear};
pub use params::{Param, Params};
pub use penalties::OutputPenalties;
pub use pool::{Pool, PooledLayers};
pub use random::Site;
pub use sample::{Sampler, Sampling};
pub use shape::{SHAPE_FILE, Shape, WEIGHTS_FILE};
pub use softmax::Softmax;
pub use span_reader::{LayeredTexts, QuestionRows, SpanReader, SpanReaderSizes};
pub use span_scores::{BestSpans, SpanScores};
pub use weights::{WeightFormat, convert_weights, load_tensors, save_tensors};
