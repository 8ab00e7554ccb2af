//! The search for the most probable translation.

use grulm_config::Invalid;
use grulm_corpus::{Special, Tokenizer};
use grulm_kernels::{Compute, upload};
use grulm_model::{Progress, Source};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::Translator;
use crate::{Error, TextBatch};

/// How translations are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Translations that are kept at each step; 1 is greedy.
    pub beam: usize,
    /// A translation's log probability is divided by the number of its tokens to this power (Wu et al., arXiv 1609.08144, simplified):
    /// 0 prefers short ones, 1 the mean.
    pub length_penalty: f64,
    /// A translation has at most this many tokens for each of its source, and [`Search::MARGIN`] more.
    pub max_length_ratio: f64,
    /// And at most this many tokens, however long its source.
    pub max_length: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self { beam: 5, length_penalty: 1.0, max_length_ratio: 3.0, max_length: 1_000 }
    }
}

impl Search {
    /// Tokens that a translation may have beside those that the ratio gives it.
    pub const MARGIN: usize = 10;

    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check_range("beam", self.beam, 1..=100)?;
        Invalid::check_range("length_penalty", self.length_penalty, 0.0..=10.0)?;
        Invalid::check_range("max_length_ratio", self.max_length_ratio, 0.0..=100.0)?;
        Invalid::check_range("max_length", self.max_length, 1..=1_000_000)
    }

    /// The same, without alternatives.
    #[must_use]
    pub fn greedy(self) -> Self {
        Self { beam: 1, ..self }
    }

    /// Tokens of a translation of `source` tokens, at most.
    fn limit(&self, source: usize) -> usize {
        ((self.max_length_ratio * source as f64) as usize + Self::MARGIN).min(self.max_length)
    }

    fn normalised(&self, log_probability: f64, length: usize) -> f64 {
        log_probability / (length.max(1) as f64).powf(self.length_penalty)
    }
}

/// A translation as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without `<eos>`.
    pub tokens: Vec<u32>,
    /// Its log probability, in nats, by its length.
    pub score: f64,
    /// Whether the model ended it, not the limit of its length.
    pub ended: bool,
}

/// The best translation of each text, by beam search over all of them side by side. Of several models the mean of the
/// probabilities counts. Nothing is drawn.
///
/// # Errors
/// When memory runs out.
pub fn search(
    models: &[&Translator],
    tokenizer: &Tokenizer,
    sources: &TextBatch,
    search: &Search,
    compute: Compute,
) -> Result<Vec<Hypothesis>, Error> {
    no_grad(|| Beams::new(models, tokenizer, sources, search, compute)?.run())
}

/// What goes on side by side: `beam` lanes in a row for each text that is not done.
struct Beams<'a> {
    models: &'a [&'a Translator],
    search: &'a Search,
    compute: Compute,
    device: Device,
    eos: u32,
    /// Specials that no translation holds, int64.
    never: Tensor,
    readings: Vec<InProgress>,
    texts: Vec<Beam>,
    found: Vec<Option<Hypothesis>>,
}

/// A model in the midst of it.
struct InProgress {
    source: Source,
    progress: Progress,
}

/// The search for the translation of one text.
struct Beam {
    /// Its place in the batch.
    place: usize,
    /// Tokens of a translation, at most.
    limit: usize,
    /// Every token that was ever kept, and the place of the one before it.
    history: Vec<(u32, usize)>,
    /// What is kept, the best first.
    live: Vec<Partial>,
    /// Ended translations, by the place of their last token in the history: the best.
    best: Option<Ended>,
    ended: usize,
}

#[derive(Clone, Copy)]
struct Partial {
    log_probability: f64,
    /// The place of its last token in the history.
    last: usize,
}

struct Ended {
    score: f64,
    last: usize,
    by_model: bool,
}

/// One way to go on: which lane of the text's, with which token, and the log probability of it all.
struct Candidate {
    lane: usize,
    token: u32,
    log_probability: f64,
}

/// Where a history begins.
const START: usize = usize::MAX;

impl<'a> Beams<'a> {
    fn new(
        models: &'a [&'a Translator],
        tokenizer: &Tokenizer,
        sources: &TextBatch,
        search: &'a Search,
        compute: Compute,
    ) -> Result<Self, Error> {
        let device = models.first().map_or(Device::Cpu, |model| model.params().device());
        let lanes: Vec<i64> = (0..sources.len() as i64).flat_map(|text| vec![text; search.beam]).collect();
        let lanes = upload(&lanes, device)?;
        let read = |model: &&Translator| {
            let source = model.read(sources, None, compute)?;
            let progress = source.start().select(&lanes)?;
            Ok(InProgress { source, progress })
        };
        let eos = tokenizer.special(Special::Eos);
        let never = Special::ALL.map(|special| i64::from(tokenizer.special(special)));
        let never: Vec<_> = never.into_iter().filter(|&id| id != i64::from(eos)).collect();
        let text = |(place, length): (usize, i64)| {
            let limit = search.limit(length as usize);
            // All but the first lane wait: they would be copies of it.
            let waits = |lane: usize| if lane == 0 { 0.0 } else { f64::NEG_INFINITY };
            let live = (0..search.beam).map(|lane| Partial { log_probability: waits(lane), last: START }).collect();
            Beam { place, limit, history: Vec::new(), live, best: None, ended: 0 }
        };
        Ok(Self {
            models,
            search,
            compute,
            device,
            eos,
            never: upload(&never, device)?,
            readings: models.iter().map(read).collect::<Result<_, Error>>()?,
            texts: sources.lengths().into_iter().enumerate().map(text).collect(),
            found: vec![None; sources.len()],
        })
    }

    fn run(mut self) -> Result<Vec<Hypothesis>, Error> {
        let mut length = 0;
        while !self.texts.is_empty() {
            let log_probabilities = self.step(length == 0)?;
            length += 1;
            let candidates = self.best(&log_probabilities)?;
            let mut parents = Vec::with_capacity(self.texts.len() * self.search.beam);
            let mut going_on = Vec::with_capacity(self.texts.len());
            for (index, (text, candidates)) in self.texts.iter_mut().zip(candidates).enumerate() {
                let lanes = text.advance(candidates, self.eos, length, self.search);
                if text.is_done(length, self.search) {
                    self.found[text.place] = Some(text.finish(length, self.search));
                } else {
                    parents.extend(lanes.into_iter().map(|lane| (index * self.search.beam + lane) as i64));
                    going_on.push(index as i64);
                }
            }
            self.go_on(&going_on, &parents)?;
        }
        // Every text was done before it was let go.
        Ok(self.found.into_iter().flatten().collect())
    }

    /// The log probabilities `[N, V]` of the next tokens, those that must not come aside.
    fn step(&mut self, first: bool) -> Result<Tensor, Error> {
        let last = |text: &Beam| text.live.iter().map(|partial| text.token(partial.last, self.eos)).collect::<Vec<_>>();
        let tokens: Vec<i64> = self.texts.iter().flat_map(last).collect();
        let tokens = upload(&tokens, self.device)?;
        let mut each = Vec::with_capacity(self.models.len());
        for (model, reading) in self.models.iter().zip(&mut self.readings) {
            let (log_probabilities, progress) =
                model.step(&tokens, &reading.progress, &reading.source, self.compute)?;
            reading.progress = progress;
            each.push(log_probabilities);
        }
        let mut mean = match each.as_slice() {
            [only] => only.shallow_clone(),
            several => {
                let sum = Tensor::f_stack(several, 0)?.f_logsumexp([0i64].as_slice(), false)?;
                sum.f_sub_scalar((several.len() as f64).ln())?
            }
        };
        let _ = mean.f_index_fill_(1, &self.never, f64::NEG_INFINITY)?;
        if first {
            // A text that is not empty has a translation that is not.
            let eos = upload(&[i64::from(self.eos)], self.device)?;
            let _ = mean.f_index_fill_(1, &eos, f64::NEG_INFINITY)?;
        }
        Ok(mean)
    }

    /// The best ways to go on, for each text, twice as many as lanes, since half of them may end.
    fn best(&self, log_probabilities: &Tensor) -> Result<Vec<Vec<Candidate>>, Error> {
        let vocabulary = log_probabilities.size2()?.1;
        let (texts, beam) = (self.texts.len() as i64, self.search.beam as i64);
        let so_far = self.texts.iter().flat_map(|text| text.live.iter().map(|partial| partial.log_probability as f32));
        let so_far = upload(&so_far.collect::<Vec<_>>(), self.device)?.f_unsqueeze(1)?;
        let all = log_probabilities.f_add(&so_far)?.f_view([texts, beam * vocabulary])?;
        let (values, places) = all.f_topk((2 * beam).min(beam * vocabulary), 1, true, true)?;
        let values = Vec::<Vec<f32>>::try_from(values.f_to_device(Device::Cpu)?)?;
        let places = Vec::<Vec<i64>>::try_from(places.f_to_device(Device::Cpu)?)?;
        let candidate = |(value, place): (f32, i64)| Candidate {
            lane: (place / vocabulary) as usize,
            token: (place % vocabulary) as u32,
            log_probability: f64::from(value),
        };
        Ok(values.into_iter().zip(places).map(|(v, p)| v.into_iter().zip(p).map(candidate).collect()).collect())
    }

    /// Goes on with these texts, whose lanes come from these of before.
    fn go_on(&mut self, texts: &[i64], parents: &[i64]) -> Result<(), Error> {
        let all = texts.len() == self.texts.len();
        let mut index = 0;
        self.texts.retain(|_| {
            index += 1;
            texts.binary_search(&(index - 1)).is_ok()
        });
        if self.texts.is_empty() {
            return Ok(());
        }
        let (texts, parents) = (upload(texts, self.device)?, upload(parents, self.device)?);
        for reading in &mut self.readings {
            reading.progress = reading.progress.select(&parents)?;
            if !all {
                reading.source = reading.source.select(&texts)?;
            }
        }
        Ok(())
    }
}

impl Beam {
    /// The token at a place of the history.
    fn token(&self, place: usize, eos: u32) -> i64 {
        i64::from(self.history.get(place).map_or(eos, |(token, _)| *token))
    }

    /// Takes the best candidates as what is kept, and returns the lanes that they come from. One that ends counts only where it
    /// is among as many best as there are lanes.
    fn advance(&mut self, candidates: Vec<Candidate>, eos: u32, length: usize, search: &Search) -> Vec<usize> {
        let (mut live, mut lanes) = (Vec::with_capacity(search.beam), Vec::with_capacity(search.beam));
        for (rank, Candidate { lane, token, log_probability }) in candidates.into_iter().enumerate() {
            if log_probability == f64::NEG_INFINITY || live.len() == search.beam {
                break;
            }
            let last = self.live[lane].last;
            if token != eos {
                self.history.push((token, last));
                live.push(Partial { log_probability, last: self.history.len() - 1 });
                lanes.push(lane);
            } else if rank < search.beam {
                self.ended += 1;
                self.note(Ended { score: search.normalised(log_probability, length), last, by_model: true });
            }
        }
        // Where there are fewer ways to go on than lanes, the others wait.
        live.resize(search.beam, Partial { log_probability: f64::NEG_INFINITY, last: START });
        lanes.resize(search.beam, 0);
        self.live = live;
        lanes
    }

    fn note(&mut self, ended: Ended) {
        if self.best.as_ref().is_none_or(|best| ended.score > best.score) {
            self.best = Some(ended);
        }
    }

    fn is_done(&self, length: usize, search: &Search) -> bool {
        let waits = self.live.first().is_none_or(|best| best.log_probability == f64::NEG_INFINITY);
        self.ended >= search.beam || length >= self.limit || waits
    }

    /// The best translation; where the model has ended none, the best of those that the limit ends.
    fn finish(&mut self, length: usize, search: &Search) -> Hypothesis {
        if self.best.is_none()
            && let Some(&Partial { log_probability, last }) = self.live.first()
        {
            self.note(Ended { score: search.normalised(log_probability, length), last, by_model: false });
        }
        let (score, by_model) = self.best.as_ref().map_or((0.0, false), |best| (best.score, best.by_model));
        let mut tokens = Vec::new();
        let mut place = self.best.as_ref().map_or(START, |best| best.last);
        while let Some(&(token, before)) = self.history.get(place) {
            tokens.push(token);
            place = before;
        }
        tokens.reverse();
        Hypothesis { tokens, score, ended: by_model }
    }
}
