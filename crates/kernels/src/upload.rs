//! From the host to a device.

use tch::{Device, TchError, Tensor, kind::Element};

use crate::bridge;

/// `numbers` as a tensor `[N]` on `device`. A GPU takes them from pinned memory, so that the host need not wait until it has come
/// that far.
///
/// # Errors
/// When memory runs out.
pub fn upload<T: Element>(numbers: &[T], device: Device) -> Result<Tensor, TchError> {
    let host = Tensor::f_from_slice(numbers)?;
    match device {
        Device::Cuda(gpu) if !numbers.is_empty() => from_pinned(&host, gpu),
        _ => host.f_to_device(device),
    }
}

fn from_pinned(host: &Tensor, gpu: usize) -> Result<Tensor, TchError> {
    let gpu = i32::try_from(gpu).unwrap_or(i32::MAX);
    let mut copy = std::ptr::null_mut();
    // SAFETY: a live tensor, borrowed for this call; on success the bridge stores a new tensor, which we own from then on; a
    // failure leaves null.
    unsafe {
        bridge::check(bridge::grulm_upload(host.as_ptr(), gpu, &raw mut copy))
            .map_err(|error| TchError::Torch(error.to_string()))?;
        if copy.is_null() {
            return Err(TchError::Torch("no memory for the message of an error".into()));
        }
        Ok(Tensor::from_ptr(copy))
    }
}
