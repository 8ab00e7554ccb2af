//! The micro-kernel of products.

use super::{Element, Simd, prefetch};

/// A panel of the left operand, `[depth][ROWS]` units, times one of the right operand, `[depth][3 * LANES]` units, or times
/// some of its vectors.
pub(crate) struct Tile {
    pub(crate) depth: usize,
    pub(crate) a: *const u32,
    /// The first vector that is wanted.
    pub(crate) b: *const u32,
    /// Receives the product, rows `stride` apart.
    pub(crate) c: *mut f32,
    pub(crate) stride: usize,
    /// Whether what stands there is a term of the sum.
    pub(crate) add: bool,
    /// Rows that are wanted; [`Tile::rows`] says how many are made.
    pub(crate) rows: usize,
    /// Vectors of columns that are wanted, 1 to 3.
    pub(crate) vectors: usize,
}

impl Tile {
    /// Rows that are made where `wanted` are: all of a panel's, or half of them.
    #[inline(always)]
    pub(crate) fn rows<S: Simd>(wanted: usize) -> usize {
        if wanted <= S::ROWS / 2 { S::ROWS / 2 } else { S::ROWS }
    }
}

/// The body of [`Simd::tile`], compiled for `ROWS`, which are the panel's, for `HALF` as many, and for each number of vectors.
///
/// # Safety
/// The panels hold that many units, and `c` has room for the rows and vectors that are made; the processor has `S`.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, E: Element, const ROWS: usize, const HALF: usize>(tile: &Tile) {
    // SAFETY: the caller's.
    unsafe {
        match (tile.rows <= HALF, tile.vectors) {
            (false, 1) => multiply::<S, E, ROWS, 1>(tile),
            (false, 2) => multiply::<S, E, ROWS, 2>(tile),
            (false, _) => multiply::<S, E, ROWS, 3>(tile),
            (true, 1) => multiply::<S, E, HALF, 1>(tile),
            (true, 2) => multiply::<S, E, HALF, 2>(tile),
            (true, _) => multiply::<S, E, HALF, 3>(tile),
        }
    }
}

/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn multiply<S: Simd, E: Element, const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
    let Tile { depth, a, b, c, stride, add, .. } = *tile;
    // SAFETY: every offset lies within the panels, and within the rows of `c`.
    unsafe {
        let (mut a, mut b) = (a.cast::<f32>(), b.cast::<f32>());
        for row in 0..ROWS {
            prefetch(c.add(row * stride), VECTORS * S::LANES);
        }
        let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
        for _ in 0..depth {
            let mut columns = [S::splat(0.0); VECTORS];
            for (index, column) in columns.iter_mut().enumerate() {
                *column = S::load(b.add(index * S::LANES));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = S::splat(*a.add(row));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = E::multiply_add::<S>(left, column, *sum);
                }
            }
            a = a.add(S::ROWS);
            b = b.add(3 * S::LANES);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (column, sum) in sums.into_iter().enumerate() {
                let place = c.add(row * stride + column * S::LANES);
                S::store(place, if add { S::add(S::load(place), sum) } else { sum });
            }
        }
    }
}
