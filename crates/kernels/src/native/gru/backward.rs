//! Backward through time: only dG(t) W_hh step by step, then one product for each gradient.

use std::{marker::PhantomData, ops::Range};

use super::Sizes;
use crate::{
    native::{
        pack::{Matrix, Order, Packed},
        parallel::{Barrier, parallel, share, threads},
        product::{Target, multiply, pack_into, pack_left, pack_part, pack_right},
        scratch::Scratch,
    },
    simd::{Element, Job, Simd, Tile, load_part, prefetch, store_part},
};

/// Operands of the backward pass (`csrc/native.h`): contiguous, f32; null where said.
#[repr(C)]
pub(crate) struct GruBackward {
    sizes: Sizes,
    /// `[T, B, I]`.
    x: *const f32,
    /// `[3H, I]`.
    weight_ih: *const f32,
    /// `[3H, H]`.
    weight_hh: *const f32,
    /// `[T + 1, B, H]`, with the state before the first step.
    states: *const f32,
    /// `[T, B, 3H]`: r, z, n; receives their gradients before the nonlinearities, as the input's part has them.
    gates: *mut f32,
    /// `[T, B, H]`: q; receives its gradient.
    recurrent: *mut f32,
    /// The gradient of the outputs, `[T, B, H]`, or null.
    d_outputs: *const f32,
    /// The gradient of the last state, `[B, H]`; receives that of the first.
    d_state: *mut f32,
    /// `[T, B, I]`, or null where it is not wanted.
    d_x: *mut f32,
    /// `[3H, I]`, or null.
    d_weight_ih: *mut f32,
    /// `[3H, H]`, or null.
    d_weight_hh: *mut f32,
    /// `[3H]`.
    d_bias_ih: *mut f32,
    /// `[3H]`.
    d_bias_hh: *mut f32,
}

/// The backward pass.
///
/// # Safety
/// The operands are as large as the sizes say, no size is 0, and nobody else uses those that are written.
pub(crate) unsafe fn backward<S: Simd, E: Element>(operands: &GruBackward) {
    let Sizes { time, batch, input, hidden } = operands.sizes;
    let steps = time * batch;
    // SAFETY: the operands are as large as their matrices.
    unsafe {
        through_time::<S, E>(operands);

        let columns = |data: *const f32, outer, stride| Matrix::columns(data, outer, steps, stride);
        let target = |data, rows, columns| Target { data, rows, columns, stride: columns, add: false };
        if !operands.d_weight_ih.is_null() || !operands.d_weight_hh.is_null() {
            // Of r, z and n; both weights' gradients need the first two.
            let of_gates = pack_left::<S, E>(columns(operands.gates, 3 * hidden, 3 * hidden));
            if !operands.d_weight_ih.is_null() {
                let x = pack_right::<S, E>(columns(operands.x, input, input));
                multiply::<S, E>(&of_gates, &x, target(operands.d_weight_ih, 3 * hidden, input));
            }
            if !operands.d_weight_hh.is_null() {
                let before = pack_right::<S, E>(columns(operands.states, hidden, hidden));
                multiply::<S, E>(&of_gates, &before, target(operands.d_weight_hh, 2 * hidden, hidden));
                drop(of_gates);
                let of_q = pack_left::<S, E>(columns(operands.recurrent, hidden, hidden));
                let to = operands.d_weight_hh.add(2 * hidden * hidden);
                multiply::<S, E>(&of_q, &before, target(to, hidden, hidden));
            }
        }

        if !operands.d_x.is_null() {
            let left = pack_left::<S, E>(Matrix::rows(operands.gates, steps, 3 * hidden, 3 * hidden));
            let weights = pack_right::<S, E>(Matrix::columns(operands.weight_ih, input, 3 * hidden, input));
            multiply::<S, E>(&left, &weights, target(operands.d_x, steps, input));
        }
    }
}

unsafe fn through_time<S: Simd, E: Element>(operands: &GruBackward) {
    let Sizes { batch, hidden, .. } = operands.sizes;
    // Each gate begins with a unit of its own.
    let gate = hidden.div_ceil(E::PER_UNIT);
    let width = 3 * S::LANES;
    let weights = Packed::new(hidden.div_ceil(width), width, 3 * gate);
    let sums = Scratch::new(4 * hidden);
    // SAFETY: as `backward`; the sums have room for four times H.
    unsafe {
        for index in 0..3 {
            let rows = operands.weight_hh.add(index * hidden * hidden);
            pack_into::<S, E>(Matrix::columns(rows, hidden, hidden, hidden), Order::Plain, &weights, index * gate);
        }
        let pair = [(); 2].map(|()| Packed::new(batch.div_ceil(S::ROWS), S::ROWS, 3 * gate));
        std::ptr::write_bytes(sums.floats(), 0, 4 * hidden);
        let items = threads().min(hidden.div_ceil(S::LANES));
        let barrier = Barrier::new(items);
        // For all threads: a lack of memory can only unwind from here.
        let a_thread = pair[0].panels * S::ROWS * width;
        let products = Scratch::new(items * a_thread);
        let steps = Steps::<E> {
            operands,
            sums: sums.floats(),
            weights: &weights,
            packed: [&pair[0], &pair[1]],
            products: products.floats(),
            a_thread,
            barrier: &barrier,
            items,
            element: PhantomData,
        };
        parallel(items, &|own: Range<usize>| S::execute(&Own { steps: &steps, own }));
        // Those of r, z and n, and those of r, z and q.
        std::ptr::copy_nonoverlapping(sums.floats(), operands.d_bias_ih, 3 * hidden);
        std::ptr::copy_nonoverlapping(sums.floats(), operands.d_bias_hh, 2 * hidden);
        std::ptr::copy_nonoverlapping(sums.floats().add(3 * hidden), operands.d_bias_hh.add(2 * hidden), hidden);
    }
}

/// All time steps.
struct Steps<'a, E> {
    operands: &'a GruBackward,
    /// Over all steps and rows, of the four gradients, `[4H]`.
    sums: *mut f32,
    weights: &'a Packed,
    /// The gradients of r, z and q of a step, by turns.
    packed: [&'a Packed; 2],
    /// Room for the products of a panel, `a_thread` numbers an item.
    products: *mut f32,
    a_thread: usize,
    barrier: &'a Barrier,
    items: usize,
    element: PhantomData<fn(E)>,
}

// SAFETY: pointers are numbers; those who use what they point to say why they may.
unsafe impl<E> Sync for Steps<'_, E> {}

/// One thread's vectors of units.
struct Own<'a, E> {
    steps: &'a Steps<'a, E>,
    own: Range<usize>,
}

impl<E: Element> Job for Own<'_, E> {
    /// # Safety
    /// As [`backward`]; and the items of all threads are those of the barrier.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let steps = self.steps;
        let Sizes { time, hidden, .. } = steps.operands.sizes;
        // Not whole panels: they are wide, and of a few of them one thread may have many more than another.
        let vectors = share(hidden.div_ceil(S::LANES), steps.items, &self.own);
        let units = vectors.start * S::LANES..(vectors.end * S::LANES).min(hidden);
        // SAFETY: there is room for every item's products, and this one is this thread's.
        let buffer = unsafe { steps.products.add(self.own.start * steps.a_thread) };
        for time in (0..time).rev() {
            let packed = steps.packed[time % 2];
            // SAFETY: only this thread touches these units, but for `packed`, which all read when all have written it, and
            // which is written again when all have left the step in which they read it.
            unsafe {
                steps.gates::<S>(time, units.clone());
                steps.pack::<S>(time, units.clone(), packed);
                steps.barrier.wait(self.own.len());
                for panel in vectors.start / 3..vectors.end.div_ceil(3) {
                    let vectors = vectors.start.max(3 * panel)..vectors.end.min(3 * panel + 3);
                    if time > 0 {
                        steps.prefetch(time - 1, vectors.start * S::LANES, vectors.len() * S::LANES);
                    }
                    steps.recur::<S>(vectors, packed, buffer);
                }
            }
        }
    }
}

impl<E: Element> Steps<'_, E> {
    /// From the gradient of the state after a step to those of the gates, which take the gates' places, for some units; what is
    /// left of it flows past the gates to the state before.
    #[inline(always)]
    unsafe fn gates<S: Simd>(&self, time: usize, units: Range<usize>) {
        let GruBackward { sizes, states, gates, recurrent, d_outputs, d_state, .. } = *self.operands;
        let Sizes { batch, hidden, .. } = sizes;
        // SAFETY: the units are within each row of the operands.
        unsafe {
            let one = S::splat(1.0);
            for row in 0..batch {
                let place = time * batch + row;
                for unit in units.clone().step_by(S::LANES) {
                    let count = S::LANES.min(units.end - unit);
                    let own = place * hidden + unit;
                    let gates = gates.add(place * 3 * hidden + unit);
                    let r = load_part::<S>(gates, count);
                    let z = load_part::<S>(gates.add(hidden), count);
                    let n = load_part::<S>(gates.add(2 * hidden), count);
                    let recurrent = recurrent.add(own);
                    let q = load_part::<S>(recurrent, count);
                    let before = load_part::<S>(states.add(own), count);
                    let carried = d_state.add(row * hidden + unit);
                    let mut d_h = load_part::<S>(carried, count);
                    if !d_outputs.is_null() {
                        d_h = S::add(d_h, load_part::<S>(d_outputs.add(own), count));
                    }
                    let past = S::mul(d_h, z);
                    let d_n = S::mul(S::sub(d_h, past), S::sub(one, S::mul(n, n)));
                    let d_z = S::mul(S::mul(past, S::sub(one, z)), S::sub(before, n));
                    let d_q = S::mul(d_n, r);
                    let d_r = S::mul(S::mul(d_q, q), S::sub(one, r));
                    store_part::<S>(carried, past, count);
                    let places = [gates, gates.add(hidden), gates.add(2 * hidden), recurrent];
                    for (index, (gradient, place)) in [d_r, d_z, d_n, d_q].into_iter().zip(places).enumerate() {
                        store_part::<S>(place, gradient, count);
                        let sum = self.sums.add(index * hidden + unit);
                        store_part::<S>(sum, S::add(load_part::<S>(sum, count), gradient), count);
                    }
                }
            }
        }
    }

    /// Packs the gradients of r, z and q that [`Steps::gates`] left.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, time: usize, units: Range<usize>, packed: &Packed) {
        let GruBackward { sizes: Sizes { batch, hidden, .. }, gates, recurrent, .. } = *self.operands;
        let first = time * batch * hidden;
        let of = [(gates, 3 * first, 3 * hidden), (gates, 3 * first + hidden, 3 * hidden), (recurrent, first, hidden)];
        for (index, (data, start, stride)) in of.into_iter().enumerate() {
            let from = index * hidden.div_ceil(E::PER_UNIT) + units.start / E::PER_UNIT;
            // SAFETY: the units are within each row, and in the packed gradients theirs are this thread's.
            unsafe {
                let matrix = Matrix::rows(data.add(start + units.start), batch, units.len(), stride);
                pack_part::<S, E>(&matrix, packed, from);
            }
        }
    }

    /// Asks for what [`Steps::gates`] will read of some units.
    #[inline(always)]
    fn prefetch(&self, time: usize, unit: usize, count: usize) {
        let GruBackward { sizes, states, gates, recurrent, d_outputs, .. } = *self.operands;
        let Sizes { batch, hidden, .. } = sizes;
        let count = count.min(hidden - unit);
        for place in time * batch..(time + 1) * batch {
            for gate in 0..3 {
                prefetch(gates.wrapping_add((place * 3 + gate) * hidden + unit), count);
            }
            for rows in [states, recurrent.cast_const(), d_outputs] {
                prefetch(rows.wrapping_add(place * hidden + unit), count);
            }
        }
    }

    /// Adds dG(t) W_hh to the gradient of the state before, for some vectors of units of one panel.
    #[inline(always)]
    unsafe fn recur<S: Simd>(&self, vectors: Range<usize>, packed: &Packed, buffer: *mut f32) {
        let Sizes { batch, hidden, .. } = self.operands.sizes;
        let width = 3 * S::LANES;
        let (panel, unit) = (vectors.start / 3, vectors.start * S::LANES);
        // SAFETY: the panels and these vectors of theirs exist, and `buffer` has room for all their rows.
        unsafe {
            for depth in (0..packed.depth).step_by(S::DEPTH) {
                let units = S::DEPTH.min(packed.depth - depth);
                for row in 0..packed.panels {
                    S::tile::<E>(&Tile {
                        depth: units,
                        a: packed.at(row, depth),
                        b: self.weights.at(panel, depth).add(vectors.start % 3 * S::LANES),
                        c: buffer.add(row * S::ROWS * width),
                        stride: width,
                        add: depth > 0,
                        rows: batch - row * S::ROWS,
                        vectors: vectors.len(),
                    });
                }
            }
            for row in 0..batch {
                let to = self.operands.d_state.add(row * hidden + unit);
                for start in (0..(vectors.len() * S::LANES).min(hidden - unit)).step_by(S::LANES) {
                    let count = S::LANES.min(hidden - unit - start);
                    let sum = S::add(load_part::<S>(to.add(start), count), S::load(buffer.add(row * width + start)));
                    store_part::<S>(to.add(start), sum, count);
                }
            }
        }
    }
}
