//! How good answers are.

use grulm_corpus::labelled::Question;
use grulm_kernels::Compute;
use grulm_metrics::{AnswerScore, Units};

use super::{AnswerUnits, Answerer, Prediction, data::QuestionSet, predict::answer};
use crate::{Bundle, Error, SORTED_TOGETHER};

/// Exact match and F1 over many questions.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswersScore {
    score: AnswerScore,
    units: Units,
    /// The share, in percent, of questions without an answer of which it was said that they have none; of those that have one,
    /// how many of a hundred were answered. Only where there are some of both kinds.
    refusals: Option<[f64; 2]>,
}

/// An answer beside the right ones, of which none means that the question cannot be answered. An empty answer is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictedAnswer {
    /// What the model answered, empty for nothing.
    pub predicted: String,
    /// What is right.
    pub gold: Vec<String>,
}

impl AnswersScore {
    /// Counts answers.
    #[must_use]
    pub fn new(answers: &[PredictedAnswer], units: AnswerUnits) -> Self {
        let units = units.resolve(answers.iter().flat_map(|answer| &answer.gold).map(String::as_str));
        let mut score = AnswerScore::new(units);
        // Questions of either kind, and those that were taken for what they are.
        let (mut of_kind, mut seen) = ([0u32; 2], [0u32; 2]);
        for PredictedAnswer { predicted, gold } in answers {
            score.add(predicted, gold.iter().map(String::as_str));
            let kind = usize::from(!gold.is_empty());
            of_kind[kind] += 1;
            seen[kind] += u32::from(gold.is_empty() == predicted.is_empty());
        }
        let share = |kind: usize| 100.0 * f64::from(seen[kind]) / f64::from(of_kind[kind]);
        let refusals = of_kind.iter().all(|&count| count > 0).then(|| [share(0), share(1)]);
        Self { score, units, refusals }
    }

    /// Of no question, with every figure that there can be.
    #[must_use]
    pub fn of_none() -> Self {
        Self { score: AnswerScore::new(Units::Words), units: Units::Words, refusals: Some([0.0; 2]) }
    }

    /// Share of answers that are right to the letter, after normalisation, in percent.
    #[must_use]
    pub fn exact_match(&self) -> f64 {
        self.score.exact_match()
    }

    /// Mean F1, in percent.
    #[must_use]
    pub fn f1(&self) -> f64 {
        self.score.f1()
    }

    /// What was compared.
    #[must_use]
    pub fn units(&self) -> Units {
        self.units
    }

    /// The figures under their names in `evaluate --json`.
    #[must_use]
    pub fn figures(&self) -> Vec<(String, f64)> {
        let figures =
            [("examples", self.score.questions() as f64), ("exact_match", self.exact_match()), ("f1", self.f1())];
        let kinds = self.refusals.into_iter().flat_map(|[none, some]| [("none_recognised", none), ("answered", some)]);
        figures.into_iter().chain(kinds).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How good a single answer is, exactly and by F1: from 0 to 100.
#[must_use]
pub fn score_answer(answer: &PredictedAnswer, units: Units) -> (f64, f64) {
    let mut score = AnswerScore::new(units);
    score.add(&answer.predicted, answer.gold.iter().map(String::as_str));
    (score.exact_match(), score.f1())
}

/// Answers questions as they come, many together: memory holds the contexts of some batches.
#[derive(Debug)]
pub struct Scorer<'a> {
    bundle: &'a Bundle<Answerer>,
    batch_size: usize,
    compute: Compute,
    waiting: Vec<Question>,
    answered: Vec<(String, Prediction, PredictedAnswer)>,
}

impl<'a> Scorer<'a> {
    /// No questions yet.
    #[must_use]
    pub fn new(bundle: &'a Bundle<Answerer>, batch_size: usize, compute: Compute) -> Self {
        Self { bundle, batch_size, compute, waiting: Vec::new(), answered: Vec::new() }
    }

    /// Takes a question.
    ///
    /// # Errors
    /// When the tokenizer refuses, or memory runs out.
    pub fn push(&mut self, question: Question) -> Result<(), Error> {
        self.waiting.push(question);
        if self.waiting.len() < self.batch_size * SORTED_TOGETHER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let predictions = answer(self.bundle, &self.waiting, 1, self.batch_size, self.compute)?;
        for (question, prediction) in self.waiting.drain(..).zip(predictions) {
            let span = prediction.answer().map_or(0..0, |answer| answer.span.clone());
            let predicted = PredictedAnswer {
                predicted: question.context[span].to_owned(),
                gold: question.answers.into_iter().flatten().map(|answer| answer.text).collect(),
            };
            self.answered.push((question.question, prediction, predicted));
        }
        Ok(())
    }

    /// Every question with what was said of it, in order.
    ///
    /// # Errors
    /// As [`Scorer::push`].
    pub fn finish(mut self) -> Result<Vec<(String, Prediction, PredictedAnswer)>, Error> {
        self.flush()?;
        Ok(self.answered)
    }
}

/// The answers that predictions for a set are, beside the right ones.
pub(super) fn predicted(set: &QuestionSet, predictions: &[Prediction]) -> Vec<PredictedAnswer> {
    let predicted = |(question, prediction): (usize, &Prediction)| {
        let text = set.context(question).text();
        PredictedAnswer {
            predicted: prediction.answer().map(|answer| text[answer.span.clone()].to_owned()).unwrap_or_default(),
            gold: set.gold(question).map(str::to_owned).collect(),
        }
    };
    predictions.iter().enumerate().map(predicted).collect()
}

/// The threshold on [`Prediction::margin`] above which giving no answer makes the mean F1 the best that it can be on a set: half way
/// between two margins.
pub(super) fn best_threshold(set: &QuestionSet, predictions: &[Prediction], units: AnswerUnits) -> f64 {
    let answered: Vec<Prediction> = predictions.iter().map(|p| Prediction { is_none: false, ..p.clone() }).collect();
    let answers = predicted(set, &answered);
    let units = units.resolve(answers.iter().flat_map(|answer| &answer.gold).map(String::as_str));
    // What is lost by giving no answer.
    let loss = |answer: &PredictedAnswer| {
        let none = PredictedAnswer { predicted: String::new(), gold: answer.gold.clone() };
        score_answer(answer, units).1 - score_answer(&none, units).1
    };
    let mut by_margin: Vec<(f64, f64)> =
        predictions.iter().zip(&answers).map(|(prediction, answer)| (prediction.margin(), loss(answer))).collect();
    by_margin.sort_by(|a, b| b.0.total_cmp(&a.0));
    // From refusing nothing on, one more at a time, the surest first.
    let highest = by_margin.first().map_or(0.0, |first| first.0 + 1.0);
    let (mut best, mut lost) = ((0.0, highest), 0.0);
    for (place, &(margin, loss)) in by_margin.iter().enumerate() {
        lost += loss;
        let next = by_margin.get(place + 1).map_or(margin - 2.0, |next| next.0);
        if lost < best.0 && next < margin {
            best = (lost, f64::midpoint(margin, next));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(predicted: &str, gold: &[&str]) -> PredictedAnswer {
        PredictedAnswer { predicted: predicted.to_owned(), gold: gold.iter().map(|gold| (*gold).to_owned()).collect() }
    }

    #[test]
    fn figures_are_those_of_the_answers() {
        let names = |score: &AnswersScore| score.figures().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let plain = [answer("The cat", &["cat"]), answer("a dog", &["a cat", "the dog house"])];
        let score = AnswersScore::new(&plain, AnswerUnits::Auto);
        assert_eq!((score.exact_match(), score.units()), (50.0, Units::Words));
        assert!((score.f1() - (100.0 + 200.0 / 3.0) / 2.0).abs() < 1e-9);
        assert_eq!(names(&score), ["examples", "exact_match", "f1"]);
        let chinese = [answer("曹雪芹著", &["曹雪芹"])];
        assert_eq!(AnswersScore::new(&chinese, AnswerUnits::Auto).units(), Units::Characters);
        assert_eq!(AnswersScore::new(&chinese, AnswerUnits::Words).f1(), 0.0);
        let both = [answer("", &[]), answer("x", &[]), answer("x", &["x"]), answer("", &["x"]), answer("y", &["x"])];
        let score = AnswersScore::new(&both, AnswerUnits::Auto);
        assert_eq!(names(&score)[3..], ["none_recognised", "answered"]);
        assert_eq!(score.figures()[3].1, 50.0);
        assert!((score.figures()[4].1 - 200.0 / 3.0).abs() < 1e-9);
    }
}
