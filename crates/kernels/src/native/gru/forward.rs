//! Forward through time: the input's part of all steps in one product, then the recurrent part step by step.

use std::{marker::PhantomData, ops::Range};

use super::Sizes;
use crate::{
    native::{
        pack::{Matrix, Packed},
        parallel::{Barrier, parallel, share, threads},
        product::{Target, multiply, pack_gates, pack_left, pack_part, pack_right},
        scratch::Scratch,
    },
    simd::{Element, Job, Simd, Tile, load_part, prefetch, sigmoid, store_part, tanh},
};

/// Operands of the forward pass (`csrc/native.h`): contiguous, f32.
#[repr(C)]
pub(crate) struct GruForward {
    sizes: Sizes,
    /// `[T, B, I]`.
    x: *const f32,
    /// `[3H, I]`.
    weight_ih: *const f32,
    /// `[3H, H]`.
    weight_hh: *const f32,
    /// `[3H]`.
    bias_ih: *const f32,
    /// `[3H]`.
    bias_hh: *const f32,
    /// `[T + 1, B, H]`: the first state is read, the others are written.
    states: *mut f32,
    /// `[T, B, 3H]`: receives r, z, n.
    gates: *mut f32,
    /// `[T, B, H]`: receives q, the recurrent part of n before the reset gate; null without `keep`.
    recurrent: *mut f32,
    /// Whether a backward pass will read `gates` and `recurrent`.
    keep: bool,
}

/// The forward pass.
///
/// # Safety
/// The operands are as large as the sizes say, no size is 0, and nobody else uses those that are written.
pub(crate) unsafe fn forward<S: Simd, E: Element>(operands: &GruForward) {
    let Sizes { time, batch, input, hidden } = operands.sizes;
    // SAFETY: the operands are as large as their matrices.
    unsafe {
        let x = pack_left::<S, E>(Matrix::rows(operands.x, time * batch, input, input));
        let weights = pack_right::<S, E>(Matrix::rows(operands.weight_ih, 3 * hidden, input, input));
        let to =
            Target { data: operands.gates, rows: time * batch, columns: 3 * hidden, stride: 3 * hidden, add: false };
        multiply::<S, E>(&x, &weights, to);
        drop((x, weights));

        let weights = pack_gates::<S, E>(Matrix::rows(operands.weight_hh, 3 * hidden, hidden, hidden), hidden);
        let first = pack_left::<S, E>(Matrix::rows(operands.states, batch, hidden, hidden));
        let second = Packed::new(first.panels, first.width, first.depth);
        let items = threads().min(weights.panels);
        let barrier = Barrier::new(items);
        // For all threads: a lack of memory can only unwind from here.
        let a_thread = first.panels * S::ROWS * weights.width;
        let sums = Scratch::new(items * a_thread);
        let steps = Steps::<E> {
            operands,
            weights: &weights,
            states: [&first, &second],
            sums: sums.floats(),
            a_thread,
            barrier: &barrier,
            items,
            element: PhantomData,
        };
        parallel(items, &|own: Range<usize>| S::execute(&Own { steps: &steps, own }));
    }
}

/// All time steps.
struct Steps<'a, E> {
    operands: &'a GruForward,
    weights: &'a Packed,
    /// The state before a step and after it, by turns.
    states: [&'a Packed; 2],
    /// Room for the recurrent products of a panel, `a_thread` numbers an item.
    sums: *mut f32,
    a_thread: usize,
    barrier: &'a Barrier,
    items: usize,
    element: PhantomData<fn(E)>,
}

// SAFETY: pointers are numbers; those who use what they point to say why they may.
unsafe impl<E> Sync for Steps<'_, E> {}

/// One thread's panels of units.
struct Own<'a, E> {
    steps: &'a Steps<'a, E>,
    own: Range<usize>,
}

impl<E: Element> Job for Own<'_, E> {
    /// # Safety
    /// As [`forward`]; and the items of all threads are those of the barrier.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let steps = self.steps;
        let panels = share(steps.weights.panels, steps.items, &self.own);
        // SAFETY: there are sums for every item, and this one is this thread's.
        let sums = unsafe { steps.sums.add(self.own.start * steps.a_thread) };
        let Sizes { time, batch, .. } = steps.operands.sizes;
        for time in 0..time {
            let (before, after) = (steps.states[time % 2], steps.states[(time + 1) % 2]);
            for panel in panels.clone() {
                // SAFETY: the panels exist, `sums` has room for all rows; only this thread writes these units.
                unsafe {
                    steps.prefetch::<S>(time, panel);
                    for depth in (0..before.depth).step_by(S::DEPTH) {
                        let units = S::DEPTH.min(before.depth - depth);
                        for row in 0..before.panels {
                            let to = sums.add(row * S::ROWS * 3 * S::LANES);
                            let (a, b) = (before.at(row, depth), steps.weights.at(panel, depth));
                            S::tile::<E>(&Tile {
                                depth: units,
                                a,
                                b,
                                c: to,
                                stride: 3 * S::LANES,
                                add: depth > 0,
                                rows: batch - row * S::ROWS,
                                vectors: 3,
                            });
                        }
                    }
                    steps.gates::<S>(time, panel, sums);
                }
            }
            // SAFETY: as above, of the packed state too.
            unsafe { steps.pack::<S>(time, panels.start * S::LANES..panels.end * S::LANES, after) };
            steps.barrier.wait(self.own.len());
        }
    }
}

impl<E: Element> Steps<'_, E> {
    /// From the recurrent products of a panel, `sums` `[B][3 * LANES]`, to its units' new state.
    #[inline(always)]
    unsafe fn gates<S: Simd>(&self, time: usize, panel: usize, sums: *const f32) {
        let GruForward { sizes, bias_ih, bias_hh, states, gates, recurrent, keep, .. } = *self.operands;
        let Sizes { batch, hidden, .. } = sizes;
        let unit = panel * S::LANES;
        let count = S::LANES.min(hidden - unit);
        // SAFETY: `count` units from `unit` on are within each row of the operands.
        unsafe {
            let [mut from_input, mut from_state] = [[S::splat(0.0); 3]; 2];
            for gate in 0..3 {
                from_input[gate] = load_part::<S>(bias_ih.add(gate * hidden + unit), count);
                from_state[gate] = load_part::<S>(bias_hh.add(gate * hidden + unit), count);
            }
            let (bias_r, bias_z) = (S::add(from_input[0], from_state[0]), S::add(from_input[1], from_state[1]));
            let (bias_n, bias_q) = (from_input[2], from_state[2]);
            for row in 0..batch {
                let place = time * batch + row;
                let gates = gates.add(place * 3 * hidden + unit);
                let state = states.add(place * hidden + unit);
                let sums = sums.add(row * 3 * S::LANES);
                let r = S::add(load_part::<S>(gates, count), bias_r);
                let r = sigmoid::<S>(S::add(r, S::load(sums)));
                let z = S::add(load_part::<S>(gates.add(hidden), count), bias_z);
                let z = sigmoid::<S>(S::add(z, S::load(sums.add(S::LANES))));
                let q = S::add(S::load(sums.add(2 * S::LANES)), bias_q);
                let n = S::add(load_part::<S>(gates.add(2 * hidden), count), bias_n);
                let n = tanh::<S>(S::fma(r, q, n));
                let h = S::fma(z, S::sub(load_part::<S>(state, count), n), n);
                store_part::<S>(state.add(batch * hidden), h, count);
                if keep {
                    store_part::<S>(gates, r, count);
                    store_part::<S>(gates.add(hidden), z, count);
                    store_part::<S>(gates.add(2 * hidden), n, count);
                    store_part::<S>(recurrent.add(place * hidden + unit), q, count);
                }
            }
        }
    }

    /// Packs the state after a step, of some units.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, time: usize, units: Range<usize>, after: &Packed) {
        let Sizes { batch, hidden, .. } = self.operands.sizes;
        let count = units.len().min(hidden - units.start);
        // SAFETY: the units are within each row, and in the packed state theirs are this thread's.
        unsafe {
            let states = self.operands.states.add((time + 1) * batch * hidden + units.start);
            pack_part::<S, E>(&Matrix::rows(states, batch, count, hidden), after, units.start / E::PER_UNIT);
        }
    }

    /// Asks for what [`Steps::gates`] will read and write of a panel.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, time: usize, panel: usize) {
        let GruForward { sizes, states, gates, recurrent, keep, .. } = *self.operands;
        let Sizes { batch, hidden, .. } = sizes;
        let unit = panel * S::LANES;
        for place in time * batch..(time + 1) * batch {
            for gate in 0..3 {
                prefetch(gates.wrapping_add((place * 3 + gate) * hidden + unit), S::LANES);
            }
            prefetch(states.wrapping_add((place + batch) * hidden + unit), S::LANES);
            if keep {
                prefetch(recurrent.wrapping_add(place * hidden + unit), S::LANES);
            }
        }
    }
}
