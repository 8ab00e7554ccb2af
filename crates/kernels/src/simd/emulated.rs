//! Sixteen lanes in plain Rust: for processors without vectors of which this crate knows, and to try the shapes of AVX-512 on
//! every one in tests.

use super::{
    Bf16, Element, Job, MOST_ROWS, Simd,
    tile::{Tile, tile},
};

/// An array as a vector.
#[derive(Clone, Copy)]
pub(crate) struct Emulated;

#[inline(always)]
fn zip(a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

// SAFETY, for every block: as the trait says of pointers; there is nothing that a processor must have.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Emulated {
    type V = [f32; 16];
    const LANES: usize = 16;
    const ROWS: usize = 8;
    const DEPTH: usize = 5;

    #[inline(always)]
    unsafe fn execute<J: Job>(job: &J) {
        unsafe { job.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn tile<E: Element>(of: &Tile) {
        unsafe { tile::<Self, E, { Self::ROWS }, { Self::ROWS / 2 }>(of) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 16] {
        unsafe { p.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 16]) {
        unsafe { p.cast::<[f32; 16]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn load_some(p: *const f32, count: usize, rest: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| if lane < count { unsafe { *p.add(lane) } } else { rest[lane] })
    }

    #[inline(always)]
    unsafe fn store_some(p: *mut f32, v: [f32; 16], count: usize) {
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, count) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn max(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn min(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        // Where the instruction is missing, the exact function takes a hundred times as long as the two that are there.
        if cfg!(all(target_arch = "x86_64", not(target_feature = "fma"), not(test))) {
            std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
        } else {
            std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
        }
    }

    #[inline(always)]
    unsafe fn dot_bf16(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        let low = |x: f32| f32::from_bits(x.to_bits() << 16);
        let high = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
        unsafe { Self::fma(a.map(high), b.map(high), Self::fma(a.map(low), b.map(low), c)) }
    }

    #[inline(always)]
    unsafe fn dot_bytes(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| {
            let pairs = a[lane].to_bits().to_le_bytes().into_iter().zip(b[lane].to_bits().to_le_bytes());
            let products: i32 = pairs.map(|(a, b)| i32::from(a) * i32::from(b.cast_signed())).sum();
            f32::from_bits(c[lane].to_bits().wrapping_add(products.cast_unsigned()))
        })
    }

    #[inline(always)]
    unsafe fn from_integers(v: [f32; 16]) -> [f32; 16] {
        v.map(|x| x.to_bits().cast_signed() as f32)
    }

    #[inline(always)]
    unsafe fn pair_bf16(low: [f32; 16], high: [f32; 16]) -> [f32; 16] {
        zip(low, high, |low, high| f32::from_bits(Bf16::unit(low, high)))
    }

    #[inline(always)]
    unsafe fn pairs_bf16(p: *const f32) -> [f32; 16] {
        std::array::from_fn(|lane| unsafe { f32::from_bits(Bf16::unit(*p.add(2 * lane), *p.add(2 * lane + 1))) })
    }

    #[inline(always)]
    unsafe fn transpose(rows: &[[f32; 16]; MOST_ROWS], to: *mut u32, stride: usize) {
        for (row, numbers) in rows.iter().enumerate() {
            for (lane, number) in numbers.iter().enumerate() {
                unsafe { *to.add(lane * stride + row) = number.to_bits() };
            }
        }
    }

    #[inline(always)]
    unsafe fn round(v: [f32; 16]) -> [f32; 16] {
        v.map(f32::round_ties_even)
    }

    #[inline(always)]
    unsafe fn exp2i(v: [f32; 16]) -> [f32; 16] {
        v.map(|x| f32::from_bits(((x as i32 + 127) << 23).cast_unsigned()))
    }
}
