//! Perplexity, counted as the literature counts it.

use grulm_corpus::TokenStream;
use grulm_kernels::{Compute, Packing, autocast, upload};
use grulm_model::{LanguageModel, Reading};
use tch::{Kind, no_grad};

use crate::Error;

/// Tokens that a lane reads before its own, unscored, so that its state is that of the text before it.
const BURN_IN: u64 = 128;
/// Tokens a pass: bounds the memory of the logits.
const TOKENS_A_PASS: usize = 1024;

/// The negative log likelihood, in nats, of every token of `stream`, in reading order: each token is predicted once, the
/// first from an initial `eos`, each other one from all before it.
///
/// With one lane the state is carried through the whole text, exactly. With more, the text is cut into that many pieces,
/// read side by side, each after a burn-in of 128 tokens (fewer pieces where they would be shorter than that): faster,
/// and off by what a state forgets over 128 tokens. A backward model reads the text from its end, after the last `eos`,
/// and predicts an `eos` at the start of the text.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn token_nlls(
    model: &LanguageModel,
    reading: Reading,
    stream: &TokenStream,
    lanes: usize,
    eos: u32,
    compute: Compute,
) -> Result<Vec<f32>, Error> {
    let text = Text { stream, reading, eos };
    let total = stream.len();
    let lanes = (lanes as u64).min(total / BURN_IN).max(1);
    let piece = total.div_ceil(lanes) as i64;
    let mut nlls = vec![0f32; usize::try_from(total).unwrap_or(0)];
    let device = model.device();
    let mut carry = model.encoder().zero_carry(reading, lanes as i64, device)?;
    let window = (TOKENS_A_PASS as u64 / lanes).max(1) as i64;

    // Steps are counted from the start of a piece; negative ones are its burn-in.
    let mut step = if lanes > 1 { -(BURN_IN as i64) } else { 0 };
    while step < piece {
        if step == 0 && lanes > 1 {
            // No text stands before the first piece: what its lane read so far is forgotten.
            for state in &carry.0 {
                _ = state.f_narrow(0, 0, 1)?.f_zero_()?;
            }
        }
        let end = (step + window).min(if step < 0 { 0 } else { piece });
        let position = |lane: u64, at: i64| lane as i64 * piece + at;
        let (inputs, targets) = text.window(lanes, step..end, position);
        let shape = [end - step, lanes as i64];
        let (inputs, targets) = (upload(&inputs, device)?.f_view(shape)?, upload(&targets, device)?.f_view(shape)?);
        if step < 0 {
            // Only the state is wanted: the softmax is spared.
            let read = || model.encoder().forward(reading, &inputs, &carry, None, compute);
            carry = no_grad(|| autocast(compute.precision, device, read)).map_err(grulm_model::Error::from)??.1;
        } else {
            let (nll, after) = model.nll(reading, (&inputs, &targets), &carry, compute)?;
            carry = after;
            let values = Vec::<f32>::try_from(nll.f_view(-1)?.f_to_kind(Kind::Float)?)?;
            let places = (step..end).flat_map(|at| (0..lanes).map(move |lane| position(lane, at)));
            for (place, value) in places.zip(values) {
                // The last pieces reach beyond the end where the text does not divide evenly.
                if let Some(nll) = usize::try_from(place).ok().and_then(|place| nlls.get_mut(place)) {
                    *nll = value;
                }
            }
        }
        step = end;
    }
    Ok(nlls)
}

/// What [`token_nlls`] gives with one lane, by weights packed as `packing` says: a token at a time, on a CPU.
///
/// # Errors
/// When the model does not read in that direction or does not lie on the CPU, or a token is not in its vocabulary.
pub fn sequence_nlls(
    model: &LanguageModel,
    reading: Reading,
    stream: &TokenStream,
    eos: u32,
    packing: Packing,
) -> Result<Vec<f32>, Error> {
    let text = Text { stream, reading, eos };
    let mut sequence = model.sequence(reading, packing)?;
    let mut place_nll = |place| {
        let [input, target] =
            [text.token(place - 1), text.token(place)].map(|token| u32::try_from(token).unwrap_or(u32::MAX));
        nll(sequence.predict(input)?, target)
    };
    let nlls: Result<_, grulm_kernels::Error> = (0..stream.len() as i64).map(&mut place_nll).collect();
    Ok(nlls.map_err(grulm_model::Error::from)?)
}

/// The negative log likelihood of `target` under `logits`.
fn nll(logits: &[f32], target: u32) -> Result<f32, grulm_kernels::Error> {
    let Some(&own) = logits.get(target as usize) else {
        return Err(grulm_kernels::Error(format!("token {target}; expected 0 to {}", logits.len().saturating_sub(1))));
    };
    let most = logits.iter().fold(f32::NEG_INFINITY, |most, &logit| most.max(logit));
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - most).exp())).sum();
    Ok((sum.ln() + f64::from(most) - f64::from(own)) as f32)
}

/// A stream as a model of one direction reads it.
struct Text<'a> {
    stream: &'a TokenStream,
    reading: Reading,
    eos: u32,
}

impl Text<'_> {
    /// The token at a place in reading order; `eos` before the start and after the end.
    fn token(&self, place: i64) -> i64 {
        let total = self.stream.len() as i64;
        if !(0..total).contains(&place) {
            return i64::from(self.eos);
        }
        match self.reading {
            Reading::Forward => i64::from(self.stream.get(place as u64)),
            // The text ends with an `eos`, from which reading starts; the one before the text is predicted last.
            Reading::Backward if place == total - 1 => i64::from(self.eos),
            Reading::Backward => i64::from(self.stream.get((total - 2 - place) as u64)),
        }
    }

    /// Inputs and targets, `[T, B]` row-major, of `steps` of every lane.
    fn window(
        &self,
        lanes: u64,
        steps: std::ops::Range<i64>,
        position: impl Fn(u64, i64) -> i64,
    ) -> (Vec<i64>, Vec<i64>) {
        let places = steps.flat_map(|at| (0..lanes).map(move |lane| (lane, at)));
        places
            .map(|(lane, at)| {
                let place = position(lane, at);
                (self.token(place - 1), self.token(place))
            })
            .unzip()
    }
}

/// Figures of a text under a language model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextScore {
    /// Tokens scored, `<eos>` included.
    pub tokens: u64,
    /// Mean negative log likelihood a token, in nats.
    pub nll: f64,
    /// Bytes of the text, a line end a document included.
    pub bytes: u64,
}

impl TextScore {
    /// Sums up `nlls` over a text of `bytes`.
    #[must_use]
    pub fn new(nlls: &[f32], bytes: u64) -> Self {
        let sum: f64 = nlls.iter().map(|&nll| f64::from(nll)).sum();
        Self { tokens: nlls.len() as u64, nll: sum / nlls.len().max(1) as f64, bytes }
    }

    /// exp of the mean negative log likelihood.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        self.nll.exp()
    }

    /// Bits that the model needs for a byte of the text: comparable between tokenizers that lose nothing.
    #[must_use]
    pub fn bits_per_byte(&self) -> f64 {
        self.nll * self.tokens as f64 / std::f64::consts::LN_2 / self.bytes.max(1) as f64
    }

    /// The figures under their names in `evaluate --json`; `suffix` tells two directions apart.
    #[must_use]
    pub fn figures(&self, suffix: &str) -> Vec<(String, f64)> {
        [
            ("tokens", self.tokens as f64),
            ("nll", self.nll),
            ("perplexity", self.perplexity()),
            ("bits_per_byte", self.bits_per_byte()),
        ]
        .map(|(name, value)| (format!("{name}{suffix}"), value))
        .to_vec()
    }
}
