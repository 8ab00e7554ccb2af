//! What computes, and in which arithmetic.

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use crate::{
    Error, Precision, autocast,
    native::Table,
    simd::{Isa, has_tiles},
};

/// Which implementation of the recurrent layer and of the softmax's loss runs on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// This crate's own, for an instruction set that the processor has.
    Native(Isa),
    /// The same structure over libtorch's products: for every processor, and what the others are tested against.
    Portable,
    /// libtorch's own layers: what this crate is measured against.
    Libtorch,
}

impl Kernels {
    /// The fastest for this processor in f32.
    #[must_use]
    pub fn best() -> Self {
        Isa::detect().map_or(Self::Portable, Self::Native)
    }

    /// The name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native(isa) => isa.name(),
            Self::Portable => "portable",
            Self::Libtorch => "libtorch",
        }
    }

    /// The faster arithmetic on `device`.
    ///
    /// Own kernels are faster in bf16 where the processor multiplies it. What libtorch's products do best is measured.
    fn fastest_precision(self, device: Device) -> Precision {
        match self {
            Self::Native(Isa::Avx512Bf16) if device == Device::Cpu => Precision::Bf16,
            Self::Native(_) if device == Device::Cpu => Precision::Fp32,
            _ => Precision::fastest(device),
        }
    }
}

/// How a pass is computed. On a CUDA device the kernels are cuDNN's, whatever `kernels` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// The arithmetic of matrix products.
    pub precision: Precision,
    /// The implementation.
    pub kernels: Kernels,
}

impl Compute {
    /// 32-bit floating point with the best kernels for this processor.
    #[must_use]
    pub fn fp32() -> Self {
        Self { precision: Precision::Fp32, kernels: Kernels::best() }
    }

    /// What is fastest on `device`, of what is not chosen.
    ///
    /// A processor with tiles (Intel's AMX) multiplies bf16 several times as fast in them as in vectors. libtorch's products use
    /// tiles and this crate's do not, so that bf16 is [`Kernels::Portable`] there.
    #[must_use]
    pub fn fastest(kernels: Option<Kernels>, precision: Option<Precision>, device: Device) -> Self {
        Self::choose(kernels, precision, device, Kernels::best(), has_tiles())
    }

    fn choose(
        kernels: Option<Kernels>,
        precision: Option<Precision>,
        device: Device,
        own: Kernels,
        tiles: bool,
    ) -> Self {
        let in_bf16 = if tiles { Kernels::Portable } else { own };
        let precision = precision.unwrap_or_else(|| kernels.unwrap_or(in_bf16).fastest_precision(device));
        let in_precision = if precision == Precision::Bf16 { in_bf16 } else { own };
        Self { precision, kernels: kernels.unwrap_or(in_precision) }
    }

    /// The name, in logs, of the implementation that runs on `device`.
    #[must_use]
    pub fn kernels_on(self, device: Device) -> &'static str {
        if device.is_cuda() { "cuDNN" } else { self.kernels.name() }
    }

    /// The kernels of this crate for tensors on `device`, where they are to run there.
    pub(crate) fn table(self, device: Device) -> Option<&'static Table> {
        match self.kernels {
            #[cfg(target_arch = "x86_64")]
            Kernels::Native(isa) if device == Device::Cpu => {
                // Whoever made the value by hand may have named what the processor does not have.
                (Isa::detect()? >= isa).then(|| crate::native::table(isa, self.precision))
            }
            _ => None,
        }
    }
}

/// Operations a second of a square matrix product on `device`, as fast as the kernels have it, measured for a fifth of a
/// second: what the speed of training is to be compared with.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn product_speed(compute: Compute, device: Device) -> Result<f64, Error> {
    const WIDTH: i64 = 1024;
    let refused = |error| Error(format!("libtorch: {error}"));
    let matrix = Tensor::f_ones([WIDTH, WIDTH], (Kind::Float, device)).map_err(refused)?;
    let multiply = || match compute.table(device) {
        Some(table) => {
            crate::native::square(table, &matrix);
            Ok(())
        }
        None => autocast(compute.precision, device, || {
            let product = matrix.f_matmul(&matrix)?;
            // Reading a value waits for the device.
            f64::try_from(product.f_get(0)?.f_get(0)?).map(drop)
        })?
        .map_err(refused),
    };
    multiply()?;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_millis(200) {
        multiply()?;
        count += 1;
    }
    Ok(2.0 * (WIDTH as f64).powi(3) * f64::from(count) / begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_chosen_is_what_is_fastest() {
        let vectors = Kernels::Native(Isa::Avx512Bf16);
        let check = |kernels, precision, tiles, expect: (Option<Precision>, Kernels)| {
            let found = Compute::choose(kernels, precision, Device::Cpu, vectors, tiles);
            let (expect_precision, expect_kernels) = expect;
            assert_eq!(found.kernels, expect_kernels, "{kernels:?} {precision:?} {tiles}");
            if let Some(expect) = expect_precision {
                assert_eq!(found.precision, expect, "{kernels:?} {precision:?} {tiles}");
            }
        };
        let (fp32, bf16) = (Some(Precision::Fp32), Some(Precision::Bf16));
        check(None, None, false, (bf16, vectors));
        check(None, bf16, false, (bf16, vectors));
        check(None, fp32, false, (fp32, vectors));
        check(None, bf16, true, (bf16, Kernels::Portable));
        check(None, fp32, true, (fp32, vectors));
        check(Some(vectors), None, true, (bf16, vectors));
        check(Some(Kernels::Libtorch), bf16, true, (bf16, Kernels::Libtorch));
        let portable = Compute { precision: Precision::Fp32, kernels: Kernels::Portable };
        assert_eq!([Device::Cpu, Device::Cuda(0)].map(|device| portable.kernels_on(device)), ["portable", "cuDNN"]);
        // Measured: whatever it is, kernels and precision go together.
        let found = Compute::choose(None, None, Device::Cpu, vectors, true);
        assert_eq!(found.kernels == vectors, found.precision == Precision::Fp32, "{found:?}");
    }
}
