//! The arithmetic of forward and backward passes.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use tch::{Device, Kind, TchError, Tensor};

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
    /// The faster one on `device`: bf16 on a CUDA device, and on a CPU that multiplies bf16 in hardware and on which
    /// libtorch's products of it turn out at least 1.2 times as fast as those of f32.
    ///
    /// The instruction alone says little: processors differ in how often a cycle they can start it, and libtorch's f32
    /// products are better tuned on some of them. So both are measured, once a process, which takes some 50 ms with
    /// the number of threads set at that time. Where the two are nearly equal another process may find otherwise: what must be
    /// repeatable has to name its precision.
    #[must_use]
    pub fn fastest(device: Device) -> Self {
        static CPU: OnceLock<Precision> = OnceLock::new();
        match device {
            Device::Cpu => *CPU.get_or_init(fastest_on_cpu),
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

/// How much faster bf16 must be to be worth its coarser numbers.
const WORTHWHILE: f64 = 1.2;

fn fastest_on_cpu() -> Precision {
    if !cpu_multiplies_bf16() {
        return Precision::Fp32;
    }
    match (product_time(Kind::Float), product_time(Kind::BFloat16)) {
        (Ok(fp32), Ok(bf16)) if fp32.as_secs_f64() >= WORTHWHILE * bf16.as_secs_f64() => Precision::Bf16,
        _ => Precision::Fp32,
    }
}

/// The best time of a few products of the size of a layer's input projection: 350 positions, 512 units, 3 gates.
fn product_time(kind: Kind) -> Result<Duration, TchError> {
    const BUDGET: Duration = Duration::from_millis(25);
    let a = Tensor::f_ones([350, 512], (Kind::Float, Device::Cpu))?.f_to_kind(kind)?;
    let b = Tensor::f_ones([512, 1536], (Kind::Float, Device::Cpu))?.f_to_kind(kind)?;
    let begin = Instant::now();
    // The first product also builds the kernel, and is not timed.
    let _ = a.f_matmul(&b)?;
    let mut best = Duration::MAX;
    for _ in 0..8 {
        let start = Instant::now();
        let _ = a.f_matmul(&b)?;
        best = best.min(start.elapsed());
        if begin.elapsed() > BUDGET {
            break;
        }
    }
    Ok(best)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> bool {
        let mut before = false;
        // SAFETY: `before` outlives the calls, each of which writes one bool to it.
        unsafe {
            bridge::check(bridge::grulm_autocast(false, false, &raw mut before)).unwrap();
            let found = before;
            bridge::check(bridge::grulm_autocast(false, found, &raw mut before)).unwrap();
            found
        }
    }

    #[test]
    fn the_fastest_is_the_same_within_a_process() {
        let all: Vec<Precision> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Precision::fastest(Device::Cpu))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all, [Precision::fastest(Device::Cpu); 4]);
        if !cpu_multiplies_bf16() {
            assert_eq!(all[0], Precision::Fp32);
        }
        assert_eq!(Precision::fastest(Device::Cuda(0)), Precision::Bf16);
        assert_eq!(Precision::fastest(Device::Mps), Precision::Fp32);
    }

    #[test]
    fn autocast_ends_with_its_body_also_by_a_panic() {
        let a = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let inside = |precision| autocast(precision, Device::Cpu, || (enabled(), a.matmul(&a).kind())).unwrap();
        assert_eq!(inside(Precision::Bf16), (true, Kind::BFloat16));
        assert!(!enabled());
        let nested = autocast(Precision::Bf16, Device::Cpu, || (inside(Precision::Fp32), enabled())).unwrap();
        assert_eq!(nested, ((false, Kind::Float), true));
        let body = || autocast(Precision::Bf16, Device::Cpu, || panic!("in the body"));
        assert!(std::panic::catch_unwind(body).is_err());
        assert!(!enabled());
        // The switch is one of the thread: others keep theirs.
        let elsewhere = || std::thread::scope(|scope| scope.spawn(enabled).join().unwrap());
        assert!(!autocast(Precision::Bf16, Device::Cpu, elsewhere).unwrap());
    }

    #[test]
    fn casts_are_dropped_when_autocast_ends() {
        let weight = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let x = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
        let sum = || {
            let product = autocast(Precision::Bf16, Device::Cpu, || x.matmul(&weight)).unwrap();
            product.sum(Kind::Float).double_value(&[])
        };
        assert_eq!(sum(), 4.0);
        let _ = tch::no_grad(|| weight.shallow_clone().fill_(2.0));
        assert_eq!(sum(), 8.0);
    }
}
