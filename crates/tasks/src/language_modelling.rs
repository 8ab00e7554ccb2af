//! Language modelling: pretraining, as a task like any other.

use std::path::Path;

use grulm_corpus::{Cleaner, Lanes, TokenStream, Tokenizer};
use grulm_kernels::{Compute, upload};
use grulm_model::{Carry, LanguageModel, Noise, OutputPenalties, Params, Reading, WeightFormat};
use tch::{Device, Kind, Tensor};

use crate::{
    Error, Loss, Scores, Step, Task,
    bundle::{self, Provenance},
    score::{TextScore, token_nlls},
};

/// A split of the corpus: its tokens, and its size in bytes.
#[derive(Debug, Clone)]
pub struct TokenSplit {
    /// The tokens.
    pub stream: TokenStream,
    /// Bytes of the cleaned text, one a document added.
    pub bytes: u64,
}

/// How batches are cut and computed.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// Lanes a batch (B).
    pub batch_size: usize,
    /// Tokens a lane and window (T).
    pub sequence_length: usize,
    /// The run's seed.
    pub seed: u64,
    /// What training adds to the loss.
    pub penalties: OutputPenalties,
    /// How training passes and validation are computed.
    pub compute: Compute,
}

/// A language model in training: the inference half and its data.
#[derive(Debug)]
pub struct LanguageModelling {
    model: LanguageModel,
    tokenizer: Tokenizer,
    cleaner: Cleaner,
    batching: Batching,
    directions: Vec<DirectionState>,
    valid: Option<TokenSplit>,
    eos: u32,
    bytes_per_token: f64,
}

/// What a reading direction has of its own: lanes and carry.
#[derive(Debug)]
struct DirectionState {
    reading: Reading,
    lanes: Lanes,
    carry: Carry,
}

impl LanguageModelling {
    /// Puts `model` before its data.
    ///
    /// # Errors
    /// When `train` has fewer tokens than a batch has lanes.
    pub fn new(
        model: LanguageModel,
        tokenizer: Tokenizer,
        cleaner: Cleaner,
        train: &TokenSplit,
        valid: Option<TokenSplit>,
        batching: Batching,
    ) -> Result<Self, Error> {
        let Batching { batch_size, sequence_length, seed, .. } = batching;
        let direction = |&reading: &Reading| {
            let reversed = reading == Reading::Backward;
            let lanes = Lanes::new(train.stream.clone(), batch_size, sequence_length, reversed, seed)?;
            let carry = model.encoder().zero_carry(reading, batch_size as i64, model.device())?;
            Ok(DirectionState { reading, lanes, carry })
        };
        let directions =
            model.config().direction.readings().iter().map(direction).collect::<Result<Vec<_>, Error>>()?;
        let eos = tokenizer.special(grulm_corpus::Special::Eos);
        let bytes_per_token = train.bytes as f64 / train.stream.len().max(1) as f64;
        Ok(Self { model, tokenizer, cleaner, batching, directions, valid, eos, bytes_per_token })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &LanguageModel {
        &self.model
    }
}

/// Scores `split` in every direction that `model` reads, by `compute`, as [`token_nlls`] does.
///
/// # Errors
/// When libtorch refuses.
pub fn score_split(
    model: &LanguageModel,
    split: &TokenSplit,
    lanes: usize,
    eos: u32,
    compute: Compute,
) -> Result<Scores, Error> {
    let readings = model.config().direction.readings();
    let mut scores = Scores { criterion: 0.0, figures: Vec::new() };
    for &reading in readings {
        let nlls = token_nlls(model, reading, &split.stream, lanes, eos, compute)?;
        let score = TextScore::new(&nlls, split.bytes);
        let suffix = if readings.len() == 1 { String::new() } else { format!("_{}", reading.name()) };
        scores.criterion += score.nll;
        scores.figures.extend(score.figures(&suffix));
    }
    Ok(scores)
}

/// Tokens of some lanes, `[T, B]`, on `device`.
fn tokens(ids: &[i64], lanes: usize, device: Device) -> Result<Tensor, Error> {
    Ok(upload(ids, device)?.f_view([-1, lanes as i64])?)
}

fn sum_of(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}

impl Task for LanguageModelling {
    fn params(&self) -> &Params {
        self.model.params()
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        let (mut total, mut penalty): (Option<Tensor>, Option<Tensor>) = (None, None);
        let mut count = 0;
        let rates = self.model.training_dropout();
        for (index, direction) in self.directions.iter_mut().enumerate() {
            let batch = direction.lanes.batch(step.batch(), 0, 1);
            let device = self.model.device();
            if batch.starts {
                direction.carry = self.model.encoder().zero_carry(direction.reading, batch.lanes as i64, device)?;
            }
            let on_device = |ids| tokens(ids, batch.lanes, device);
            let (inputs, targets) = (on_device(&batch.inputs)?, on_device(&batch.targets)?);
            let noise = Noise { site: step.site().at(index as u64), rates: &rates };
            let loss = self.model.training_loss(
                direction.reading,
                (&inputs, &targets),
                &direction.carry,
                Some(&noise),
                self.batching.penalties,
                self.batching.compute,
            )?;
            direction.carry = loss.carry.detach();
            count += batch.targets.len() as u64;
            total = sum_of(total, Some(loss.nll));
            penalty = sum_of(penalty, loss.penalty);
        }
        let sum = total.unwrap_or_else(|| Tensor::zeros([], (Kind::Float, self.model.device())));
        Ok(Loss { sum, count, penalty })
    }

    fn batches_per_epoch(&self) -> u64 {
        self.directions.first().map_or(1, |direction| direction.lanes.steps_per_epoch())
    }

    fn figures(&self, mean_loss: f64) -> Vec<(&'static str, f64)> {
        // Two directions have two perplexities; their mean is none.
        if self.directions.len() > 1 {
            return Vec::new();
        }
        let bits_per_byte = mean_loss / std::f64::consts::LN_2 / self.bytes_per_token.max(f64::MIN_POSITIVE);
        vec![("perplexity", mean_loss.exp()), ("bits_per_byte", bits_per_byte)]
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        let Batching { batch_size, compute, .. } = self.batching;
        let score = |split| score_split(&self.model, split, batch_size, self.eos, compute);
        self.valid.as_ref().map(score).transpose()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let named = |direction: &DirectionState| {
            let name = direction.reading.name();
            let layer = move |(l, state): (usize, &Tensor)| (format!("carry.{name}.{l}"), state.shallow_clone());
            direction.carry.0.iter().enumerate().map(layer).collect::<Vec<_>>()
        };
        self.directions.iter().flat_map(named).collect()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        let mut carries = Vec::with_capacity(self.directions.len());
        let mut taken = 0;
        for direction in &self.directions {
            let mut layers = Vec::with_capacity(direction.carry.0.len());
            for (l, own) in direction.carry.0.iter().enumerate() {
                let name = format!("carry.{}.{l}", direction.reading.name());
                let found = state.iter().find(|(key, _)| *key == name).map(|(_, tensor)| tensor);
                let Some(tensor) = found.filter(|tensor| (tensor.kind(), tensor.size()) == (own.kind(), own.size()))
                else {
                    let found =
                        found.map_or("none".into(), |tensor| format!("{:?} {:?}", tensor.kind(), tensor.size()));
                    let expected = format!("{:?} {:?}", own.kind(), own.size());
                    return Err(Error::State(format!("carried state `{name}`: found {found}, expected {expected}")));
                };
                layers.push(tensor.f_to_device(own.device())?.copy());
                taken += 1;
            }
            carries.push(Carry(layers));
        }
        if taken != state.len() {
            return Err(Error::State(format!("{} carried states; expected {taken}", state.len())));
        }
        for (direction, carry) in self.directions.iter_mut().zip(carries) {
            direction.carry = carry;
        }
        Ok(())
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        bundle::save(folder, &self.model, &self.tokenizer, &self.cleaner, provenance, WeightFormat::Fp32)
    }
}
