//! Weights of eight bits.
//!
//! A row is symmetric about zero and has a scale of its own: `w = scale * q`, `q` in `-127..=127`. The vector has fourteen bits
//! and one scale: `x = scale * (128 * (high - 64) + low)` with digits in `0..=127`, small enough for every processor's products
//! of bytes, so that all of them find the same integers. Nearly all of the error is the weights'; the second digit costs no
//! time where memory is what is waited for.

use std::ops::Range;

use super::format::Format;
use crate::{
    native::{
        pack::{Matrix, Order, Packed},
        parallel::{parallel, share, threads},
    },
    simd::Simd,
};

/// See the module.
pub(crate) struct Int8;

/// Numbers a unit.
const PER_UNIT: usize = 4;
/// Words of every row before its units: its scale, and -64 times the sum of its integers.
const HEADER: usize = 2;
/// The largest integer of a weight, and of a vector.
const MOST_WEIGHT: f32 = 127.0;
const MOST: f32 = 8191.0;
impl Format for Int8 {
    fn pack<S: Simd>(matrix: Matrix, order: Order) -> Packed {
        let width = 3 * S::LANES;
        let packed = Packed::new(order.panels(width, matrix.outer), width, HEADER + matrix.depth.div_ceil(PER_UNIT));
        let parts = threads().min(packed.panels);
        parallel(parts, &|own: Range<usize>| {
            for panel in share(packed.panels, parts, &own) {
                for lane in 0..width {
                    // SAFETY: the row is within the matrix, its place within the panel, which only this thread writes.
                    unsafe {
                        let row = order.outer(panel, lane, width, matrix.outer).map_or(&[][..], |row| matrix.row(row));
                        pack_row(row, packed.at(panel, 0).add(lane), width, packed.depth - HEADER);
                    }
                }
            }
        });
        packed
    }

    fn prepared(count: usize) -> usize {
        1 + 2 * count.div_ceil(PER_UNIT)
    }

    #[inline(always)]
    unsafe fn prepare<S: Simd>(x: *const f32, count: usize, to: *mut u32) {
        // SAFETY: the caller's.
        unsafe {
            let x = std::slice::from_raw_parts(x, count);
            let (scale, inverse) = scale(x, MOST);
            *to = scale.to_bits();
            let to = to.add(1);
            let unit = |numbers: &[f32], at: usize| {
                let (mut high, mut low) = (0, 0);
                for (index, &x) in numbers.iter().enumerate() {
                    let digits = nearest(x * inverse).wrapping_add(8192);
                    high |= (digits >> 7 & 127) << (8 * index);
                    low |= (digits & 127) << (8 * index);
                }
                *to.add(2 * at) = high;
                *to.add(2 * at + 1) = low;
            };
            let whole = x.chunks_exact(PER_UNIT);
            let rest = whole.remainder();
            let units = whole.len();
            whole.enumerate().for_each(|(at, numbers)| unit(numbers, at));
            if !rest.is_empty() {
                unit(rest, units);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd>(weights: &Packed, panel: usize, x: *const u32) -> [S::V; 3] {
        let width = 3 * S::LANES;
        // SAFETY: the caller's; every unit is within the panel.
        unsafe {
            let scales = weights.at(panel, 0).cast::<f32>();
            let offsets = scales.add(width);
            let (mut w, mut digits) = (offsets.add(width), x.add(1).cast::<f32>());
            let mut high = [S::load(offsets), S::load(offsets.add(S::LANES)), S::load(offsets.add(2 * S::LANES))];
            let mut low = [S::splat(0.0); 3];
            for _ in HEADER..weights.depth {
                let (first, second) = (S::splat(*digits), S::splat(*digits.add(1)));
                for index in 0..3 {
                    let bytes = S::load(w.add(index * S::LANES));
                    high[index] = S::dot_bytes(first, bytes, high[index]);
                    low[index] = S::dot_bytes(second, bytes, low[index]);
                }
                w = w.add(width);
                digits = digits.add(2);
            }
            let mut products = [S::splat(f32::from_bits(*x)); 3];
            for (index, product) in products.iter_mut().enumerate() {
                let sum = S::fma(S::from_integers(high[index]), S::splat(128.0), S::from_integers(low[index]));
                *product = S::mul(S::mul(*product, S::load(scales.add(index * S::LANES))), sum);
            }
            products
        }
    }
}

/// What the integers of `x` up to `most` are multiplied by, and its inverse. Not finite where `x` is not; zero, as the inverse,
/// where there is nothing but zeros and numbers next to it.
#[inline(always)]
fn scale(x: &[f32], most: f32) -> (f32, f32) {
    // Without their sign the bits of floating-point numbers are in their order, and infinity and NaN the largest.
    let largest = x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff));
    let scale = f32::from_bits(largest) / most;
    (scale, if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 })
}

/// The integer next to a number of at most 22 bits, ties to even, in two's complement; of any other number, something.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    // So large a number has no bits left for a fraction.
    const ROUND: f32 = 12_582_912.0;
    (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits())
}

/// Packs a row; an empty one is zeros.
///
/// # Safety
/// `HEADER + units` words, `stride` apart, can be written at `to`.
unsafe fn pack_row(row: &[f32], to: *mut u32, stride: usize, units: usize) {
    let (scale, inverse) = scale(row, MOST_WEIGHT);
    let mut sum = 0;
    // SAFETY: the caller's.
    unsafe {
        for unit in 0..units {
            let numbers = &row[row.len().min(unit * PER_UNIT)..row.len().min((unit + 1) * PER_UNIT)];
            let mut bytes = [0; PER_UNIT];
            for (byte, &x) in bytes.iter_mut().zip(numbers) {
                *byte = nearest(x * inverse) as u8;
                sum += i32::from(byte.cast_signed());
            }
            *to.add((HEADER + unit) * stride) = u32::from_le_bytes(bytes);
        }
        *to = scale.to_bits();
        *to.add(stride) = (-64 * sum).cast_unsigned();
    }
}
