//! Products of bytes: of unsigned ones in `0..=127` with signed ones in `-127..=127`, four a lane.

use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm256_add_epi32, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm512_add_epi32, _mm512_castps_si512, _mm512_castsi256_si512,
    _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_inserti64x4,
};

/// [`super::Simd::dot_bytes`] of 256 bits.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn dot_256(a: __m256, b: __m256, c: __m256) -> __m256 {
    // SAFETY: the caller's.
    unsafe {
        let products = products(_mm256_castps_si256(a), _mm256_castps_si256(b));
        _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(c), products))
    }
}

/// [`super::Simd::dot_bytes`] of 512 bits, in halves.
///
/// # Safety
/// The processor has AVX-512F, which includes AVX2.
#[inline(always)]
pub(super) unsafe fn dot_halves(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
        let low = products(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b));
        let high = products(_mm512_extracti64x4_epi64::<1>(a), _mm512_extracti64x4_epi64::<1>(b));
        let products = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(c), products))
    }
}

/// [`super::Simd::dot_bytes`] of 512 bits in one instruction.
///
/// # Safety
/// The processor has AVX-512 VNNI.
#[inline(always)]
pub(super) unsafe fn dot_512(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        let [a, b, c] = [_mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(c)];
        _mm512_castsi512_ps(_mm512_dpbusd_epi32(c, a, b))
    }
}

/// The sums of four products each.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn products(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        // Pairs of products fit into 16 bits: 2 * 127 * 127 at most.
        _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1))
    }
}
