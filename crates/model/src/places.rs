//! The places of texts that lie side by side.

use tch::{Device, Kind, Tensor};

use crate::Error;

/// The numbers below `time`, int64 `[time]`.
pub(crate) fn places(time: i64, device: Device) -> Result<Tensor, Error> {
    Ok(Tensor::f_arange(time, (Kind::Int64, device))?)
}

/// Places behind the end of texts of these lengths, among `time`: bool `[B, time]`.
pub(crate) fn outside(lengths: &[i64], time: i64, device: Device) -> Result<Tensor, Error> {
    let lengths = grulm_kernels::upload(lengths, device)?.f_unsqueeze(1)?;
    Ok(places(time, device)?.f_ge_tensor(&lengths)?)
}
