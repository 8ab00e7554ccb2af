//! Kernels in Rust over the vectors of `simd`: what `csrc/native.cpp` calls from its autograd functions.

mod gru;
mod pack;
mod parallel;
mod product;
mod scratch;
pub(crate) mod sequence;
mod softmax;

use tch::{Device, Kind, Tensor};

use crate::{
    Precision,
    simd::{Bf16, Element, F32, Isa, Simd},
};

pub(crate) use self::{
    gru::{GruBackward, GruForward},
    parallel::{parallel, share, threads},
    scratch::within_memory,
    softmax::CrossEntropy,
};

/// The kernels of one instruction set and precision, as C sees them (`csrc/native.h`).
#[repr(C)]
pub(crate) struct Table {
    /// These say whether there was memory for them.
    gru_forward: unsafe extern "C" fn(&GruForward) -> bool,
    gru_backward: unsafe extern "C" fn(&GruBackward) -> bool,
    cross_entropy: unsafe extern "C" fn(&CrossEntropy) -> bool,
    /// For Rust alone: the product of a square matrix of this width with itself.
    square: unsafe extern "C" fn(*const f32, usize),
}

/// Multiplies `matrix`, `[N, N]`, by itself, for the time that it takes. Anything else is left alone.
pub(crate) fn square(table: &Table, matrix: &Tensor) {
    let (size, matrix) = (matrix.size(), matrix.contiguous());
    if let (&[rows, columns], Kind::Float, Device::Cpu) = (size.as_slice(), matrix.kind(), matrix.device())
        && rows == columns
        && rows > 0
    {
        // SAFETY: contiguous, f32, of that size.
        unsafe { (table.square)(matrix.data_ptr().cast(), rows.unsigned_abs() as usize) }
    }
}

/// Names the kernels for `S` and `E`.
struct Implementation<S, E>(std::marker::PhantomData<(S, E)>);

impl<S: Simd, E: Element> Implementation<S, E> {
    const TABLE: Table = Table {
        gru_forward: Self::gru_forward,
        gru_backward: Self::gru_backward,
        cross_entropy: Self::cross_entropy,
        square: product::square::<S, E>,
    };

    unsafe extern "C" fn gru_forward(operands: &GruForward) -> bool {
        // SAFETY: the caller's promise.
        within_memory(|| unsafe { gru::forward::<S, E>(operands) }).is_some()
    }

    unsafe extern "C" fn gru_backward(operands: &GruBackward) -> bool {
        // SAFETY: the caller's promise.
        within_memory(|| unsafe { gru::backward::<S, E>(operands) }).is_some()
    }

    unsafe extern "C" fn cross_entropy(operands: &CrossEntropy) -> bool {
        // SAFETY: the caller's promise.
        within_memory(|| unsafe { softmax::cross_entropy::<S, E>(operands) }).is_some()
    }
}

/// The kernels of every instruction set that the processor has, and of the emulated one, by name.
#[cfg(test)]
pub(crate) fn tables(precision: Precision) -> Vec<(&'static str, &'static Table)> {
    use crate::simd::emulated::Emulated;
    let emulated = match precision {
        Precision::Fp32 => &Implementation::<Emulated, F32>::TABLE,
        Precision::Bf16 => &Implementation::<Emulated, Bf16>::TABLE,
    };
    let mut tables = vec![("emulated", emulated)];
    #[cfg(target_arch = "x86_64")]
    if let Some(best) = Isa::detect() {
        let all = [Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16];
        tables.extend(all.into_iter().filter(|&isa| isa <= best).map(|isa| (isa.name(), table(isa, precision))));
    }
    tables
}

/// The kernels for `isa`, which the processor has.
#[cfg(target_arch = "x86_64")]
pub(crate) fn table(isa: Isa, precision: Precision) -> &'static Table {
    use crate::simd::{Avx2, Avx512, Avx512Bf16};
    match (isa, precision) {
        (Isa::Avx2, Precision::Fp32) => &Implementation::<Avx2, F32>::TABLE,
        (Isa::Avx2, Precision::Bf16) => &Implementation::<Avx2, Bf16>::TABLE,
        // The products of f32 numbers are the same with and without products of bf16 numbers.
        (Isa::Avx512 | Isa::Avx512Bf16, Precision::Fp32) => &Implementation::<Avx512, F32>::TABLE,
        (Isa::Avx512, Precision::Bf16) => &Implementation::<Avx512, Bf16>::TABLE,
        (Isa::Avx512Bf16, Precision::Bf16) => &Implementation::<Avx512Bf16, Bf16>::TABLE,
    }
}
