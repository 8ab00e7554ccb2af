//! Operands of products in the order in which the micro-kernel reads them: panels `[depth][width]` of units.

use std::{marker::PhantomData, ops::Range};

use super::scratch::Scratch;
use crate::simd::{Element, Job, Simd};

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
}

/// Panels in the making: which row or column of the matrix stands in which lane.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// One after another.
    Plain,
    /// Panels of `lanes` units of each of three gates, which stand `hidden` rows apart.
    Gates { lanes: usize, hidden: usize },
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
}

impl Packed {
    /// Room for `panels` panels.
    pub(crate) fn new(panels: usize, width: usize, depth: usize) -> Self {
        Self { scratch: Scratch::new(panels * width * depth), panels, width, depth }
    }

    /// Panel `index` from unit `depth` on.
    ///
    /// # Safety
    /// There is such a unit.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, index: usize, depth: usize) -> *mut u32 {
        // SAFETY: the caller's.
        unsafe { self.scratch.words().add((index * self.depth + depth) * self.width) }
    }

    /// Makes every unit zero.
    pub(crate) fn clear(&mut self) {
        // SAFETY: this is what `new` took.
        unsafe { std::ptr::write_bytes(self.scratch.words(), 0, self.panels * self.width * self.depth) }
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
                self.range.clone().for_each(|panel| self.transpose(panel));
            } else {
                let group = (COLUMNS / self.to.width).max(1);
                for first in self.range.clone().step_by(group) {
                    self.copy(first..(first + group).min(self.range.end));
                }
            }
        }
    }
}

impl<E: Element> Pack<'_, E> {
    /// The row or column in `lane` of `panel`.
    #[inline(always)]
    fn outer(&self, panel: usize, lane: usize) -> Option<usize> {
        match self.order {
            Order::Plain => Some(panel * self.to.width + lane).filter(|&outer| outer < self.matrix.outer),
            Order::Gates { lanes, hidden } => {
                let unit = panel * lanes + lane % lanes;
                (unit < hidden).then_some(lane / lanes * hidden + unit)
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose(&self, panel: usize) {
        let Matrix { data, depth, outer_stride, .. } = *self.matrix;
        let width = self.to.width;
        let (units, whole) = (depth.div_ceil(E::PER_UNIT), depth / E::PER_UNIT);
        // SAFETY: `outer` is within the matrix, `unit` within its depth.
        unsafe {
            let to = self.to.at(panel, self.from);
            for block in (0..units).step_by(BLOCK) {
                let end = (block + BLOCK).min(units);
                for lane in 0..width {
                    let Some(outer) = self.outer(panel, lane) else {
                        for unit in block..end {
                            *to.add(unit * width + lane) = 0;
                        }
                        continue;
                    };
                    let row = data.add(outer * outer_stride);
                    for unit in block..end.min(whole) {
                        let place = row.add(unit * E::PER_UNIT);
                        *to.add(unit * width + lane) = E::unit(*place, *place.add(E::PER_UNIT - 1));
                    }
                    if end > whole {
                        *to.add(whole * width + lane) = E::unit(*row.add(whole * E::PER_UNIT), 0.0);
                    }
                }
            }
        }
    }

    /// Panels of columns side by side: each depth of the matrix is another page, and is visited once for all of them.
    #[inline(always)]
    unsafe fn copy(&self, panels: Range<usize>) {
        debug_assert!(matches!(self.order, Order::Plain), "gates are rows");
        let Matrix { data, outer, depth, depth_stride, .. } = *self.matrix;
        let width = self.to.width;
        let (units, whole) = (depth.div_ceil(E::PER_UNIT), depth / E::PER_UNIT);
        // SAFETY: `lanes` columns from each panel's first are within the matrix, `unit` is within its depth.
        unsafe {
            for unit in 0..units {
                for panel in panels.clone() {
                    let lanes = width.min(outer - panel * width);
                    let low = data.add(unit * E::PER_UNIT * depth_stride + panel * width);
                    let to = self.to.at(panel, self.from + unit);
                    if unit < whole {
                        let high = low.add((E::PER_UNIT - 1) * depth_stride);
                        for lane in 0..lanes {
                            *to.add(lane) = E::unit(*low.add(lane), *high.add(lane));
                        }
                    } else {
                        for lane in 0..lanes {
                            *to.add(lane) = E::unit(*low.add(lane), 0.0);
                        }
                    }
                    for lane in lanes..width {
                        *to.add(lane) = 0;
                    }
                }
            }
        }
    }
}
