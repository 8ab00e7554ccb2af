//! Sixteen lanes in plain Rust: lets tests try the shapes of AVX-512 on every processor.

use super::{Bf16, Element, Job, MOST_ROWS, Simd, tile};

/// An array as a vector.
#[derive(Clone, Copy)]
pub(crate) struct Emulated;

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

    unsafe fn execute<J: Job>(job: &J) {
        unsafe { job.run::<Self>() }
    }

    unsafe fn tile<E: Element>(depth: usize, a: *const u32, b: *const u32, c: *mut f32, stride: usize, add: bool) {
        unsafe { tile::<Self, E, { Self::ROWS }>(depth, a, b, c, stride, add) }
    }

    unsafe fn splat(x: f32) -> [f32; 16] {
        [x; 16]
    }

    unsafe fn load(p: *const f32) -> [f32; 16] {
        unsafe { p.cast::<[f32; 16]>().read_unaligned() }
    }

    unsafe fn store(p: *mut f32, v: [f32; 16]) {
        unsafe { p.cast::<[f32; 16]>().write_unaligned(v) }
    }

    unsafe fn load_some(p: *const f32, count: usize, rest: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| if lane < count { unsafe { *p.add(lane) } } else { rest[lane] })
    }

    unsafe fn store_some(p: *mut f32, v: [f32; 16], count: usize) {
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, count) }
    }

    unsafe fn add(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a + b)
    }

    unsafe fn sub(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a - b)
    }

    unsafe fn mul(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a * b)
    }

    unsafe fn div(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a / b)
    }

    unsafe fn max(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    unsafe fn min(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    unsafe fn fma(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    unsafe fn dot_bf16(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        let low = |x: f32| f32::from_bits(x.to_bits() << 16);
        let high = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
        std::array::from_fn(|lane| high(a[lane]).mul_add(high(b[lane]), low(a[lane]).mul_add(low(b[lane]), c[lane])))
    }

    unsafe fn pair_bf16(low: [f32; 16], high: [f32; 16]) -> [f32; 16] {
        zip(low, high, |low, high| f32::from_bits(Bf16::unit(low, high)))
    }

    unsafe fn pairs_bf16(p: *const f32) -> [f32; 16] {
        std::array::from_fn(|lane| unsafe { f32::from_bits(Bf16::unit(*p.add(2 * lane), *p.add(2 * lane + 1))) })
    }

    unsafe fn transpose(rows: &[[f32; 16]; MOST_ROWS], to: *mut u32, stride: usize) {
        for (row, numbers) in rows.iter().enumerate() {
            for (lane, number) in numbers.iter().enumerate() {
                unsafe { *to.add(lane * stride + row) = number.to_bits() };
            }
        }
    }

    unsafe fn round(v: [f32; 16]) -> [f32; 16] {
        v.map(f32::round_ties_even)
    }

    unsafe fn exp2i(v: [f32; 16]) -> [f32; 16] {
        v.map(|x| f32::from_bits(((x as i32 + 127) << 23).cast_unsigned()))
    }
}
