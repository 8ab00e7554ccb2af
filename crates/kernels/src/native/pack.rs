//! Operands of products in the order in which the micro-kernel reads them: panels `[depth][width]` of units.

use std::{marker::PhantomData, ops::Range};

use super::scratch::Scratch;
use crate::simd::{Element, Job, MOST_ROWS, Simd};

/// An operand in memory: `outer` rows of the left one, or columns of the right one, each of `depth` numbers. One of the
/// strides is 1.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    pub(crate) data: *const f32,
    pub(crate) outer: usize,
    pub(crate) depth: usize,
    pub(crate) outer_stride: usize,
    pub(crate) depth_stride: usize,
}

// SAFETY: pointers are numbers; those who read what they point to say why they may.
unsafe impl Sync for Matrix {}

impl Matrix {
    /// Rows of `depth` numbers, `stride` apart.
    pub(crate) fn rows(data: *const f32, outer: usize, depth: usize, stride: usize) -> Self {
        Self { data, outer, depth, outer_stride: stride, depth_stride: 1 }
    }

    /// Columns: numbers of the same depth are next to each other, depths `stride` apart.
    pub(crate) fn columns(data: *const f32, outer: usize, depth: usize, stride: usize) -> Self {
        Self { data, outer, depth, outer_stride: 1, depth_stride: stride }
    }

    /// The numbers of a row of a matrix of rows.
    ///
    /// # Safety
    /// There is such a row, and it can be read.
    pub(crate) unsafe fn row(&self, index: usize) -> &[f32] {
        debug_assert!(self.depth_stride == 1, "a row has no gaps");
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts(self.data.add(index * self.outer_stride), self.depth) }
    }
}

/// Panels in the making: which row or column of the matrix stands in which lane.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// One after another.
    Plain,
    /// Panels of `lanes` units of each of three gates, which stand `hidden` rows apart.
    Gates { lanes: usize, hidden: usize },
}

impl Order {
    /// The row or column, of `outer`, in `lane` of a panel of `width`.
    #[inline(always)]
    pub(crate) fn outer(self, panel: usize, lane: usize, width: usize, outer: usize) -> Option<usize> {
        match self {
            Self::Plain => Some(panel * width + lane).filter(|&index| index < outer),
            Self::Gates { lanes, hidden } => {
                let unit = panel * lanes + lane % lanes;
                (unit < hidden).then_some(lane / lanes * hidden + unit)
            }
        }
    }

    /// Panels of `width` that hold all of `outer` rows or columns.
    pub(crate) fn panels(self, width: usize, outer: usize) -> usize {
        match self {
            Self::Plain => outer.div_ceil(width),
            Self::Gates { lanes, hidden } => hidden.div_ceil(lanes),
        }
    }
}

/// A packed operand.
pub(crate) struct Packed {
    scratch: Scratch,
    /// Panels.
    pub(crate) panels: usize,
    /// Rows or columns a panel.
    pub(crate) width: usize,
    /// Units of depth.
    pub(crate) depth: usize,
    /// Words from a panel to the next.
    stride: usize,
}

/// Words of a cache line.
const LINE: usize = 16;

impl Packed {
    /// Room for `panels` panels, an odd number of cache lines apart: those of the same depth, which are written side by side, then
    /// spread over all sets of a cache. A multiple of a power of two apart, they would share a few.
    pub(crate) fn new(panels: usize, width: usize, depth: usize) -> Self {
        let stride = ((width * depth).div_ceil(LINE) | 1) * LINE;
        Self { scratch: Scratch::new(panels * stride), panels, width, depth, stride }
    }

    /// Panel `index` from unit `depth` on.
    ///
    /// # Safety
    /// There is such a unit.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, index: usize, depth: usize) -> *mut u32 {
        // SAFETY: the caller's.
        unsafe { self.scratch.words().add(index * self.stride + depth * self.width) }
    }
}

/// Packs panels `range` of `matrix` into `to`, from unit `from` of their depth on; lanes beyond the matrix become zero.
pub(crate) struct Pack<'a, E> {
    pub(crate) matrix: &'a Matrix,
    pub(crate) order: Order,
    pub(crate) to: &'a Packed,
    pub(crate) from: usize,
    pub(crate) range: Range<usize>,
    pub(crate) element: PhantomData<E>,
}

/// Units that are written side by side, so that the lines being written stay in the nearest cache.
const BLOCK: usize = 64;
/// Columns that are packed side by side.
const COLUMNS: usize = 128;

impl<E: Element> Job for Pack<'_, E> {
    /// # Safety
    /// The matrix can be read, and nobody else uses these panels.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: the panels lie within `to`, and their rows within the matrix.
        unsafe {
            if self.matrix.depth_stride == 1 {
                // No closure: it would be a function of its own, without the instruction set.
                for panel in self.range.clone() {
                    self.transpose::<S>(panel);
                }
            } else {
                let group = (COLUMNS / self.to.width).max(1);
                for first in self.range.clone().step_by(group) {
                    self.copy::<S>(first..(first + group).min(self.range.end));
                }
            }
        }
    }
}

impl<E: Element> Pack<'_, E> {
    /// A panel of rows: blocks of some of them are turned round in registers.
    #[inline(always)]
    unsafe fn transpose<S: Simd>(&self, panel: usize) {
        let Matrix { data, depth, outer_stride, .. } = *self.matrix;
        let width = self.to.width;
        let (units, whole) = (depth.div_ceil(E::PER_UNIT), depth / E::PER_UNIT);
        // SAFETY: `outer` is within the matrix, units within its depth; a panel's width is a multiple of `ROWS`.
        unsafe {
            let to = self.to.at(panel, self.from);
            for block in (0..units).step_by(BLOCK) {
                let end = (block + BLOCK).min(units);
                for lane in (0..width).step_by(S::ROWS) {
                    let mut sources = [None; MOST_ROWS];
                    for (i, source) in sources.iter_mut().enumerate().take(S::ROWS) {
                        let outer = self.order.outer(panel, lane + i, width, self.matrix.outer);
                        *source = outer.map(|outer| data.add(outer * outer_stride));
                    }
                    let mut unit = block;
                    while unit + S::LANES <= end.min(whole) {
                        let mut rows = [S::splat(0.0); MOST_ROWS];
                        for (row, source) in rows.iter_mut().zip(sources) {
                            if let Some(source) = source {
                                *row = E::load::<S>(source.add(unit * E::PER_UNIT));
                            }
                        }
                        S::transpose(&rows, to.add(unit * width + lane), width);
                        unit += S::LANES;
                    }
                    for (i, source) in sources.into_iter().enumerate().take(S::ROWS) {
                        self.lane(source, unit..end, to.add(lane + i));
                    }
                }
            }
        }
    }

    /// Some units of one row, or zeros where there is none.
    #[inline(always)]
    unsafe fn lane(&self, row: Option<*const f32>, units: Range<usize>, to: *mut u32) {
        let whole = self.matrix.depth / E::PER_UNIT;
        for unit in units {
            // SAFETY: within the row, whose last unit may lack its upper number.
            unsafe {
                *to.add(unit * self.to.width) = match row.map(|row| row.add(unit * E::PER_UNIT)) {
                    None => 0,
                    Some(place) if unit < whole => E::unit(*place, *place.add(E::PER_UNIT - 1)),
                    Some(place) => E::unit(*place, 0.0),
                };
            }
        }
    }

    /// Panels of columns side by side: each depth of the matrix is another page, and is visited once for all of them.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&self, panels: Range<usize>) {
        debug_assert!(matches!(self.order, Order::Plain), "gates are rows");
        let Matrix { data, outer, depth, depth_stride, .. } = *self.matrix;
        let width = self.to.width;
        let (units, whole) = (depth.div_ceil(E::PER_UNIT), depth / E::PER_UNIT);
        let (first, end) = (panels.start * width, panels.end * width);
        // SAFETY: columns below `outer` are the matrix's, as are the depths of a unit that is whole.
        unsafe {
            for unit in 0..units {
                let low = data.add(unit * E::PER_UNIT * depth_stride);
                let high = (unit < whole).then(|| low.add((E::PER_UNIT - 1) * depth_stride));
                let mut column = first;
                if let Some(high) = high {
                    while column + S::LANES <= end.min(outer) {
                        let units = E::units::<S>(S::load(low.add(column)), S::load(high.add(column)));
                        self.spread::<S>(units, column, unit);
                        column += S::LANES;
                    }
                }
                for column in column..end {
                    let of = |row: *const f32| if column < outer { *row.add(column) } else { 0.0 };
                    let place = self.to.at(column / width, self.from + unit).add(column % width);
                    *place = E::unit(of(low), high.map_or(0.0, of));
                }
            }
        }
    }

    /// Puts the units of `LANES` columns from `column` on into their panel, or panels.
    #[inline(always)]
    unsafe fn spread<S: Simd>(&self, units: S::V, column: usize, unit: usize) {
        let unit = self.from + unit;
        // SAFETY: the columns exist, and a vector is as wide as some narrow panels, or a third of a wide one.
        unsafe {
            if self.to.width == S::ROWS {
                let mut buffer = [0u32; 16];
                S::store(buffer.as_mut_ptr().cast(), units);
                for part in 0..S::LANES / S::ROWS {
                    let to = self.to.at(column / S::ROWS + part, unit);
                    std::ptr::copy_nonoverlapping(buffer.as_ptr().add(part * S::ROWS), to, S::ROWS);
                }
            } else {
                let width = 3 * S::LANES;
                S::store(self.to.at(column / width, unit).add(column % width).cast(), units);
            }
        }
    }
}
