//! One sequence, a token at a time, through a model whose weights are packed once: every token streams all weights through
//! the processor, so their bytes are what it takes, and all else must cost nothing. Nothing is allocated after [`Model`]'s
//! making.

mod format;
mod int8;
mod step;

use self::{format::Format, int8::Int8};
use super::{
    pack::{Matrix, Order, Packed},
    parallel::threads,
    scratch::Scratch,
};
use crate::{
    Packing,
    simd::{Bf16, F32, Isa, Simd, emulated::Emulated},
};

/// A matrix `[rows, columns]`, contiguous, and a bias for each row.
#[derive(Clone, Copy)]
pub(crate) struct Linear {
    pub(crate) weight: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// A layer: the input's part and the recurrent one, three gates of the same number of units.
pub(crate) struct Gru {
    pub(crate) input: Linear,
    pub(crate) recurrent: Linear,
}

/// What a model is packed from.
pub(crate) struct Source<'a> {
    pub(crate) layers: &'a [Gru],
    pub(crate) projection: Option<Linear>,
    pub(crate) softmax: Linear,
}

/// The functions for one instruction set and packing.
pub(crate) struct Functions {
    /// Packs a model; its state is zero.
    ///
    /// # Safety
    /// The matrices are as large as they say, no size is 0, each layer is as wide as the next one's input.
    pub(crate) pack: unsafe fn(&Source<'_>) -> Model,
    /// Goes on by a token whose embedding is given, and makes the logits of the next one where they are wanted.
    ///
    /// # Safety
    /// `pack` of the same functions made the model, and the embedding is as wide as its first layer's input.
    pub(crate) step: unsafe fn(&mut Model, *const f32, bool),
}

/// The functions for the best instruction set of this processor.
pub(crate) fn functions(packing: Packing) -> &'static Functions {
    #[cfg(target_arch = "x86_64")]
    if let Some(isa) = Isa::detect() {
        return functions_of(isa, packing);
    }
    of::<Emulated>(packing)
}

#[cfg(target_arch = "x86_64")]
fn functions_of(isa: Isa, packing: Packing) -> &'static Functions {
    use crate::simd::{Avx2, Avx512, Avx512Bf16};
    match isa {
        Isa::Avx2 => of::<Avx2>(packing),
        Isa::Avx512 => of::<Avx512>(packing),
        Isa::Avx512Bf16 => of::<Avx512Bf16>(packing),
    }
}

fn of<S: Simd>(packing: Packing) -> &'static Functions {
    struct Of<S, F>(std::marker::PhantomData<(S, F)>);
    impl<S: Simd, F: Format> Of<S, F> {
        const FUNCTIONS: Functions = Functions { pack: Model::pack::<S, F>, step: step::step::<S, F> };
    }
    match packing {
        Packing::Fp32 => &Of::<S, F32>::FUNCTIONS,
        Packing::Bf16 => &Of::<S, Bf16>::FUNCTIONS,
        Packing::Int8 => &Of::<S, Int8>::FUNCTIONS,
    }
}

/// The functions for every instruction set that the processor has, and for the emulated one, by name.
#[cfg(test)]
pub(crate) fn all(packing: Packing) -> Vec<(&'static str, &'static Functions)> {
    let mut all = vec![("emulated", of::<Emulated>(packing))];
    #[cfg(target_arch = "x86_64")]
    if let Some(best) = Isa::detect() {
        let isas = [Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16].into_iter().filter(|&isa| isa <= best);
        all.extend(isas.map(|isa| (isa.name(), functions_of(isa, packing))));
    }
    all
}

/// Bytes of weights from which a second thread pays, and each further one.
const BYTES_A_THREAD: usize = 1 << 17;

/// A packed model and the state of its sequence.
pub(crate) struct Model {
    layers: Vec<Layer>,
    projection: Option<Dense>,
    softmax: Dense,
    /// For each thread the input and the state of a layer as its weights are multiplied by them.
    prepared: Vec<[Scratch; 2]>,
    /// Which of the two states of a layer is the newer one.
    newer: usize,
}

struct Layer {
    input: Packed,
    recurrent: Packed,
    /// Of r and z for input and recurrent part together, of n for each: `[4][units]`, as many as the panels hold.
    biases: Scratch,
    /// Before and after a token, by turns.
    states: [Scratch; 2],
    inputs: usize,
    units: usize,
}

struct Dense {
    weight: Packed,
    /// As many as the panels hold, as is `output`.
    bias: Scratch,
    output: Scratch,
    inputs: usize,
}

impl Model {
    /// Packs what `source` says.
    ///
    /// # Safety
    /// As [`Functions::pack`].
    unsafe fn pack<S: Simd, F: Format>(source: &Source<'_>) -> Self {
        // SAFETY: the caller's.
        let (layers, projection, softmax) = unsafe {
            let layers: Vec<_> = source.layers.iter().map(|layer| Layer::pack::<S, F>(layer)).collect();
            let projection = source.projection.map(|linear| Dense::pack::<S, F>(linear));
            (layers, projection, Dense::pack::<S, F>(source.softmax))
        };
        let matrices = layers.iter().flat_map(|layer| [&layer.input, &layer.recurrent]);
        let matrices = matrices.chain(projection.as_ref().map(|dense| &dense.weight)).chain([&softmax.weight]);
        let bytes: usize = matrices.map(|packed| 4 * packed.panels * packed.width * packed.depth).sum();
        let multiplied = layers.iter().flat_map(|layer| [layer.inputs, layer.units]);
        let multiplied = multiplied.chain(projection.iter().chain([&softmax]).map(|dense| dense.inputs));
        let widest = multiplied.max().unwrap_or(0);
        let prepared = || Scratch::new(F::prepared(widest));
        let items = (bytes / BYTES_A_THREAD).clamp(1, threads());
        let prepared = (0..items).map(|_| [prepared(), prepared()]).collect();
        Self { layers, projection, softmax, prepared, newer: 0 }
    }

    /// Forgets what was read.
    pub(crate) fn reset(&mut self) {
        for state in self.layers.iter_mut().flat_map(|layer| &mut layer.states) {
            state.clear();
        }
    }

    /// The logits that the last step made, of at least as many words as there are.
    pub(crate) fn logits(&mut self) -> *mut f32 {
        self.softmax.output.floats()
    }
}

impl Layer {
    /// # Safety
    /// As [`Model::pack`].
    unsafe fn pack<S: Simd, F: Format>(layer: &Gru) -> Self {
        let (input, recurrent) = (layer.input, layer.recurrent);
        let units = recurrent.columns;
        let order = Order::Gates { lanes: S::LANES, hidden: units };
        let pack = |of: Linear| F::pack::<S>(Matrix::rows(of.weight, of.rows, of.columns, of.columns), order);
        let width = units.next_multiple_of(S::LANES);
        let (biases, states) = (Scratch::zeros(4 * width), [Scratch::zeros(width), Scratch::zeros(width)]);
        for unit in 0..units {
            // SAFETY: the biases have three gates of `units` numbers, the copy four of `width`.
            unsafe {
                let of = |linear: Linear, gate: usize| *linear.bias.add(gate * units + unit);
                let to = |index: usize| biases.floats().add(index * width + unit);
                *to(0) = of(input, 0) + of(recurrent, 0);
                *to(1) = of(input, 1) + of(recurrent, 1);
                *to(2) = of(input, 2);
                *to(3) = of(recurrent, 2);
            }
        }
        Self { input: pack(input), recurrent: pack(recurrent), biases, states, inputs: input.columns, units }
    }
}

impl Dense {
    /// # Safety
    /// As [`Model::pack`].
    unsafe fn pack<S: Simd, F: Format>(linear: Linear) -> Self {
        let Linear { weight, bias, rows, columns } = linear;
        let weight = F::pack::<S>(Matrix::rows(weight, rows, columns, columns), Order::Plain);
        let width = weight.panels * weight.width;
        let own = Scratch::zeros(width);
        // SAFETY: `rows` numbers on either side.
        unsafe { std::ptr::copy_nonoverlapping(bias, own.floats(), rows) };
        Self { weight, bias: own, output: Scratch::zeros(width), inputs: columns }
    }
}
