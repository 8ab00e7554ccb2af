//! The GRU language model and the parts that heads are built from.

mod error;
mod params;
mod random;

pub use error::Error;
pub use params::{Param, Params, load_tensors, save_tensors};
pub use random::Site;
