//! What reads a text on, to be continued: packed weights on a CPU, tensors elsewhere.

use grulm_kernels::{Compute, Packing, Sequence, upload};
use grulm_model::{Carry, LanguageModel, Reading};
use tch::{Device, Kind, no_grad};

use crate::Error;

/// Tokens that a pass reads at most: bounds the memory of the logits.
const WINDOW: usize = 256;

/// A forward model and the state of its text.
pub(crate) enum Reader<'a> {
    Packed(Box<Sequence>),
    Tensors(Tensors<'a>),
}

/// Reads by passes over tensors.
pub(crate) struct Tensors<'a> {
    model: &'a LanguageModel,
    compute: Compute,
    carry: Carry,
    logits: Vec<f32>,
}

impl<'a> Reader<'a> {
    /// With an empty text.
    ///
    /// # Errors
    /// When the model has no forward half, or lies elsewhere than the CPU and `packing` is for the CPU alone.
    pub(crate) fn new(model: &'a LanguageModel, packing: Packing) -> Result<Self, Error> {
        match packing.precision() {
            Some(precision) if model.device() != Device::Cpu => {
                Ok(Self::Tensors(Tensors::new(model, Compute { precision, ..Compute::fp32() })?))
            }
            _ => Ok(Self::Packed(Box::new(model.sequence(Reading::Forward, packing)?))),
        }
    }

    /// Reads `tokens` and returns the logits of what follows, `[V]`; nothing where there are no tokens.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub(crate) fn read(&mut self, tokens: &[u32]) -> Result<&mut [f32], Error> {
        let Some((&last, before)) = tokens.split_last() else { return Ok(&mut []) };
        match self {
            Self::Packed(sequence) => {
                for &token in before {
                    sequence.read(token).map_err(grulm_model::Error::from)?;
                }
                Ok(sequence.predict(last).map_err(grulm_model::Error::from)?)
            }
            Self::Tensors(reader) => reader.read(tokens),
        }
    }
}

impl<'a> Tensors<'a> {
    fn new(model: &'a LanguageModel, compute: Compute) -> Result<Self, Error> {
        let carry = model.encoder().zero_carry(Reading::Forward, 1, model.device())?;
        Ok(Self { model, compute, carry, logits: Vec::new() })
    }

    fn read(&mut self, tokens: &[u32]) -> Result<&mut [f32], Error> {
        for window in tokens.chunks(WINDOW) {
            let window: Vec<i64> = window.iter().map(|&id| i64::from(id)).collect();
            let window = upload(&window, self.model.device())?.f_view([-1, 1])?;
            let pass = || self.model.logits(Reading::Forward, &window, &self.carry, self.compute);
            let (all, after) = no_grad(pass)?;
            self.carry = after;
            self.logits = Vec::<f32>::try_from(all.f_get(-1)?.f_view(-1)?.f_to_kind(Kind::Float)?)?;
        }
        Ok(&mut self.logits)
    }
}

#[cfg(test)]
mod tests {
    use grulm_model::ModelConfig;

    use super::*;

    #[test]
    fn both_readers_say_the_same() {
        let config = ModelConfig { embedding: 8, hidden: 12, layers: 2, ..ModelConfig::default() };
        let model = LanguageModel::new(&config, 20, 5, Device::Cpu).unwrap();
        let mut packed = Reader::new(&model, Packing::Fp32).unwrap();
        let mut tensors = Reader::Tensors(Tensors::new(&model, Compute::fp32()).unwrap());
        for length in [1, 255, 256, 257, 0, 600, 1] {
            let tokens: Vec<u32> = (0..length).map(|i| i * 7 % 20).collect();
            let (packed, tensors) = (packed.read(&tokens).unwrap(), tensors.read(&tokens).unwrap());
            assert_eq!(packed.len(), if length == 0 { 0 } else { 20 });
            for (a, b) in packed.iter().zip(tensors) {
                assert!((*a - *b).abs() < 1e-5, "{length}: {a}, {b}");
            }
        }
        assert!(packed.read(&[1, 20]).is_err() && tensors.read(&[1, 20]).is_err());
    }
}
