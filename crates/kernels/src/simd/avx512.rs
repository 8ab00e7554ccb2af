//! AVX-512, with and without products of bf16 numbers.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512d, __m512i, _CMP_UNORD_Q, _mm256_storeu_pd, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_si512, _mm512_castpd512_pd256, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtne2ps_pbh,
    _mm512_cvtneps_pbh, _mm512_cvtps_epi32, _mm512_div_ps, _mm512_dpbf16_ps, _mm512_extractf64x4_pd, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_loadu_ps, _mm512_mask_or_epi32, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_or_si512, _mm512_permutex2var_epi32, _mm512_permutex2var_pd, _mm512_roundscale_ps,
    _mm512_set_epi32, _mm512_set_epi64, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_srli_epi32,
    _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{
    Element, Job, MOST_ROWS, Simd, bytes,
    tile::{Tile, tile},
};

/// 512-bit vectors; products of bf16 numbers are made in f32, of bytes in halves.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// 512-bit vectors with products of bf16 numbers and of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

/// Two instruction sets that differ in what they do with bf16 numbers and bytes.
macro_rules! vectors_of_512_bits {
    ($name:ident, $features:literal, $dot:expr, $dot_bytes:expr, $pair:expr, $pairs:expr) => {
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
            unsafe fn tile<E: Element>(of: &Tile) {
                unsafe { tile::<Self, E, { Self::ROWS }, { Self::ROWS / 2 }>(of) }
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
            unsafe fn load_some(p: *const f32, count: usize, rest: __m512) -> __m512 {
                unsafe { _mm512_mask_loadu_ps(rest, first(count), p) }
            }

            #[inline(always)]
            unsafe fn store_some(p: *mut f32, v: __m512, count: usize) {
                unsafe { _mm512_mask_storeu_ps(p, first(count), v) }
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
            unsafe fn dot_bytes(a: __m512, b: __m512, c: __m512) -> __m512 {
                unsafe { $dot_bytes(a, b, c) }
            }

            #[inline(always)]
            unsafe fn from_integers(v: __m512) -> __m512 {
                unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(v)) }
            }

            #[inline(always)]
            unsafe fn pair_bf16(low: __m512, high: __m512) -> __m512 {
                unsafe { $pair(low, high) }
            }

            #[inline(always)]
            unsafe fn pairs_bf16(p: *const f32) -> __m512 {
                unsafe { $pairs(Self::load(p), Self::load(p.add(16))) }
            }

            #[inline(always)]
            unsafe fn transpose(rows: &[__m512; MOST_ROWS], to: *mut u32, stride: usize) {
                unsafe { transpose(rows, to, stride) }
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

vectors_of_512_bits!(Avx512, "avx512f", in_f32, bytes::dot_halves, pair_by_bits, pairs_by_bits);
vectors_of_512_bits!(Avx512Bf16, "avx512f,avx512bf16,avx512vnni", in_bf16, bytes::dot_512, pair, pairs);

/// A mask of the first `count` lanes.
#[inline(always)]
fn first(count: usize) -> u16 {
    ((1u32 << count) - 1) as u16
}

/// The lower bf16 number of each pair, as f32.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn low(pairs: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs))) }
}

/// The upper bf16 number of each pair, as f32.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn high(pairs: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let mask = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), mask))
    }
}

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn in_f32(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe { _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), c)) }
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

/// Pairs of the nearest bf16 numbers.
///
/// # Safety
/// The processor has AVX-512 BF16.
#[inline(always)]
unsafe fn pair(low: __m512, high: __m512) -> __m512 {
    // SAFETY: the caller's; both types are 256 bits without invalid values.
    unsafe {
        let low = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(low)));
        let high = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(high)));
        _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32::<16>(high)))
    }
}

/// The nearest bf16 numbers, those of `first` and then those of `second`.
///
/// # Safety
/// The processor has AVX-512 BF16.
#[inline(always)]
unsafe fn pairs(first: __m512, second: __m512) -> __m512 {
    // SAFETY: the caller's; both types are 512 bits without invalid values.
    unsafe { std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(second, first)) }
}

/// [`pair`] without AVX-512 BF16.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn pair_by_bits(low: __m512, high: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let high = _mm512_and_si512(nearest(high), _mm512_set1_epi32(0xffff_0000_u32.cast_signed()));
        _mm512_castsi512_ps(_mm512_or_si512(_mm512_srli_epi32::<16>(nearest(low)), high))
    }
}

/// [`pairs`] without AVX-512 BF16.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn pairs_by_bits(first: __m512, second: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        let odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
        let (first, second) = (_mm512_castps_si512(first), _mm512_castps_si512(second));
        let low = _mm512_castsi512_ps(_mm512_permutex2var_epi32(first, even, second));
        let high = _mm512_castsi512_ps(_mm512_permutex2var_epi32(first, odd, second));
        pair_by_bits(low, high)
    }
}

/// The nearest bf16 number, ties to even, in the upper half of each lane; below it, anything. NaN stays NaN.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn nearest(v: __m512) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        let bits = _mm512_castps_si512(v);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
        _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x0040_0000))
    }
}

/// Lane `4 q + i` of four rows, for every quarter `q` of vector `i`.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn transpose_quarters(rows: [__m512; 4]) -> [__m512d; 4] {
    // SAFETY: the caller's.
    unsafe {
        let low = [_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpacklo_ps(rows[2], rows[3])];
        let high = [_mm512_unpackhi_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[2], rows[3])];
        let low = [_mm512_castps_pd(low[0]), _mm512_castps_pd(low[1])];
        let high = [_mm512_castps_pd(high[0]), _mm512_castps_pd(high[1])];
        [
            _mm512_unpacklo_pd(low[0], low[1]),
            _mm512_unpackhi_pd(low[0], low[1]),
            _mm512_unpacklo_pd(high[0], high[1]),
            _mm512_unpackhi_pd(high[0], high[1]),
        ]
    }
}

/// [`Simd::transpose`] of eight rows: two times four of them, side by side.
///
/// # Safety
/// The processor has AVX-512F; sixteen times eight numbers can be written, `stride` apart.
#[inline(always)]
unsafe fn transpose(rows: &[__m512; MOST_ROWS], to: *mut u32, stride: usize) {
    // SAFETY: the caller's.
    unsafe {
        let upper = transpose_quarters([rows[0], rows[1], rows[2], rows[3]]);
        let lower = transpose_quarters([rows[4], rows[5], rows[6], rows[7]]);
        // Two pairs of numbers of each quarter, the first and second one, or the third and fourth.
        let first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
        let last = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
        for lane in 0..4 {
            for (quarter, which) in [(0, first), (2, last)] {
                let both = _mm512_permutex2var_pd(upper[lane], which, lower[lane]);
                let place = to.add((4 * quarter + lane) * stride);
                _mm256_storeu_pd(place.cast(), _mm512_castpd512_pd256(both));
                _mm256_storeu_pd(place.add(4 * stride).cast(), _mm512_extractf64x4_pd::<1>(both));
            }
        }
    }
}
