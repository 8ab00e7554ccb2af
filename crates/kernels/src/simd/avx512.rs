//! AVX-512, with and without products of bf16 numbers.

use std::arch::x86_64::{
    __m512, __m512bh, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cvtps_epi32, _mm512_div_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32,
    _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Element, Job, Simd, tile};

/// 512-bit vectors; products of bf16 numbers are made in f32.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// 512-bit vectors with products of bf16 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

/// Two instruction sets that differ in one product.
macro_rules! vectors_of_512_bits {
    ($name:ident, $features:literal, $dot:expr) => {
        // SAFETY, for every block: the intrinsics need the features, which the callers of `Simd` have made sure of.
        #[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
        impl Simd for $name {
            type V = __m512;
            const LANES: usize = 16;
            // 24 sums, three columns and a row of the 32 registers.
            const ROWS: usize = 8;
            const DEPTH: usize = 1024;

            #[target_feature(enable = $features)]
            unsafe fn execute<J: Job>(job: &J) {
                unsafe { job.run::<Self>() }
            }

            #[inline(always)]
            unsafe fn tile<E: Element>(
                depth: usize,
                a: *const u32,
                b: *const u32,
                c: *mut f32,
                stride: usize,
                add: bool,
            ) {
                unsafe { tile::<Self, E, { Self::ROWS }>(depth, a, b, c, stride, add) }
            }

            #[inline(always)]
            unsafe fn splat(x: f32) -> __m512 {
                unsafe { _mm512_set1_ps(x) }
            }

            #[inline(always)]
            unsafe fn load(p: *const f32) -> __m512 {
                unsafe { _mm512_loadu_ps(p) }
            }

            #[inline(always)]
            unsafe fn store(p: *mut f32, v: __m512) {
                unsafe { _mm512_storeu_ps(p, v) }
            }

            #[inline(always)]
            unsafe fn add(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_add_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn sub(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_sub_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn mul(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_mul_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn div(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_div_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn max(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_max_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn min(a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_min_ps(a, b) }
            }

            #[inline(always)]
            unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }

            #[inline(always)]
            unsafe fn dot_bf16(a: __m512, b: __m512, c: __m512) -> __m512 {
                unsafe { $dot(a, b, c) }
            }

            #[inline(always)]
            unsafe fn round(v: __m512) -> __m512 {
                // 8: to the nearest integer, without an exception.
                unsafe { _mm512_roundscale_ps::<8>(v) }
            }

            #[inline(always)]
            unsafe fn exp2i(v: __m512) -> __m512 {
                unsafe {
                    let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(127));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
                }
            }
        }
    };
}

vectors_of_512_bits!(Avx512, "avx512f", in_f32);
vectors_of_512_bits!(Avx512Bf16, "avx512f,avx512bf16", in_bf16);

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn in_f32(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let low = |v| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(v)));
        let mask = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        let high = |v| _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), mask));
        _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), c))
    }
}

/// # Safety
/// The processor has AVX-512 BF16.
#[inline(always)]
unsafe fn in_bf16(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: the caller's; the three types are 512 bits without invalid values.
    unsafe {
        _mm512_dpbf16_ps(c, std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b))
    }
}
