//! The GPU, for tests that run where there is one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::Device;

/// The first CUDA device, or a line that says that a test is skipped. One test at a time has it: whether products are of TF32 is
/// a setting of the process.
pub(crate) fn cuda() -> Option<(Device, MutexGuard<'static, ()>)> {
    static ONE: Mutex<()> = Mutex::new(());
    let device = Device::cuda_if_available();
    if !device.is_cuda() {
        eprintln!("skipped: no CUDA device");
        return None;
    }
    Some((device, ONE.lock().unwrap_or_else(PoisonError::into_inner)))
}
