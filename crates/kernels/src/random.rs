//! Random numbers that are functions of a key and an index, and dropout masks made of them.

use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    native::{parallel, share, threads},
};

/// The odd number next to 2^64 over the golden ratio: what the counter of `SplitMix64` is multiplied by.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: [(u32, u64); 2] = [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)];
const LAST_SHIFT: u32 = 31;

/// The finaliser of `SplitMix64` (Steele et al., OOPSLA 2014): a bijection whose results look random.
#[inline]
#[must_use]
pub fn mix(x: u64) -> u64 {
    let mixed = MIX.into_iter().fold(x, |x, (shift, factor)| (x ^ (x >> shift)).wrapping_mul(factor));
    mixed ^ (mixed >> LAST_SHIFT)
}

/// 64 random bits: `SplitMix64` at counter `index`, from `key`.
#[inline]
#[must_use]
pub fn random_bits(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// Numbers that one hash decides: a fourth of its bits each.
const A_HASH: usize = 4;

/// A dropout mask: `1 / (1 - p)` where a unit is kept, which happens with probability `1 - p` (met to 1/65536), and else 0;
/// f32, a function of `key`, the same on every device and with any number of threads.
///
/// # Errors
/// When a size is negative, `p` is not in `0..1`, or memory runs out.
pub fn dropout_mask(key: u64, shape: &[i64], p: f64, device: Device) -> Result<Tensor, Error> {
    if !(0.0..1.0).contains(&p) || shape.iter().any(|&size| size < 0) {
        return Err(Error(format!(
            "dropout mask: rate {p} and shape {shape:?}; expected 0 to below 1, no size below 0"
        )));
    }
    let threshold = (p * 65536.0).round() as u32;
    let scale = (1.0 / (1.0 - p)) as f32;
    let refused = |error| Error(format!("dropout mask: libtorch: {error}"));
    if device.is_cuda() {
        return on_device(key, shape, threshold, scale, device).map_err(refused);
    }
    let mask = Tensor::f_empty(shape, (Kind::Float, Device::Cpu)).map_err(refused)?;
    fill(key, threshold, scale, Numbers { start: mask.data_ptr().cast(), count: mask.numel() });
    mask.f_to_device(device).map_err(refused)
}

/// Memory that is written by all threads, each its own part.
#[derive(Clone, Copy)]
struct Numbers {
    start: *mut f32,
    count: usize,
}

// SAFETY: pointers are numbers; those who write what they point to say why they may.
unsafe impl Sync for Numbers {}

fn fill(key: u64, threshold: u32, scale: f32, numbers: Numbers) {
    /// Fewer are not worth the call of another thread.
    const A_THREAD: usize = 1 << 14;
    let hashes = numbers.count.div_ceil(A_HASH);
    let parts = threads().min(hashes.div_ceil(A_THREAD));
    let numbers = &numbers;
    parallel(parts, &|own: std::ops::Range<usize>| {
        for index in share(hashes, parts, &own) {
            let bits = random_bits(key, index as u64);
            for lane in 0..A_HASH.min(numbers.count - index * A_HASH) {
                let kept = ((bits >> (16 * lane)) as u32) & 0xffff >= threshold;
                // SAFETY: within the tensor, and no other part has this place.
                unsafe { numbers.start.add(index * A_HASH + lane).write(if kept { scale } else { 0.0 }) };
            }
        }
    });
}

/// The same numbers by libtorch's operations, as few as will do: each is a launch, and most masks are small.
fn on_device(key: u64, shape: &[i64], threshold: u32, scale: f32, device: Device) -> Result<Tensor, tch::TchError> {
    // Shifts of signed numbers drag the sign along.
    let shifted = |x: &Tensor, by: u32| {
        x.f_bitwise_right_shift_tensor_scalar(i64::from(by))?.f_bitwise_and((u64::MAX >> by).cast_signed())
    };
    let count = shape.iter().product::<i64>();
    let hashes = count.unsigned_abs().div_ceil(A_HASH as u64).cast_signed();
    let counter = Tensor::f_arange_start(1, hashes + 1, (Kind::Int64, device))?;
    let mut x = counter.f_mul_scalar(GOLDEN.cast_signed())?.f_add_scalar(key.cast_signed())?;
    for (shift, factor) in MIX {
        x = x.f_bitwise_xor_tensor(&shifted(&x, shift)?)?.f_mul_scalar(factor.cast_signed())?;
    }
    x = x.f_bitwise_xor_tensor(&shifted(&x, LAST_SHIFT)?)?;
    // Of a dragged sign, the lowest 16 bits have nothing.
    let lanes = Tensor::f_arange_start_step(0, 64, 16, (Kind::Int64, device))?;
    let lanes = x.f_unsqueeze(1)?.f_bitwise_right_shift(&lanes)?.f_bitwise_and(0xffff)?;
    let lanes = lanes.f_view(-1)?.f_narrow(0, 0, count)?;
    lanes.f_ge(i64::from(threshold))?.f_to_kind(Kind::Float)?.f_mul_scalar(f64::from(scale))?.f_view(shape)
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;

    #[test]
    fn masks_keep_the_share_and_the_mean() {
        for p in [0.0, 0.1, 0.5, 0.9] {
            let mask = dropout_mask(1, &[100, 1001], p, Cpu).unwrap();
            let kept = mask.gt(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            assert!((kept - (1.0 - p)).abs() < 0.01, "{p}: {kept}");
            assert!((mask.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 0.04);
        }
    }

    /// Sizes of nothing, of parts of a hash, and of several threads' parts.
    #[test]
    fn masks_are_the_same_by_either_way_and_with_any_number_of_threads() {
        for shape in [&[0][..], &[1], &[3, 1, 2], &[1, 7], &[501, 401]] {
            for (key, p) in [(0, 0.25), (u64::MAX, 0.5), (0x1234_5678_9abc_def0, 0.999)] {
                let mask = dropout_mask(key, shape, p, Cpu).unwrap();
                let (threshold, scale) = ((p * 65536.0).round() as u32, (1.0 / (1.0 - p)) as f32);
                assert!(on_device(key, shape, threshold, scale, Cpu).unwrap().equal(&mask), "{shape:?} {p}");
                let before = tch::get_num_threads();
                tch::set_num_threads(3);
                assert!(dropout_mask(key, shape, p, Cpu).unwrap().equal(&mask), "{shape:?} {p}");
                tch::set_num_threads(before);
            }
        }
    }

    #[test]
    fn misuse_is_an_error() {
        for (shape, p) in [(&[2, -1][..], 0.5), (&[2], 1.0), (&[2], -0.1), (&[2], f64::NAN)] {
            assert!(dropout_mask(1, shape, p, Cpu).is_err(), "{shape:?} {p}");
        }
    }
}
