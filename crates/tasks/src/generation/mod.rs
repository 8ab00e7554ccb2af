//! Generation: prompts that are completed. (Fine-tuning on plain text is language modelling.)

mod complete;
mod config;
mod data;

use std::path::Path;

use grulm_corpus::{Cleaner, Tokenizer};
use grulm_kernels::{Compute, upload};
use grulm_model::{LanguageModel, Noise, Params, Reading, Site, WeightFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad};

pub use complete::{Completion, complete};
pub use config::{GenerationConfig, GenerationFormat};
pub use data::{GenerationData, read_generation_data, read_generation_files};

use crate::{
    Error, Examples, Loss, Scores, Step, Task, TextBatch, TextScore,
    buckets::{Buckets, longest_first},
    bundle::{self, BundleModel, Provenance},
};

/// What a completer is beside its language model (`task.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleterSettings {
    /// The field of the prompt.
    pub prompt_field: String,
    /// The field of what follows.
    pub completion_field: String,
}

/// A language model that has learned to complete prompts: `<eos>`, the prompt, `<sep>`, the completion, `<eos>`.
#[derive(Debug)]
pub struct Completer {
    /// The language model.
    pub model: LanguageModel,
    /// Names of fields.
    pub settings: CompleterSettings,
}

impl BundleModel for Completer {
    const KIND: &'static str = "generation";
    type Settings = CompleterSettings;

    fn settings(&self) -> CompleterSettings {
        self.settings.clone()
    }

    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        Ok(self.model.save(folder, format)?)
    }

    fn open(folder: &Path, settings: CompleterSettings, device: Device) -> Result<Self, Error> {
        Ok(Self { model: LanguageModel::open(folder, device)?, settings })
    }

    fn vocab_size(&self) -> i64 {
        self.model.vocab_size()
    }
}

/// A completer in training: the inference half and its data.
#[derive(Debug)]
pub struct Completing {
    completer: Completer,
    tokenizer: Tokenizer,
    cleaner: Cleaner,
    data: GenerationData,
    buckets: Buckets,
    batch_size: usize,
    window: i64,
    compute: Compute,
}

impl Completing {
    /// Puts `completer`, whose model reads forward, before its data.
    ///
    /// # Errors
    /// When the model has no forward half.
    pub fn new(
        completer: Completer,
        tokenizer: Tokenizer,
        cleaner: Cleaner,
        data: GenerationData,
        site: Site,
        (batch_size, window): (usize, usize),
        compute: Compute,
    ) -> Result<Self, Error> {
        completer.model.encoder().zero_carry(Reading::Forward, 1, completer.model.device())?;
        let buckets = Buckets::new(data.train.lengths(), batch_size, site.named("batches"));
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        Ok(Self { completer, tokenizer, cleaner, data, buckets, batch_size, window, compute })
    }

    /// The language model.
    #[must_use]
    pub fn model(&self) -> &LanguageModel {
        &self.completer.model
    }
}

/// Windows of a completion that are learned from.
const LEARNED_WINDOWS: usize = 16;

/// The negative log likelihood of the completions of a batch, summed, 0-dim f32, and the number of their tokens. The state is
/// carried from window to window of `window` tokens. With `noise`, in training, dropouts apply, and of a completion
/// [`LEARNED_WINDOWS`] windows count, since memory holds what gradients need of all of them.
fn completions_nll(
    model: &LanguageModel,
    tokenizer: &Tokenizer,
    examples: &Examples,
    texts: &[usize],
    noise: Option<&Noise<'_>>,
    window: i64,
    compute: Compute,
) -> Result<(Tensor, u64), Error> {
    let read = |&text: &usize| {
        let mut tokens = examples.tokens(text);
        let start = data::completion_start(&tokens, tokenizer);
        if noise.is_some() {
            tokens.truncate(start.saturating_add(LEARNED_WINDOWS.saturating_mul(window as usize)));
        }
        (tokens, start)
    };
    let mut texts: Vec<_> = texts.iter().map(read).collect();
    texts.sort_by_key(|(tokens, _)| std::cmp::Reverse(tokens.len()));
    let (tokens, starts): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
    let batch = TextBatch::new(tokens);
    let device = model.device();
    let mut carry = model.encoder().zero_carry(Reading::Forward, batch.len() as i64, device)?;
    let mut sum = Tensor::zeros([], (Kind::Float, device));
    let mut count = 0;
    let mut start = 0;
    // The last token is predicted, and not read.
    while start < batch.longest() - 1 {
        let end = (start + window).min(batch.longest() - 1);
        let inputs = batch.window(Reading::Forward, start, end, device)?;
        let (places, targets) = batch.targets(start, end, inputs.size2()?.1, &starts);
        count += targets.len() as u64;
        let (places, targets) = (upload(&places, device)?, upload(&targets, device)?);
        let before = carry.first(inputs.size2()?.1)?;
        let (nll, after) = model.loss_at(Reading::Forward, &inputs, (&places, &targets), &before, noise, compute)?;
        sum += nll;
        carry = after.detach();
        start = end;
    }
    Ok((sum, count))
}

/// Figures of a completer over prompts with completions: those of their completions' tokens.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn score_completions(
    model: &LanguageModel,
    tokenizer: &Tokenizer,
    examples: &Examples,
    batch_size: usize,
    window: i64,
    compute: Compute,
) -> Result<Scores, Error> {
    let (mut sum, mut count) = (0.0, 0);
    for batch in longest_first(&examples.lengths(), batch_size) {
        let pass = || completions_nll(model, tokenizer, examples, &batch, None, window, compute);
        let (nll, tokens) = no_grad(pass)?;
        sum += f64::try_from(nll)?;
        count += tokens;
    }
    let score = TextScore { tokens: count, nll: sum / count.max(1) as f64, bytes: 0 };
    Ok(Scores { criterion: score.nll, figures: completion_figures(&score) })
}

/// The figures of completions under their names in `evaluate --json`.
#[must_use]
pub fn completion_figures(score: &TextScore) -> Vec<(String, f64)> {
    let mut figures = score.figures("");
    figures.retain(|(name, _)| name != "bits_per_byte");
    figures
}

impl Task for Completing {
    fn params(&self) -> &Params {
        self.completer.model.params()
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        let texts = self.buckets.batch(step.batch());
        let model = &self.completer.model;
        let noise = Noise { site: step.site(), rates: &model.training_dropout() };
        let Self { tokenizer, data, window, compute, .. } = self;
        let (sum, count) = completions_nll(model, tokenizer, &data.train, &texts, Some(&noise), *window, *compute)?;
        Ok(Loss { sum, count, penalty: None })
    }

    fn batches_per_epoch(&self) -> u64 {
        self.buckets.per_epoch()
    }

    fn figures(&self, mean_loss: f64) -> Vec<(&'static str, f64)> {
        vec![("perplexity", mean_loss.exp())]
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        let Self { completer, tokenizer, data, batch_size, window, compute, .. } = self;
        let score = |valid| score_completions(&completer.model, tokenizer, valid, *batch_size, *window, *compute);
        data.valid.as_ref().map(score).transpose()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        match state {
            [] => Ok(()),
            state => Err(Error::State(format!("{} carried states; expected none", state.len()))),
        }
    }

    fn settings(&self) -> Result<Value, Error> {
        bundle::settings(&self.completer)
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        bundle::save(folder, &self.completer, &self.tokenizer, &self.cleaner, provenance, WeightFormat::Fp32)
    }
}
