//! Randomness without a generator's state: every draw is a function of where it is needed.

use grulm_kernels::{GOLDEN, mix, random_bits};
use tch::{Device, Kind, Tensor};

use crate::Error;

/// The place of a draw: a hash of everything that it depends on (seed, stage, step, layer, purpose).
///
/// The number at index `i` is `SplitMix64` (Steele et al., OOPSLA 2014) at counter `i`, keyed by the site. Equal sites
/// give equal numbers on every device and with any number of threads, so that a resumed run repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site(u64);

impl Site {
    /// The root of all sites of a run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// The site below this one that `key` names.
    #[must_use]
    pub fn at(self, key: u64) -> Self {
        Self(mix(self.0.wrapping_mul(GOLDEN) ^ mix(key.wrapping_add(GOLDEN))))
    }

    /// The site below this one that `name` names.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        name.bytes().fold(self.at(name.len() as u64), |site, byte| site.at(u64::from(byte)))
    }

    /// 64 random bits.
    #[must_use]
    pub fn bits(self, index: u64) -> u64 {
        random_bits(self.0, index)
    }

    /// A number in `0..1`, uniform.
    #[must_use]
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform numbers in `-bound..bound`, f32.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn uniform_tensor(self, shape: &[i64], bound: f64, device: Device) -> Result<Tensor, Error> {
        /// Numbers that are drawn at a time.
        const PART: i64 = 1 << 20;
        let tensor = Tensor::f_zeros(shape, (Kind::Float, device))?;
        let all = tensor.f_view(-1)?;
        let count = all.size1()?;
        for start in (0..count).step_by(PART as usize) {
            let part = start..count.min(start + PART);
            let length = part.end - part.start;
            let number = |i: i64| ((self.uniform(i.unsigned_abs()) * 2.0 - 1.0) * bound) as f32;
            let values: Vec<f32> = part.map(number).collect();
            all.f_narrow(0, start, length)?.f_copy_(&Tensor::f_from_slice(&values)?)?;
        }
        Ok(tensor)
    }

    /// A dropout mask: `1 / (1 - p)` where a unit is kept, which happens with probability `1 - p`, and else 0; f32.
    ///
    /// # Errors
    /// When `p` is not in `0..1`, or memory runs out.
    pub fn dropout_mask(self, shape: &[i64], p: f64, device: Device) -> Result<Tensor, Error> {
        Ok(grulm_kernels::dropout_mask(self.0, shape, p, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_differ_in_every_part_of_their_path() {
        let root = Site::new(7);
        let sites = [root, Site::new(8), root.at(0), root.at(1), root.at(0).at(0), root.named("a"), root.named("b")];
        for (i, a) in sites.iter().enumerate() {
            for b in &sites[..i] {
                assert_ne!(a.bits(0), b.bits(0));
            }
        }
    }

    #[test]
    fn uniform_numbers_fill_their_range() {
        let values = Site::new(3).uniform_tensor(&[10_000], 0.5, Device::Cpu).unwrap();
        assert!(values.abs().max().double_value(&[]) <= 0.5);
        assert!(values.mean(Kind::Float).double_value(&[]).abs() < 0.01);
        assert!((values.std(true).double_value(&[]) - 0.5 / 3f64.sqrt()).abs() < 0.01);
    }
}
