//! Answers to questions.

use std::{cmp::Reverse, collections::HashMap, ops::Range};

use grulm_corpus::labelled::Question;
use grulm_kernels::Compute;
use grulm_model::BestSpans;
use tch::{Device, Kind, Tensor, no_grad};

use super::{
    Answerer,
    data::QuestionSet,
    rows::{Row, Rows},
};
use crate::{Bundle, Error};

/// A part of a context that may be the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The bytes of the context.
    pub span: Range<usize>,
    /// Its probability among all parts of the context, and none where that may be the answer.
    pub probability: f64,
}

/// What an answerer says of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The likeliest answers, the best first; none of a context without text.
    pub candidates: Vec<Candidate>,
    /// The probability that there is no answer; `None` of a model that always answers.
    pub none: Option<f64>,
    /// Whether none is given.
    pub is_none: bool,
}

impl Prediction {
    /// The answer that is given.
    #[must_use]
    pub fn answer(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|_| !self.is_none)
    }

    /// By how much, in nats, there being no answer is likelier than the best one.
    pub(super) fn margin(&self) -> f64 {
        let best = self.candidates.first().map_or(0.0, |best| best.probability);
        // A probability that rounds to zero is still something.
        let log = |p: f64| p.max(f64::MIN_POSITIVE).ln();
        log(self.none.unwrap_or(0.0)) - log(best)
    }
}

/// Answers questions, in order, `batch_size` of them side by side, each with its `count` likeliest answers.
///
/// # Errors
/// When the tokenizer refuses, or memory runs out.
pub fn answer(
    bundle: &Bundle<Answerer>,
    questions: &[Question],
    count: usize,
    batch_size: usize,
    compute: Compute,
) -> Result<Vec<Prediction>, Error> {
    let set = QuestionSet::new(questions, &bundle.cleaner, &bundle.tokenizer)?;
    predict(&bundle.model, &set, count, batch_size, compute)
}

/// Spans of each window that are looked at, at least: a span's probability is the sum of those that it has in the windows where it
/// is among them, so their number must not depend on how many answers are wanted.
const SPANS: usize = 32;
/// More of them than answers that are wanted: those of overlapping windows may be the same.
const MORE: usize = 4;

/// What is known of a question while its windows are read.
#[derive(Debug, Clone)]
struct Found {
    /// The logarithm of the sum of the exponentials of all scores.
    total: f64,
    /// The score of there being no answer: the lowest of all windows, since it may be in another one.
    none: f64,
    /// Scores of spans of the context, in bytes.
    spans: HashMap<(usize, usize), f64>,
}

/// Answers the questions of a set, in order.
pub(super) fn predict(
    answerer: &Answerer,
    set: &QuestionSet,
    count: usize,
    batch_size: usize,
    compute: Compute,
) -> Result<Vec<Prediction>, Error> {
    let settings = answerer.settings();
    let windows = |question: usize| {
        let windows = settings.windows().over(set.context(question).len());
        windows.map(move |window| Row { question, window })
    };
    let mut rows: Vec<Row> = (0..set.len()).flat_map(windows).collect();
    // Windows of like length side by side, and all questions about one of them.
    rows.sort_by_key(|Row { question, window }| {
        (Reverse(window.len()), set.questions[*question].context, window.start, *question)
    });
    let nothing = Found { total: f64::NEG_INFINITY, none: f64::INFINITY, spans: HashMap::new() };
    let mut found = vec![nothing; set.len()];
    for batch in rows.chunks(batch_size.max(1)) {
        let rows = Rows::new(set, batch);
        let (total, none, best) = no_grad(|| {
            let scores = answerer.scores(&rows, None, compute)?;
            let (count, longest) =
                ((count + MORE).max(SPANS) as i64, i64::try_from(settings.longest_answer).unwrap_or(i64::MAX));
            Ok::<_, Error>((scores.total()?, scores.none()?, scores.best(count, longest)?))
        })?;
        let (total, none, BestSpans { scores, starts, ends }) = (numbers(&total)?, numbers(&none)?, best);
        let wide = scores.size2()?.1 as usize;
        let (scores, starts, ends) = (numbers(&scores)?, numbers(&starts)?, numbers(&ends)?);
        for (place, row) in batch.iter().enumerate() {
            let of_question = &mut found[row.question];
            // A window without a token has no span.
            if !row.window.is_empty() {
                of_question.total = log_add(of_question.total, total[place]);
            }
            of_question.none = of_question.none.min(none[place]);
            for at in place * wide..(place + 1) * wide {
                if scores[at] == f64::NEG_INFINITY {
                    break;
                }
                // The first token of a window stands behind an `<eos>`.
                let token = |place: f64| row.window.start + place as usize - 1;
                let span = set.context(row.question).span(token(starts[at]), token(ends[at]));
                if !span.is_empty() {
                    let score = of_question.spans.entry((span.start, span.end)).or_insert(f64::NEG_INFINITY);
                    *score = log_add(*score, scores[at]);
                }
            }
        }
    }
    Ok(found.into_iter().map(|found| settled(found, count, settings)).collect())
}

/// Turns scores into probabilities.
fn settled(found: Found, count: usize, settings: &super::AnswererSettings) -> Prediction {
    let total = if settings.unanswerable { log_add(found.total, found.none) } else { found.total };
    let candidate = |((start, end), score): ((usize, usize), f64)| Candidate {
        span: start..end,
        probability: (score - total).exp(),
    };
    let mut candidates: Vec<_> = found.spans.into_iter().map(candidate).collect();
    candidates.sort_by(|a, b| {
        b.probability
            .total_cmp(&a.probability)
            .then_with(|| (a.span.start, a.span.end).cmp(&(b.span.start, b.span.end)))
    });
    candidates.truncate(count.max(1));
    let none = settings.unanswerable.then(|| (found.none - total).exp());
    let mut prediction = Prediction { candidates, none, is_none: false };
    prediction.is_none = settings.unanswerable && prediction.margin() > settings.threshold;
    prediction
}

/// The logarithm of the sum of two exponentials.
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if high.is_infinite() { high } else { high + (low - high).exp().ln_1p() }
}

fn numbers(x: &Tensor) -> Result<Vec<f64>, Error> {
    Ok(Vec::try_from(x.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_reshape(-1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_add_up() {
        let check = |a: f64, b: f64, expect: f64| {
            for (a, b) in [(a, b), (b, a)] {
                let found = log_add(a, b);
                assert!(found == expect || (found - expect).abs() < 1e-12, "{a} {b}: {found}");
            }
        };
        check(0.0, 0.0, 2f64.ln());
        check(f64::NEG_INFINITY, 3.0, 3.0);
        check(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        check(1000.0, 0.0, 1000.0);
        check(-1e30, 1.0, 1.0);
    }
}
