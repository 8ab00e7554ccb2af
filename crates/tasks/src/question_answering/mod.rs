//! Question answering: for each question the part of a context that answers it.

mod answerer;
mod batches;
mod config;
mod data;
mod matching;
mod passage;
mod predict;
mod rows;
mod score;
#[cfg(test)]
mod tests;
mod training;
mod windows;

use std::path::Path;

use grulm_config::Invalid;
use grulm_corpus::{Cleaner, Tokenizer};
use grulm_kernels::Compute;
use grulm_model::{Noise, Params, Site, WeightFormat};
use serde_json::Value;
use tch::{Kind, Tensor};

pub use answerer::{Answerer, AnswererSettings};
pub use config::{AnswerCriterion, AnswerUnits, QuestionAnsweringConfig};
pub use data::{QuestionData, QuestionSet, for_each_question, read_question_data, read_questions};
pub use predict::{Candidate, Prediction, answer};
pub use score::{AnswersScore, PredictedAnswer, Scorer, score_answer};

use self::{
    batches::QuestionBatches,
    rows::Rows,
    training::{Lesson, Lessons},
};
use crate::{
    Error, Loss, Scores, Step, Task, Unit,
    bundle::{self, Provenance},
};

/// How an answerer is trained and chosen.
#[derive(Debug, Clone, Copy)]
pub struct QuestionAnsweringOptions {
    /// Questions a batch.
    pub batch_size: usize,
    /// The run's seed.
    pub seed: u64,
    /// The stage of the run.
    pub stage: u64,
    /// How training passes and validation are computed.
    pub compute: Compute,
    /// The figure that chooses the best checkpoint.
    pub criterion: AnswerCriterion,
}

/// An answerer in training: the inference half and its data.
#[derive(Debug)]
pub struct QuestionAnswering {
    answerer: Answerer,
    tokenizer: Tokenizer,
    cleaner: Cleaner,
    options: QuestionAnsweringOptions,
    data: QuestionData,
    /// What each training question teaches; nothing of those that are left out.
    lessons: Vec<Option<Lesson>>,
    batches: QuestionBatches,
}

impl QuestionAnswering {
    /// Puts `answerer` before its data.
    ///
    /// # Errors
    /// When there is no question to learn from.
    pub fn new(
        answerer: Answerer,
        tokenizer: Tokenizer,
        cleaner: Cleaner,
        data: QuestionData,
        options: QuestionAnsweringOptions,
    ) -> Result<Self, Error> {
        let windows = answerer.settings().windows();
        let train = &data.train;
        let lessons: Vec<_> = (0..train.len()).map(|question| Lesson::new(train, question, windows)).collect();
        let learned = lessons.iter().flatten().count();
        let allowed = "the tokens of a whole answer, of which no question of task.train has one that short";
        Invalid::check("train.sequence_length", windows.length, learned > 0, allowed)?;
        let mut contexts: Vec<_> =
            train.contexts.iter().map(|context| (context.len().min(windows.length), Vec::new())).collect();
        for lesson in lessons.iter().flatten() {
            contexts[train.questions[lesson.question].context].1.push(lesson.question);
        }
        let site = Site::new(options.seed).at(options.stage).named("batches");
        let batches = QuestionBatches::new(contexts, options.batch_size, site);
        Ok(Self { answerer, tokenizer, cleaner, options, data, lessons, batches })
    }

    /// Questions that are not learned from, since cleaning left nothing of their answers, or these are longer than a window.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.lessons.iter().filter(|lesson| lesson.is_none()).count()
    }
}

impl Task for QuestionAnswering {
    fn params(&self) -> &Params {
        self.answerer.params()
    }

    fn step(&mut self, step: Step) -> Result<Loss, Error> {
        let Self { answerer, options, data, lessons, batches, .. } = self;
        let batch = batches.batch(step.batch());
        let lessons: Vec<&Lesson> = batch.iter().filter_map(|&question| lessons[question].as_ref()).collect();
        let site = step.site();
        let settings = answerer.settings();
        let lessons = Lessons::new(&data.train, &lessons, settings.windows(), site.named("windows"));
        let noise = Noise { site, rates: &answerer.config().dropout };
        let rows = Rows::new(&data.train, &lessons.rows);
        let scores = answerer.scores(&rows, Some(&noise), options.compute)?;
        let sum = lessons.loss(&scores, settings.unanswerable, answerer.params().device())?;
        Ok(Loss { sum, count: batch.len() as u64, penalty: None })
    }

    fn unit(&self) -> Unit {
        Unit::Texts
    }

    fn batches_per_epoch(&self) -> u64 {
        self.batches.per_epoch()
    }

    fn figures(&self, _: f64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn evaluate(&mut self) -> Result<Option<Scores>, Error> {
        let Self { answerer, options, data: QuestionData { valid: Some(valid), .. }, .. } = self else {
            return Ok(None);
        };
        let mut predictions = predict::predict(answerer, valid, 1, options.batch_size, options.compute)?;
        let units = answerer.settings().units;
        if answerer.settings().unanswerable {
            let threshold = score::best_threshold(valid, &predictions, units);
            answerer.set_threshold(threshold);
            for prediction in &mut predictions {
                prediction.is_none = prediction.margin() > threshold;
            }
        }
        let score = AnswersScore::new(&score::predicted(valid, &predictions), units);
        let best = match options.criterion {
            AnswerCriterion::F1 => score.f1(),
            AnswerCriterion::ExactMatch => score.exact_match(),
        };
        Ok(Some(Scores { criterion: 100.0 - best, figures: score.figures() }))
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        // Bit for bit: a checkpoint is saved with what the last evaluation chose.
        let threshold = self.answerer.settings().threshold.to_bits().cast_signed();
        vec![(THRESHOLD.to_owned(), Tensor::from_slice(&[threshold]))]
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        let found = match state {
            [(name, tensor)] if name == THRESHOLD && tensor.kind() == Kind::Int64 => {
                <[i64; 1]>::try_from(Vec::try_from(tensor)?).ok()
            }
            _ => None,
        };
        let Some([bits]) = found else {
            let names: Vec<_> = state.iter().map(|(name, _)| name).collect();
            return Err(Error::State(format!("a state of {names:?}; expected `{THRESHOLD}`, an int64 number")));
        };
        self.answerer.set_threshold(f64::from_bits(bits.cast_unsigned()));
        Ok(())
    }

    fn settings(&self) -> Result<Value, Error> {
        bundle::settings(&self.answerer)
    }

    fn save_bundle(&self, folder: &Path, provenance: &Provenance) -> Result<(), Error> {
        bundle::save(folder, &self.answerer, &self.tokenizer, &self.cleaner, provenance, WeightFormat::Fp32)
    }
}

const THRESHOLD: &str = "threshold";
