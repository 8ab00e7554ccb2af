//! Projection to the vocabulary, softmax and cross-entropy in one pass over chunks of rows: logits never exist for all rows
//! at once, and become their own gradient where they stand.

use std::ops::Range;

use super::{
    pack::Matrix,
    parallel::{parallel, share},
    product::{Target, multiply, pack_left, pack_right},
    scratch::Scratch,
};
use crate::simd::{Element, Job, Simd, exp, load_or, load_part, store_part};

/// Operands (`csrc/native.h`): contiguous; null where said.
#[repr(C)]
pub(crate) struct CrossEntropy {
    /// Rows of `x` (N), its width (D), entries of the vocabulary (V).
    rows: usize,
    width: usize,
    vocabulary: usize,
    /// `[N, D]`.
    x: *const f32,
    /// `[V, D]`.
    weight: *const f32,
    /// `[V]`.
    bias: *const f32,
    /// `[N]`, each below V.
    targets: *const i64,
    /// Receives the negative log likelihoods, in nats, `[N]`.
    nll: *mut f32,
    /// The gradient of their sum by the bias, `[V]`, or null where no gradient is wanted.
    d_bias: *mut f32,
    /// `[N, D]`, or null where it is not wanted.
    d_x: *mut f32,
    /// `[V, D]`, or null where it is not wanted.
    d_weight: *mut f32,
}

/// Rows a chunk: enough for the other operands of the products to be worth packing, but not more logits than this.
const ROWS_A_CHUNK: std::ops::RangeInclusive<usize> = 64..=640;
const LOGITS_A_CHUNK: usize = 1 << 24;
/// Parts that the rows of a chunk are cut into. Their number does not depend on the threads, and so neither does the order
/// in which the gradient of the bias is summed.
const PARTS: usize = 8;

/// Negative log likelihoods, and with them the gradients of their sum.
///
/// # Safety
/// The operands are as large as their sizes say, no size is 0, and nobody else uses those that are written.
pub(crate) unsafe fn cross_entropy<S: Simd, E: Element>(operands: &CrossEntropy) {
    let CrossEntropy { rows, width, vocabulary, x, weight, bias, targets, nll, d_bias, d_x, d_weight } = *operands;
    let most = (LOGITS_A_CHUNK / vocabulary).clamp(*ROWS_A_CHUNK.start(), *ROWS_A_CHUNK.end());
    let chunks = rows.div_ceil(most);
    let chunk = rows.div_ceil(chunks);
    let logits = Scratch::new(chunk * vocabulary);
    let sums = Scratch::new(PARTS * vocabulary);
    let gradients = !d_bias.is_null();
    // SAFETY: the operands are as large as their matrices, and every chunk lies within them.
    unsafe {
        let to_logits = pack_right::<S, E>(Matrix::rows(weight, vocabulary, width, width));
        let to_x = (!d_x.is_null()).then(|| pack_right::<S, E>(Matrix::columns(weight, width, vocabulary, width)));
        std::ptr::write_bytes(sums.floats(), 0, if gradients { PARTS * vocabulary } else { 0 });
        for first in (0..rows).step_by(chunk) {
            let count = chunk.min(rows - first);
            let x = x.add(first * width);
            let target = |data, rows, columns, add| Target { data, rows, columns, stride: columns, add };
            let left = pack_left::<S, E>(Matrix::rows(x, count, width, width));
            multiply::<S, E>(&left, &to_logits, target(logits.floats(), count, vocabulary, false));
            drop(left);

            let softmax = Softmax {
                logits: logits.floats(),
                vocabulary,
                bias,
                targets: targets.add(first),
                nll: nll.add(first),
                sums: gradients.then(|| sums.floats()),
                rows: count,
            };
            parallel(PARTS, &|parts: Range<usize>| S::execute(&Rows { softmax: &softmax, parts }));

            if let Some(to_x) = &to_x {
                let left = pack_left::<S, E>(Matrix::rows(logits.floats(), count, vocabulary, vocabulary));
                multiply::<S, E>(&left, to_x, target(d_x.add(first * width), count, width, false));
            }
            if !d_weight.is_null() {
                let left = pack_left::<S, E>(Matrix::columns(logits.floats(), vocabulary, count, vocabulary));
                let right = pack_right::<S, E>(Matrix::columns(x, width, count, width));
                multiply::<S, E>(&left, &right, target(d_weight, vocabulary, width, first > 0));
            }
        }
        if gradients {
            for word in 0..vocabulary {
                *d_bias.add(word) = (0..PARTS).map(|part| *sums.floats().add(part * vocabulary + word)).sum();
            }
        }
    }
}

/// The rows of a chunk, from logits to likelihoods and, where sums are wanted, gradients.
struct Softmax {
    /// `[rows, V]`: without bias at first, the gradients in the end.
    logits: *mut f32,
    vocabulary: usize,
    bias: *const f32,
    targets: *const i64,
    nll: *mut f32,
    /// Of the gradients, `[PARTS, V]`.
    sums: Option<*mut f32>,
    rows: usize,
}

// SAFETY: pointers are numbers; those who use what they point to say why they may.
unsafe impl Sync for Softmax {}

/// Some of the parts of a chunk.
struct Rows<'a> {
    softmax: &'a Softmax,
    parts: Range<usize>,
}

impl Job for Rows<'_> {
    /// # Safety
    /// As [`cross_entropy`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let Softmax { rows, vocabulary, sums, .. } = *self.softmax;
        for part in self.parts.clone() {
            for row in share(rows, PARTS, &(part..part + 1)) {
                // SAFETY: the row is one of the chunk's, and nobody else has this part.
                unsafe { self.softmax.row::<S>(row, sums.map(|sums| sums.add(part * vocabulary))) }
            }
        }
    }
}

impl Softmax {
    /// The logits of a row from `at` on, with their bias; minus infinity beyond the last.
    #[inline(always)]
    unsafe fn biased<S: Simd>(&self, logits: *const f32, at: usize) -> S::V {
        let count = S::LANES.min(self.vocabulary - at);
        // SAFETY: so many numbers are left of the row and of the bias.
        unsafe {
            let logits = load_or::<S>(logits.add(at), count, S::splat(f32::NEG_INFINITY));
            S::add(logits, load_part::<S>(self.bias.add(at), count))
        }
    }

    #[inline(always)]
    unsafe fn row<S: Simd>(&self, row: usize, sums: Option<*mut f32>) {
        let vocabulary = self.vocabulary;
        // SAFETY: every vector, and each part of one, lies within the row.
        unsafe {
            let logits = self.logits.add(row * vocabulary);
            let target = (*self.targets.add(row)).unsigned_abs() as usize;
            let mut largest = S::splat(f32::NEG_INFINITY);
            for at in (0..vocabulary).step_by(S::LANES) {
                largest = S::max(largest, self.biased::<S>(logits, at));
            }
            let most = lanes::<S>(largest).into_iter().take(S::LANES).fold(f32::NEG_INFINITY, f32::max);
            let at_target = *logits.add(target) + *self.bias.add(target);
            let mut sum = S::splat(0.0);
            for at in (0..vocabulary).step_by(S::LANES) {
                let count = S::LANES.min(vocabulary - at);
                let e = exp::<S>(S::sub(self.biased::<S>(logits, at), S::splat(most)));
                store_part::<S>(logits.add(at), e, count);
                sum = S::add(sum, e);
            }
            let total = lanes::<S>(sum).into_iter().take(S::LANES).sum::<f32>();
            *self.nll.add(row) = total.ln() + (most - at_target);
            let Some(sums) = sums else { return };
            let scale = S::splat(1.0 / total);
            *logits.add(target) -= total;
            for at in (0..vocabulary).step_by(S::LANES) {
                let count = S::LANES.min(vocabulary - at);
                let gradient = S::mul(load_part::<S>(logits.add(at), count), scale);
                store_part::<S>(logits.add(at), gradient, count);
                store_part::<S>(sums.add(at), S::add(load_part::<S>(sums.add(at), count), gradient), count);
            }
        }
    }
}

#[inline(always)]
unsafe fn lanes<S: Simd>(v: S::V) -> [f32; 16] {
    let mut lanes = [0f32; 16];
    // SAFETY: as wide as the widest vector.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes
}
