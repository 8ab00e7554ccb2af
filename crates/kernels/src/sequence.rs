//! One sequence, a token at a time: the one place through which `model` reaches it.

use tch::{Device, Kind, Tensor};

use crate::{
    Error, GruWeights, Isa, Precision,
    native::{
        sequence::{Functions, Gru, Linear, Model, Source, functions},
        within_memory,
    },
};

#[cfg(test)]
mod tests;

/// How the weights of a [`Sequence`] are stored. Sums and states are f32 in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Fp32,
    /// Bfloat16, multiplied by bfloat16 numbers.
    Bf16,
    /// Eight bits and a scale a row, multiplied by numbers of fourteen bits.
    Int8,
}

impl Packing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Bf16, Self::Int8];

    /// What costs no accuracy that anyone would notice: bf16 where `device` multiplies it in hardware, else fp32.
    #[must_use]
    pub fn best(device: Device) -> Self {
        let bf16 = match device {
            Device::Cpu => Isa::detect() == Some(Isa::Avx512Bf16),
            other => Precision::fastest(other) == Precision::Bf16,
        };
        if bf16 { Self::Bf16 } else { Self::Fp32 }
    }

    /// The name on the command line and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.precision().map_or("int8", Precision::name)
    }

    /// The arithmetic of passes over whole tensors that multiply the same numbers; none has eight bits.
    #[must_use]
    pub fn precision(self) -> Option<Precision> {
        match self {
            Self::Fp32 => Some(Precision::Fp32),
            Self::Bf16 => Some(Precision::Bf16),
            Self::Int8 => None,
        }
    }
}

/// The weights of a language model, f32 on the CPU.
#[derive(Debug)]
pub struct SequenceWeights<'a> {
    /// `[V, E]`.
    pub embedding: &'a Tensor,
    /// From the input on; the first reads `E` numbers, each other one what the one before it gives.
    pub layers: Vec<GruWeights<'a>>,
    /// Weight `[P, H]` and bias `[P]` of a linear layer before the softmax.
    pub projection: Option<(&'a Tensor, &'a Tensor)>,
    /// Weight `[V, P]`, or `[V, H]` without a projection, and bias `[V]` of the softmax.
    pub softmax: (&'a Tensor, &'a Tensor),
}

/// A language model that reads one sequence, a token at a time, on libtorch's threads: its weights are copied and packed once,
/// and nothing is allocated for a token.
pub struct Sequence {
    model: Model,
    functions: &'static Functions,
    /// `[V, E]`, of which a row is read for each token.
    embedding: Vec<f32>,
    vocabulary: usize,
    width: usize,
}

impl Sequence {
    /// Packs the weights.
    ///
    /// # Errors
    /// When the shapes do not fit each other, a size is 0, what a matrix is multiplied by is longer than 65,536, or a weight is
    /// not f32 on the CPU.
    pub fn new(weights: &SequenceWeights<'_>, packing: Packing) -> Result<Self, Error> {
        Self::with(weights, functions(packing))
    }

    fn with(weights: &SequenceWeights<'_>, functions: &'static Functions) -> Result<Self, Error> {
        let embedding = contiguous("embedding", weights.embedding)?;
        let &[vocabulary, width] = embedding.size().as_slice() else {
            return Err(Error(format!("sequence: embedding is {:?}; expected [V, E]", embedding.size())));
        };
        let mut inputs = width;
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (index, layer) in weights.layers.iter().enumerate() {
            let name = |part: &str| format!("layer {index}, {part}");
            let hidden = size(&name("recurrent"), layer.weight_hh, 1)?;
            let rows = hidden.saturating_mul(3);
            let input = Operand::new(&name("input"), (layer.weight_ih, layer.bias_ih), [rows, inputs])?;
            let recurrent = Operand::new(&name("recurrent"), (layer.weight_hh, layer.bias_hh), [rows, hidden])?;
            layers.push((input, recurrent));
            inputs = hidden;
        }
        let mut projection = None;
        if let Some((weight, bias)) = weights.projection {
            let width = size("projection", weight, 0)?;
            projection = Some(Operand::new("projection", (weight, bias), [width, inputs])?);
            inputs = width;
        }
        let softmax = Operand::new("softmax", weights.softmax, [vocabulary, inputs])?;
        let layers: Vec<_> = layers
            .iter()
            .map(|(input, recurrent)| Gru { input: input.linear(), recurrent: recurrent.linear() })
            .collect();
        let projection = projection.as_ref().map(Operand::linear);
        let source = Source { layers: &layers, projection, softmax: softmax.linear() };
        // SAFETY: contiguous, f32, of sizes that fit each other and are not 0; the operands outlive the call.
        let model = within_memory(|| unsafe { (functions.pack)(&source) })
            .ok_or_else(|| Error("sequence: can't allocate memory for the packed weights".into()))?;
        let refused = |error| Error(format!("sequence: embedding: {error}"));
        let embedding = embedding.f_reshape(-1).and_then(Vec::<f32>::try_from).map_err(refused)?;
        let [vocabulary, width] = [vocabulary, width].map(|size| size.unsigned_abs() as usize);
        Ok(Self { model, functions, embedding, vocabulary, width })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When the token is not in the vocabulary.
    pub fn read(&mut self, token: u32) -> Result<(), Error> {
        self.step(token, false)
    }

    /// Reads a token and returns the logits of the next, `[V]`.
    ///
    /// # Errors
    /// As [`Sequence::read`].
    pub fn predict(&mut self, token: u32) -> Result<&mut [f32], Error> {
        self.step(token, true)?;
        // SAFETY: the model has logits for the whole vocabulary, and its borrow keeps them from others.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.model.logits(), self.vocabulary) })
    }

    /// Forgets what was read.
    pub fn reset(&mut self) {
        self.model.reset();
    }

    fn step(&mut self, token: u32, predict: bool) -> Result<(), Error> {
        let start = (token as usize).saturating_mul(self.width);
        let Some(row) = self.embedding.get(start..).and_then(|rest| rest.get(..self.width)) else {
            return Err(Error(format!("sequence: token {token}; expected 0 to {}", self.vocabulary - 1)));
        };
        // SAFETY: the row is as wide as the first layer's input; the functions are those that packed the model.
        unsafe { (self.functions.step)(&mut self.model, row.as_ptr(), predict) };
        Ok(())
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vocabulary, width, .. } = self;
        f.debug_struct("Sequence").field("vocabulary", vocabulary).field("width", width).finish_non_exhaustive()
    }
}

/// A weight and its bias, contiguous, while they are packed.
struct Operand {
    weight: Tensor,
    bias: Tensor,
    rows: usize,
    columns: usize,
}

impl Operand {
    /// The longest vector that a matrix is multiplied by: sums of so many products of bytes fit into 32 bits.
    const MOST_COLUMNS: i64 = 1 << 16;

    fn new(name: &str, (weight, bias): (&Tensor, &Tensor), [rows, columns]: [i64; 2]) -> Result<Self, Error> {
        let (weight, bias) = (contiguous(name, weight)?, contiguous(name, bias)?);
        let found = (weight.size(), bias.size());
        let fits = found == (vec![rows, columns], vec![rows]);
        if !fits || rows < 1 || !(1..=Self::MOST_COLUMNS).contains(&columns) {
            return Err(Error(format!(
                "sequence: {name}: weight and bias are {found:?}; expected [{rows}, {columns}] and [{rows}], no size 0, at most {} columns",
                Self::MOST_COLUMNS
            )));
        }
        let [rows, columns] = [rows, columns].map(|size| size.unsigned_abs() as usize);
        Ok(Self { weight, bias, rows, columns })
    }

    fn linear(&self) -> Linear {
        let [weight, bias] = [&self.weight, &self.bias].map(|tensor| tensor.data_ptr().cast::<f32>().cast_const());
        Linear { weight, bias, rows: self.rows, columns: self.columns }
    }
}

/// A size of a weight; 0 where it has not so many.
fn size(name: &str, weight: &Tensor, dim: usize) -> Result<i64, Error> {
    crate::check_defined("sequence", name, weight)?;
    Ok(weight.size().get(dim).copied().unwrap_or(0))
}

/// The numbers of `tensor`, f32 on the CPU and without gaps.
fn contiguous(name: &str, tensor: &Tensor) -> Result<Tensor, Error> {
    crate::check_defined("sequence", name, tensor)?;
    let refused = |error| Error(format!("sequence: {name}: {error}"));
    let kind = tensor.f_kind().map_err(refused)?;
    if kind != Kind::Float || tensor.device() != Device::Cpu {
        return Err(Error(format!("sequence: {name} is {kind:?} on {:?}; expected Float on Cpu", tensor.device())));
    }
    tensor.f_detach().and_then(|tensor| tensor.f_contiguous()).map_err(refused)
}
