//! How the weights of a packed matrix are stored, and how a vector is multiplied by them.

use crate::{
    native::{
        pack::{Matrix, Order, Packed},
        product::pack,
    },
    simd::{Element, Simd, prefetch},
};

/// Words ahead of its use that a weight is asked for: the processor's own guesses end with a page.
pub(super) const AHEAD: usize = 2048;

/// A format of weights. Its panels have three vectors of rows, so that those of a layer hold all three gates of their units.
pub(crate) trait Format: 'static {
    /// Packs the rows of `matrix`.
    fn pack<S: Simd>(matrix: Matrix, order: Order) -> Packed;
    /// Words that [`Format::prepare`] writes for a vector of `count` numbers, at most.
    fn prepared(count: usize) -> usize;
    /// Turns a vector into what a panel is multiplied by.
    ///
    /// # Safety
    /// `count` numbers can be read, and [`Format::prepared`] words written; the processor has `S`.
    unsafe fn prepare<S: Simd>(x: *const f32, count: usize, to: *mut u32);
    /// The products of the rows of a panel with a prepared vector.
    ///
    /// # Safety
    /// There is such a panel, `x` is prepared and as long as its rows, the processor has `S`.
    unsafe fn multiply<S: Simd>(weights: &Packed, panel: usize, x: *const u32) -> [S::V; 3];
}

impl<E: Element> Format for E {
    fn pack<S: Simd>(matrix: Matrix, order: Order) -> Packed {
        pack::<S, E>(matrix, order, 3 * S::LANES)
    }

    fn prepared(count: usize) -> usize {
        count.div_ceil(E::PER_UNIT)
    }

    #[inline(always)]
    unsafe fn prepare<S: Simd>(x: *const f32, count: usize, to: *mut u32) {
        let whole = count / E::PER_UNIT;
        let vectors = whole - whole % S::LANES;
        // SAFETY: the caller's.
        unsafe {
            for unit in (0..vectors).step_by(S::LANES) {
                S::store(to.add(unit).cast(), E::load::<S>(x.add(unit * E::PER_UNIT)));
            }
            for unit in vectors..whole {
                let place = x.add(unit * E::PER_UNIT);
                *to.add(unit) = E::unit(*place, *place.add(E::PER_UNIT - 1));
            }
            if whole * E::PER_UNIT < count {
                *to.add(whole) = E::unit(*x.add(count - 1), 0.0);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd>(weights: &Packed, panel: usize, x: *const u32) -> [S::V; 3] {
        // SAFETY: the caller's; every unit is within the panel.
        unsafe {
            let (mut w, mut x) = (weights.at(panel, 0).cast::<f32>(), x.cast::<f32>());
            // Sums of even and of odd units: three alone would wait for each other.
            let mut sums = [[S::splat(0.0); 3]; 2];
            for _ in 0..weights.depth / 2 {
                prefetch(w.wrapping_add(AHEAD), 6 * S::LANES);
                for (half, sums) in sums.iter_mut().enumerate() {
                    let factor = S::splat(*x.add(half));
                    for (index, sum) in sums.iter_mut().enumerate() {
                        *sum = E::multiply_add::<S>(factor, S::load(w.add((3 * half + index) * S::LANES)), *sum);
                    }
                }
                w = w.add(6 * S::LANES);
                x = x.add(2);
            }
            if weights.depth % 2 == 1 {
                for (index, sum) in sums[0].iter_mut().enumerate() {
                    *sum = E::multiply_add::<S>(S::splat(*x), S::load(w.add(index * S::LANES)), *sum);
                }
            }
            let [even, odd] = sums;
            [S::add(even[0], odd[0]), S::add(even[1], odd[1]), S::add(even[2], odd[2])]
        }
    }
}
