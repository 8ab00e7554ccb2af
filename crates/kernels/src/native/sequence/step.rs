//! One token: from its embedding through the layers to the logits of the next, in one parallel region.

use std::{marker::PhantomData, ops::Range};

use super::{Dense, Layer, Model, format::Format};
use crate::{
    native::parallel::{Barrier, parallel, share},
    simd::{Job, Simd, sigmoid, tanh},
};

/// See [`super::Functions`].
///
/// # Safety
/// As there.
pub(super) unsafe fn step<S: Simd, F: Format>(model: &mut Model, embedded: *const f32, predict: bool) {
    let items = model.prepared.len();
    let barrier = Barrier::new(items);
    let step = Step::<F> { model, embedded, predict, barrier, format: PhantomData };
    // SAFETY: the caller's; the borrow keeps others from the model, and the threads' parts of it are disjoint.
    parallel(items, &|own: Range<usize>| unsafe { S::execute(&Own { step: &step, own }) });
    model.newer = 1 - model.newer;
}

struct Step<'a, F> {
    model: &'a Model,
    embedded: *const f32,
    predict: bool,
    barrier: Barrier,
    format: PhantomData<fn(F)>,
}

// SAFETY: pointers are numbers; those who use what they point to say why they may.
unsafe impl<F> Sync for Step<'_, F> {}

/// One thread's part.
struct Own<'a, F> {
    step: &'a Step<'a, F>,
    own: Range<usize>,
}

impl<F: Format> Job for Own<'_, F> {
    /// # Safety
    /// As [`step`]; and the items of all threads are those of the barrier.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let Step { model, embedded, predict, barrier, .. } = self.step;
        let Model { layers, projection, softmax, prepared, newer } = model;
        let (before, after) = (*newer, 1 - *newer);
        let [input, state] = &prepared[self.own.start];
        let (input, state) = (input.words(), state.words());
        let panels = |count| share(count, prepared.len(), &self.own);
        // SAFETY: vectors are as wide as those who read them say, and after a barrier nobody writes what was written before.
        unsafe {
            let mut x: *const f32 = *embedded;
            for layer in layers {
                F::prepare::<S>(x, layer.inputs, input);
                F::prepare::<S>(layer.states[before].floats(), layer.units, state);
                for panel in panels(layer.recurrent.panels) {
                    let from_input = F::multiply::<S>(&layer.input, panel, input);
                    let from_state = F::multiply::<S>(&layer.recurrent, panel, state);
                    layer.gates::<S>(panel, (from_input, from_state), (before, after));
                }
                x = layer.states[after].floats();
                barrier.wait(self.own.len());
            }
            if !predict {
                return;
            }
            if let Some(projection) = projection {
                projection.rows::<S, F>(x, input, panels(projection.weight.panels));
                x = projection.output.floats();
                barrier.wait(self.own.len());
            }
            softmax.rows::<S, F>(x, input, panels(softmax.weight.panels));
        }
    }
}

impl Layer {
    /// The new state of a panel's units.
    #[inline(always)]
    unsafe fn gates<S: Simd>(
        &self,
        panel: usize,
        (input, state): ([S::V; 3], [S::V; 3]),
        (before, after): (usize, usize),
    ) {
        let width = self.units.next_multiple_of(S::LANES);
        let unit = panel * S::LANES;
        // SAFETY: biases and states have room for whole vectors.
        unsafe {
            let mut biases = [S::splat(0.0); 4];
            for (index, bias) in biases.iter_mut().enumerate() {
                *bias = S::load(self.biases.floats().add(index * width + unit));
            }
            let r = sigmoid::<S>(S::add(S::add(input[0], state[0]), biases[0]));
            let z = sigmoid::<S>(S::add(S::add(input[1], state[1]), biases[1]));
            let n = tanh::<S>(S::fma(r, S::add(state[2], biases[3]), S::add(input[2], biases[2])));
            let h = S::load(self.states[before].floats().add(unit));
            S::store(self.states[after].floats().add(unit), S::fma(z, S::sub(h, n), n));
        }
    }
}

impl Dense {
    /// The outputs of some panels.
    #[inline(always)]
    unsafe fn rows<S: Simd, F: Format>(&self, x: *const f32, prepared: *mut u32, panels: Range<usize>) {
        // SAFETY: bias and output have room for whole panels.
        unsafe {
            F::prepare::<S>(x, self.inputs, prepared);
            for panel in panels {
                for (index, sum) in F::multiply::<S>(&self.weight, panel, prepared).into_iter().enumerate() {
                    let at = (3 * panel + index) * S::LANES;
                    S::store(self.output.floats().add(at), S::add(sum, S::load(self.bias.floats().add(at))));
                }
            }
        }
    }
}
