//! The arithmetic of forward and backward passes.

use tch::Device;

use crate::{Error, bridge};

/// The arithmetic of matrix products in the forward and backward pass. Weights, their gradients and the optimizer's
/// state are f32 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    Fp32,
    /// Products of bfloat16 numbers, accumulated in f32.
    Bf16,
}

impl Precision {
    /// The fastest that `device` multiplies in hardware.
    #[must_use]
    pub fn fastest(device: Device) -> Self {
        match device {
            Device::Cpu if cpu_multiplies_bf16() => Self::Bf16,
            Device::Cuda(_) => Self::Bf16,
            _ => Self::Fp32,
        }
    }

    /// The name in configs and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_multiplies_bf16() -> bool {
    // AMX tiles come with avx512_bf16 on every processor that has them.
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(target_arch = "aarch64")]
fn cpu_multiplies_bf16() -> bool {
    std::arch::is_aarch64_feature_detected!("bf16")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_multiplies_bf16() -> bool {
    false
}

/// Runs `body` with matrix products in `precision` on `device` (libtorch's autocast; `tch::autocast` does nothing on a
/// CPU). The backward pass of what `body` computed keeps its types, wherever it runs.
///
/// # Errors
/// When libtorch refuses the switch.
pub fn autocast<R>(precision: Precision, device: Device, body: impl FnOnce() -> R) -> Result<R, Error> {
    let cuda = device.is_cuda();
    let guard = Autocast { cuda, before: set_autocast(cuda, precision == Precision::Bf16)? };
    let result = body();
    drop(guard);
    Ok(result)
}

struct Autocast {
    cuda: bool,
    before: bool,
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // Only a lack of memory can fail here, and then the next product fails as well.
        let _ = set_autocast(self.cuda, self.before);
    }
}

fn set_autocast(cuda: bool, enabled: bool) -> Result<bool, Error> {
    let mut before = false;
    // SAFETY: `before` outlives the call, which writes one bool to it.
    bridge::check(unsafe { bridge::grulm_autocast(cuda, enabled, &raw mut before) })?;
    Ok(before)
}
