//! Products of matrices: both operands packed, then micro-panels times micro-panels (Goto and van de Geijn, Anatomy of
//! high-performance matrix multiplication, 2008).

use std::{marker::PhantomData, ops::Range};

use super::{
    pack::{Matrix, Order, Pack, Packed},
    parallel::{parallel, share, threads},
    scratch::Scratch,
};
use crate::simd::{Element, Job, Simd, Tile};

/// Rows of the left operand whose micro-panels stay in the second cache while all those of the right one pass.
const ROWS_A_BLOCK: usize = 128;

/// Packs the left operand of a product.
pub(crate) fn pack_left<S: Simd, E: Element>(matrix: Matrix) -> Packed {
    pack::<S, E>(matrix, Order::Plain, S::ROWS)
}

/// Packs the right operand of a product.
pub(crate) fn pack_right<S: Simd, E: Element>(matrix: Matrix) -> Packed {
    pack::<S, E>(matrix, Order::Plain, 3 * S::LANES)
}

/// Packs the rows of three gates, `hidden` each, so that a micro-panel holds all three of its units.
pub(crate) fn pack_gates<S: Simd, E: Element>(matrix: Matrix, hidden: usize) -> Packed {
    pack::<S, E>(matrix, Order::Gates { lanes: S::LANES, hidden }, 3 * S::LANES)
}

/// Packs rows or columns into panels of `width`.
pub(crate) fn pack<S: Simd, E: Element>(matrix: Matrix, order: Order, width: usize) -> Packed {
    let packed = Packed::new(order.panels(width, matrix.outer), width, matrix.depth.div_ceil(E::PER_UNIT));
    pack_into::<S, E>(matrix, order, &packed, 0);
    packed
}

/// Packs `matrix` into all panels of `to`, from unit `from` of their depth on.
pub(crate) fn pack_into<S: Simd, E: Element>(matrix: Matrix, order: Order, to: &Packed, from: usize) {
    let parts = threads().min(to.panels);
    parallel(parts, &|own: Range<usize>| {
        let range = share(to.panels, parts, &own);
        // SAFETY: the parts' panels are disjoint; `S` is what the processor has.
        unsafe { S::execute(&Pack::<E> { matrix: &matrix, order, to, from, range, element: PhantomData }) };
    });
}

/// Packs rows into all panels of `to`, a left operand, from unit `from` of their depth on, as a part of a [`Job`].
///
/// # Safety
/// The rows can be read, nobody else uses these units, and the processor has `S`.
#[inline(always)]
pub(crate) unsafe fn pack_part<S: Simd, E: Element>(rows: &Matrix, to: &Packed, from: usize) {
    let pack = Pack::<E> { matrix: rows, order: Order::Plain, to, from, range: 0..to.panels, element: PhantomData };
    // SAFETY: the caller's.
    unsafe { pack.run::<S>() }
}

/// Where a product goes: `rows` rows of `columns` numbers, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) data: *mut f32,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    /// Whether what stands there is a term of the sum.
    pub(crate) add: bool,
}

// SAFETY: pointers are numbers; those who write what they point to say why they may.
unsafe impl Sync for Target {}

/// `to` becomes the product of the first rows of `left` and columns of `right`, as many as it has.
///
/// # Safety
/// `to` can be written, and nobody else uses it.
pub(crate) unsafe fn multiply<S: Simd, E: Element>(left: &Packed, right: &Packed, to: Target) {
    let (rows, columns) = (to.rows.div_ceil(left.width), to.columns.div_ceil(right.width));
    // The longer side is shared.
    let by_columns = columns * right.width >= rows * left.width;
    let panels = if by_columns { columns } else { rows };
    let parts = threads().min(panels);
    parallel(parts, &|own: Range<usize>| {
        let own = share(panels, parts, &own);
        let (rows, columns) = if by_columns { (0..rows, own) } else { (own, 0..columns) };
        // SAFETY: the parts' panels, and so their parts of `to`, are disjoint; `S` is what the processor has.
        unsafe { S::execute(&Multiply::<E> { left, right, to: &to, rows, columns, element: PhantomData }) };
    });
}

/// The product of a matrix `[width, width]` with itself, packing included; only its time is of use.
///
/// # Safety
/// The matrix can be read, and `width` is not 0.
pub(crate) unsafe extern "C" fn square<S: Simd, E: Element>(matrix: *const f32, width: usize) {
    let result = Scratch::new(width * width);
    let left = pack_left::<S, E>(Matrix::rows(matrix, width, width, width));
    let right = pack_right::<S, E>(Matrix::columns(matrix, width, width, width));
    let to = Target { data: result.floats(), rows: width, columns: width, stride: width, add: false };
    // SAFETY: `result` has that size.
    unsafe { multiply::<S, E>(&left, &right, to) }
}

struct Multiply<'a, E> {
    left: &'a Packed,
    right: &'a Packed,
    to: &'a Target,
    rows: Range<usize>,
    columns: Range<usize>,
    element: PhantomData<E>,
}

impl<E: Element> Job for Multiply<'_, E> {
    /// # Safety
    /// The panels are packed, and nobody else uses their part of the target.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let block = (ROWS_A_BLOCK / S::ROWS).max(1);
        for rows in self.rows.clone().step_by(block) {
            let rows = rows..(rows + block).min(self.rows.end);
            for depth in (0..self.left.depth).step_by(S::DEPTH) {
                for column in self.columns.clone() {
                    for row in rows.clone() {
                        // SAFETY: the panels exist.
                        unsafe { self.panel::<S>(row, column, depth) }
                    }
                }
            }
        }
    }
}

impl<E: Element> Multiply<'_, E> {
    /// One micro-panel of each operand, from `depth` on.
    #[inline(always)]
    unsafe fn panel<S: Simd>(&self, row: usize, column: usize, depth: usize) {
        let Target { data, rows, columns, stride, add } = *self.to;
        let units = S::DEPTH.min(self.left.depth - depth);
        let (top, start) = (row * S::ROWS, column * 3 * S::LANES);
        let (height, width) = (S::ROWS.min(rows - top), (3 * S::LANES).min(columns - start));
        let add = add || depth > 0;
        let vectors = width.div_ceil(S::LANES);
        // SAFETY: a tile of which all is wanted lies within the target; another one goes through a buffer as large as the
        // largest.
        unsafe {
            let (a, b) = (self.left.at(row, depth), self.right.at(column, depth));
            let to = data.add(top * stride + start);
            let tile = Tile { depth: units, a, b, c: to, stride, add, rows: height, vectors };
            if height == Tile::rows::<S>(height) && width == vectors * S::LANES {
                return S::tile::<E>(&tile);
            }
            let mut buffer = [0f32; 8 * 48];
            S::tile::<E>(&Tile { c: buffer.as_mut_ptr(), stride: 3 * S::LANES, add: false, ..tile });
            for y in 0..height {
                for x in 0..width {
                    let place = to.add(y * stride + x);
                    let value = buffer[y * 3 * S::LANES + x];
                    *place = if add { *place + value } else { value };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Bf16, F32, with_each};

    fn numbers(count: usize, salt: f64) -> Vec<f32> {
        (0..count).map(|i| ((i as f64 * 12.9898 + salt).sin() * 43_758.545_3).fract() as f32).collect()
    }

    fn check<S: Simd, E: Element>(m: usize, n: usize, k: usize, tolerance: f64) {
        let (a, b, before) = (numbers(m * k, 1.0), numbers(n * k, 2.0), numbers(m * n, 3.0));
        let a_columns: Vec<f32> = (0..k * m).map(|i| a[i % m * k + i / m]).collect();
        let b_columns: Vec<f32> = (0..k * n).map(|i| b[i % n * k + i / n]).collect();
        let lefts = [Matrix::rows(a.as_ptr(), m, k, k), Matrix::columns(a_columns.as_ptr(), m, k, m)];
        let rights = [Matrix::rows(b.as_ptr(), n, k, k), Matrix::columns(b_columns.as_ptr(), n, k, n)];
        for (left, right, add) in [(0, 0, false), (1, 0, true), (0, 1, true), (1, 1, false)] {
            let mut found = before.clone();
            let to = Target { data: found.as_mut_ptr(), rows: m, columns: n, stride: n, add };
            // SAFETY: `found` is as large as the target says.
            unsafe {
                multiply::<S, E>(&pack_left::<S, E>(lefts[left]), &pack_right::<S, E>(rights[right]), to);
            }
            for (i, &found) in found.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let term = |d: usize| f64::from(a[row * k + d]) * f64::from(b[column * k + d]);
                let start = if add { f64::from(before[i]) } else { 0.0 };
                let exact = start + (0..k).map(term).sum::<f64>();
                let size = start.abs() + (0..k).map(|d| term(d).abs()).sum::<f64>();
                assert!((f64::from(found) - exact).abs() <= tolerance * size, "{m} {n} {k}: {found}, {exact}");
            }
        }
    }

    fn check_shapes<S: Simd>() {
        for (m, n, k) in [(1, 1, 1), (4, 24, 8), (8, 48, 5), (9, 49, 7), (3, 100, 300), (131, 50, 31), (130, 7, 520)] {
            check::<S, F32>(m, n, k, 1e-6);
            check::<S, Bf16>(m, n, k, 8e-3);
        }
    }

    #[test]
    fn products_agree_with_double_precision() {
        with_each!(check_shapes);
    }
}
