//! Vectors of f32, one type an instruction set, and the loops that are compiled once for each.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod bytes;
pub(crate) mod emulated;
mod math;
mod tile;

#[cfg(target_arch = "x86_64")]
pub(crate) use self::{
    avx2::Avx2,
    avx512::{Avx512, Avx512Bf16},
};
pub(crate) use math::{exp, sigmoid, tanh};
pub(crate) use tile::Tile;

/// The vectors of an instruction set.
///
/// # Safety
/// Every function may be called only where the processor has the instruction set, and reads or writes `LANES` numbers
/// behind its pointers.
pub(crate) trait Simd: Copy + 'static {
    /// `LANES` f32.
    type V: Copy;
    /// Numbers a vector.
    const LANES: usize;
    /// Rows of the micro-kernel: with its three vectors of columns, as many sums as the registers hold.
    const ROWS: usize;
    /// Units of depth after which a product's micro-panels are left for the next ones: what the cache next to the core holds.
    const DEPTH: usize;

    /// Runs `job` compiled for this instruction set.
    unsafe fn execute<J: Job>(job: &J);
    /// The micro-kernel.
    unsafe fn tile<E: Element>(tile: &Tile);

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `count` numbers, at most `LANES`, behind `p`; the others are those of `rest`. Nothing beyond is read.
    unsafe fn load_some(p: *const f32, count: usize, rest: Self::V) -> Self::V;
    /// Writes the first `count` numbers, at most `LANES`, and nothing beyond.
    unsafe fn store_some(p: *mut f32, v: Self::V, count: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c` and, in f32, the two products of a pair of bf16 numbers a lane.
    unsafe fn dot_bf16(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c`, 32-bit integers, and the products of four bytes a lane: those of `a` in `0..=127`, those of `b` in `-127..=127`.
    unsafe fn dot_bytes(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// 32-bit integers as f32.
    unsafe fn from_integers(v: Self::V) -> Self::V;
    /// A pair of bf16 numbers a lane: the nearest ones to those of `low` and `high`.
    unsafe fn pair_bf16(low: Self::V, high: Self::V) -> Self::V;
    /// A pair of bf16 numbers a lane, nearest to the `2 * LANES` numbers behind `p` in their order.
    unsafe fn pairs_bf16(p: *const f32) -> Self::V;
    /// Writes lane `i` of each of the first `ROWS` of `rows` behind `to + i * stride`, for every lane.
    unsafe fn transpose(rows: &[Self::V; MOST_ROWS], to: *mut u32, stride: usize);
    /// To the nearest integer.
    unsafe fn round(v: Self::V) -> Self::V;
    /// 2 to the power of integers in `-126..=127`.
    unsafe fn exp2i(v: Self::V) -> Self::V;
}

/// The largest [`Simd::ROWS`].
pub(crate) const MOST_ROWS: usize = 8;

/// A loop that is compiled for every instruction set. `run` and all that it calls must be `#[inline(always)]`: only then do
/// they become part of a function that may use the instructions. Closures cannot be, so none may touch a vector;
/// `scripts/check_inlining.sh` finds what did not become a part.
pub(crate) trait Job {
    /// # Safety
    /// As each implementation says; and the processor has `S`.
    unsafe fn run<S: Simd>(&self);
}

/// How the numbers of a product are packed: in units of 32 bits.
pub(crate) trait Element: 'static {
    /// Numbers a unit, next to each other in depth.
    const PER_UNIT: usize;
    /// A unit of the numbers at two neighbouring depths.
    fn unit(low: f32, high: f32) -> u32;
    /// Units of the numbers at two neighbouring depths.
    ///
    /// # Safety
    /// The processor has `S`.
    unsafe fn units<S: Simd>(low: S::V, high: S::V) -> S::V;
    /// `LANES` units of the numbers behind `p`.
    ///
    /// # Safety
    /// So many numbers, `PER_UNIT` a unit, can be read; the processor has `S`.
    unsafe fn load<S: Simd>(p: *const f32) -> S::V;
    /// `c` and the products of the units of `a` and `b`.
    ///
    /// # Safety
    /// The processor has `S`.
    unsafe fn multiply_add<S: Simd>(a: S::V, b: S::V, c: S::V) -> S::V;
}

/// f32 numbers, one a unit.
pub(crate) struct F32;

impl Element for F32 {
    const PER_UNIT: usize = 1;

    #[inline(always)]
    fn unit(low: f32, _: f32) -> u32 {
        low.to_bits()
    }

    #[inline(always)]
    unsafe fn units<S: Simd>(low: S::V, _: S::V) -> S::V {
        low
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const f32) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::load(p) }
    }

    #[inline(always)]
    unsafe fn multiply_add<S: Simd>(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::fma(a, b, c) }
    }
}

/// Pairs of bf16 numbers.
pub(crate) struct Bf16;

impl Element for Bf16 {
    const PER_UNIT: usize = 2;

    #[inline(always)]
    fn unit(low: f32, high: f32) -> u32 {
        (to_bf16(low) >> 16) | to_bf16(high)
    }

    #[inline(always)]
    unsafe fn units<S: Simd>(low: S::V, high: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::pair_bf16(low, high) }
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const f32) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::pairs_bf16(p) }
    }

    #[inline(always)]
    unsafe fn multiply_add<S: Simd>(a: S::V, b: S::V, c: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::dot_bf16(a, b, c) }
    }
}

/// The nearest bf16 number, ties to even, in the upper half; NaN stays NaN.
#[inline(always)]
fn to_bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    (if x.is_nan() { bits | 0x0040_0000 } else { rounded }) & 0xffff_0000
}

/// Asks for `count` numbers behind `p` long before they are needed. Any address will do.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for number in (0..count).step_by(16).chain([count - 1]) {
        // SAFETY: nothing is read that could be noticed.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.wrapping_add(number).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (p, count);
}

/// The first `count` numbers behind `p`, then zeros.
///
/// # Safety
/// `count` is 1 to `LANES`, and that many numbers can be read; the processor has `S`.
#[inline(always)]
pub(crate) unsafe fn load_part<S: Simd>(p: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { load_or::<S>(p, count, S::splat(0.0)) }
}

/// The first `count` numbers behind `p`, then those of `rest`.
///
/// # Safety
/// As [`load_part`].
#[inline(always)]
pub(crate) unsafe fn load_or<S: Simd>(p: *const f32, count: usize, rest: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe { if count == S::LANES { S::load(p) } else { S::load_some(p, count, rest) } }
}

/// Writes the first `count` numbers of `v`.
///
/// # Safety
/// As [`load_part`], of writing.
#[inline(always)]
pub(crate) unsafe fn store_part<S: Simd>(p: *mut f32, v: S::V, count: usize) {
    // SAFETY: the caller's.
    unsafe { if count == S::LANES { S::store(p, v) } else { S::store_some(p, v, count) } }
}

/// An instruction set that the kernels are compiled for; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// AVX2 and FMA: 256 bits; products of bf16 numbers are made in f32.
    Avx2,
    /// AVX-512F: 512 bits; products of bf16 numbers are made in f32.
    Avx512,
    /// AVX-512F with AVX-512 BF16, which multiplies bf16 numbers, and AVX-512 VNNI, which multiplies bytes.
    Avx512Bf16,
}

impl Isa {
    /// The best one that this processor has.
    #[must_use]
    pub fn detect() -> Option<Self> {
        static FOUND: OnceLock<Option<Isa>> = OnceLock::new();
        *FOUND.get_or_init(detect)
    }

    /// The name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }
}

/// Calls a function of one type, an instruction set, with every one that the processor has, and with the emulated one.
#[cfg(test)]
macro_rules! with_each {
    ($check:ident) => {{
        $check::<crate::simd::emulated::Emulated>();
        #[cfg(target_arch = "x86_64")]
        if let Some(best) = crate::simd::Isa::detect() {
            use crate::simd::{Avx2, Avx512, Avx512Bf16, Isa};
            $check::<Avx2>();
            if best >= Isa::Avx512 {
                $check::<Avx512>();
            }
            if best >= Isa::Avx512Bf16 {
                $check::<Avx512Bf16>();
            }
        }
    }};
}
#[cfg(test)]
pub(crate) use with_each;

#[cfg(target_arch = "x86_64")]
fn detect() -> Option<Isa> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    if !avx2 {
        return None;
    }
    if !is_x86_feature_detected!("avx512f") {
        return Some(Isa::Avx2);
    }
    // Every processor that has the former has the latter.
    let products = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
    Some(if products { Isa::Avx512Bf16 } else { Isa::Avx512 })
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Option<Isa> {
    None
}

/// Whether the processor has tiles of bf16 numbers (AMX).
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    // Leaf 7: bit 22 says AMX-BF16, bit 24 AMX-TILE.
    const TILES: u32 = 1 << 22 | 1 << 24;
    // SAFETY: every x86-64 processor has the instruction, and leaf 0 says which leaves there are.
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    let features = unsafe { if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx } };
    features & TILES == TILES
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_tiles() -> bool {
    false
}
