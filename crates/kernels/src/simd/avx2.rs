//! AVX2 and FMA.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_UNORD_Q, _mm_storeu_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256,
    _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps_si256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps,
    _mm256_min_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_or_si256, _mm256_permute4x64_pd, _mm256_round_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{
    Element, Job, MOST_ROWS, Simd, bytes, prefetch,
    tile::{Tile, tile},
};

/// 256-bit vectors. Twelve sums, three columns and one row of the micro-kernel fill the sixteen registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

// SAFETY, for every block: the intrinsics need AVX2 and FMA, which the callers of `Simd` have made sure of.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 4;
    // 18 KiB of the micro-panel of 24 columns and twice 3 KiB of those of 4 rows, of 32 KiB.
    const DEPTH: usize = 192;

    #[target_feature(enable = "avx2,fma")]
    unsafe fn execute<J: Job>(job: &J) {
        unsafe { job.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn tile<E: Element>(of: &Tile) {
        unsafe {
            if E::PER_UNIT == 1 && of.rows > Self::ROWS / 2 && of.vectors == 3 {
                tile_f32(of);
            } else {
                tile::<Self, E, { Self::ROWS }, { Self::ROWS / 2 }>(of);
            }
        }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn load_some(p: *const f32, count: usize, rest: __m256) -> __m256 {
        unsafe {
            let mask = first(count);
            _mm256_blendv_ps(rest, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))
        }
    }

    #[inline(always)]
    unsafe fn store_some(p: *mut f32, v: __m256, count: usize) {
        unsafe { _mm256_maskstore_ps(p, first(count), v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn dot_bf16(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(high(a), high(b), _mm256_fmadd_ps(low(a), low(b), c)) }
    }

    #[inline(always)]
    unsafe fn dot_bytes(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { bytes::dot_256(a, b, c) }
    }

    #[inline(always)]
    unsafe fn from_integers(v: __m256) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_castps_si256(v)) }
    }

    #[inline(always)]
    unsafe fn pair_bf16(low: __m256, high: __m256) -> __m256 {
        unsafe {
            let high = _mm256_and_si256(nearest(high), _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
            _mm256_castsi256_ps(_mm256_or_si256(_mm256_srli_epi32::<16>(nearest(low)), high))
        }
    }

    #[inline(always)]
    unsafe fn pairs_bf16(p: *const f32) -> __m256 {
        unsafe {
            // The even and the odd numbers of both, then the middle quarters in their places.
            let (first, second) = (Self::load(p), Self::load(p.add(8)));
            let (even, odd) =
                (_mm256_shuffle_ps::<0b10_00_10_00>(first, second), _mm256_shuffle_ps::<0b11_01_11_01>(first, second));
            let pairs = _mm256_castps_pd(Self::pair_bf16(even, odd));
            _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(pairs))
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &[__m256; MOST_ROWS], to: *mut u32, stride: usize) {
        unsafe {
            let to = to.cast::<f32>();
            let (low, high) = (
                [_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[0], rows[1])],
                [_mm256_unpacklo_ps(rows[2], rows[3]), _mm256_unpackhi_ps(rows[2], rows[3])],
            );
            // Half h of number i holds lane 4 h + i of four rows.
            let lanes = [
                _mm256_shuffle_ps::<0b01_00_01_00>(low[0], high[0]),
                _mm256_shuffle_ps::<0b11_10_11_10>(low[0], high[0]),
                _mm256_shuffle_ps::<0b01_00_01_00>(low[1], high[1]),
                _mm256_shuffle_ps::<0b11_10_11_10>(low[1], high[1]),
            ];
            for (lane, both) in lanes.into_iter().enumerate() {
                _mm_storeu_ps(to.add(lane * stride), _mm256_castps256_ps128(both));
                _mm_storeu_ps(to.add((4 + lane) * stride), _mm256_extractf128_ps::<1>(both));
            }
        }
    }

    #[inline(always)]
    unsafe fn round(v: __m256) -> __m256 {
        // 8: to nearest, without an exception.
        unsafe { _mm256_round_ps::<8>(v) }
    }

    #[inline(always)]
    unsafe fn exp2i(v: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }
}

/// A mask of the first `count` lanes.
///
/// # Safety
/// `count` is at most 8; the processor has AVX2.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: eight numbers from any of the first nine places on are within the table.
    unsafe { _mm256_loadu_si256(LANES.as_ptr().add(8 - count).cast()) }
}

/// The lower bf16 number of each pair, as f32.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn low(pairs: __m256) -> __m256 {
    // SAFETY: the caller's.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs))) }
}

/// The upper bf16 number of each pair, as f32.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn high(pairs: __m256) -> __m256 {
    // SAFETY: the caller's.
    unsafe { _mm256_and_ps(pairs, _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32.cast_signed()))) }
}

/// The nearest bf16 number, ties to even, in the upper half of each lane; below it, anything. NaN stays NaN.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn nearest(v: __m256) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let bits = _mm256_castps_si256(v);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        let quiet = _mm256_or_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x0040_0000)));
        let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(v, v);
        _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, nan))
    }
}

/// A whole [`tile`] of f32 numbers, in which every register has its place: compilers broadcast two rows at a time, for which one
/// register is missing, and the sum that they keep in memory instead makes the loop half as fast.
///
/// # Safety
/// As [`tile`]; `depth` is not 0.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_f32(tile: &Tile) {
    let Tile { depth, a, b, c, stride, add, .. } = *tile;
    let mut sums = [_mm256_set1_ps(0.0); 12];
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11] = &mut sums;
    // SAFETY: reads `depth` units of 4 rows and of 24 columns; then as `tile`.
    unsafe {
        for row in 0..Avx2::ROWS {
            prefetch(c.add(row * stride), 3 * Avx2::LANES);
        }
        std::arch::asm!(
            "2:",
            "vmovups ymm12, [{b}]",
            "vmovups ymm13, [{b} + 32]",
            "vmovups ymm14, [{b} + 64]",
            "vbroadcastss ymm15, [{a}]",
            "vfmadd231ps ymm0, ymm15, ymm12",
            "vfmadd231ps ymm1, ymm15, ymm13",
            "vfmadd231ps ymm2, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + 4]",
            "vfmadd231ps ymm3, ymm15, ymm12",
            "vfmadd231ps ymm4, ymm15, ymm13",
            "vfmadd231ps ymm5, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + 8]",
            "vfmadd231ps ymm6, ymm15, ymm12",
            "vfmadd231ps ymm7, ymm15, ymm13",
            "vfmadd231ps ymm8, ymm15, ymm14",
            "vbroadcastss ymm15, [{a} + 12]",
            "vfmadd231ps ymm9, ymm15, ymm12",
            "vfmadd231ps ymm10, ymm15, ymm13",
            "vfmadd231ps ymm11, ymm15, ymm14",
            "add {a}, 16",
            "add {b}, 96",
            "dec {depth}",
            "jnz 2b",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            depth = inout(reg) depth => _,
            inout("ymm0") *s0,
            inout("ymm1") *s1,
            inout("ymm2") *s2,
            inout("ymm3") *s3,
            inout("ymm4") *s4,
            inout("ymm5") *s5,
            inout("ymm6") *s6,
            inout("ymm7") *s7,
            inout("ymm8") *s8,
            inout("ymm9") *s9,
            inout("ymm10") *s10,
            inout("ymm11") *s11,
            out("ymm12") _,
            out("ymm13") _,
            out("ymm14") _,
            out("ymm15") _,
            options(nostack, readonly),
        );
        for (index, sum) in sums.into_iter().enumerate() {
            let place = c.add(index / 3 * stride + index % 3 * Avx2::LANES);
            _mm256_storeu_ps(place, if add { _mm256_add_ps(_mm256_loadu_ps(place), sum) } else { sum });
        }
    }
}
