//! What is learned from a question: where its answers stand in which windows.

use std::ops::Range;

use grulm_kernels::upload;
use grulm_model::{Site, SpanScores};
use tch::{Device, Kind, Tensor};

use super::{data::QuestionSet, rows::Row, windows::Windows};
use crate::Error;

/// Windows of a long context that are read for one question in one step, at most.
const WINDOWS: usize = 3;

/// A question that can be learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lesson {
    /// The question, as its place in the set.
    pub(super) question: usize,
    /// Tokens of the context that are right answers, each range once; none where there is no answer.
    answers: Vec<Range<usize>>,
}

impl Lesson {
    /// What can be learned from a question: nothing where cleaning left nothing of its answers, or none fits into a window.
    pub(super) fn new(set: &QuestionSet, question: usize, windows: Windows) -> Option<Self> {
        let context = set.context(question);
        let gold = &set.questions[question].gold;
        let tokens = gold.iter().filter_map(|span| context.tokens_of(span)).flat_map(|tokens| context.alike(&tokens));
        let mut answers: Vec<_> = tokens.filter(|tokens| tokens.len() <= windows.length).collect();
        answers.sort_by_key(|tokens| (tokens.start, tokens.end));
        answers.dedup();
        (gold.is_empty() || !answers.is_empty()).then_some(Self { question, answers })
    }

    /// The windows that are read for it: one or two with an answer, and others by chance, as many as there are or may be.
    fn windows(&self, tokens: usize, windows: Windows, site: Site) -> Vec<Range<usize>> {
        let mut all: Vec<_> = windows.over(tokens).collect();
        let holds = |window: &Range<usize>| self.answers.iter().any(|answer| is_within(answer, window));
        if let (Some(answer), false) = (self.answers.first(), all.iter().any(holds)) {
            // One that no window of the usual places holds.
            let start = answer.start.min(tokens.saturating_sub(windows.length));
            all.push(start..tokens.min(start + windows.length));
        }
        let chance = |window: &Range<usize>| site.at(self.question as u64).bits(window.start as u64);
        all.sort_by_key(|window| (!holds(window), chance(window)));
        let with_answer = all.iter().filter(|window| holds(window)).count();
        // Of many windows with an answer there is still one without.
        let spare = with_answer.saturating_sub(WINDOWS - 1).min(with_answer.saturating_sub(1));
        if all.len() > WINDOWS && spare > 0 {
            all.drain(1..=spare.min(all.len() - WINDOWS));
        }
        all.truncate(WINDOWS);
        all.sort_by_key(|window| window.start);
        all
    }
}

fn is_within(part: &Range<usize>, whole: &Range<usize>) -> bool {
    part.start >= whole.start && part.end <= whole.end
}

/// What is learned in one step.
#[derive(Debug)]
pub(super) struct Lessons {
    /// What is read.
    pub(super) rows: Vec<Row>,
    /// The rows of each question.
    of_question: Vec<Vec<usize>>,
    /// Row, first and last place of each right answer.
    answers: Vec<[i64; 3]>,
    /// The right answers of each question.
    right: Vec<Vec<usize>>,
}

impl Lessons {
    pub(super) fn new(set: &QuestionSet, lessons: &[&Lesson], windows: Windows, site: Site) -> Self {
        let mut all = Self { rows: Vec::new(), of_question: Vec::new(), answers: Vec::new(), right: Vec::new() };
        for lesson in lessons {
            let (mut rows, mut right) = (Vec::new(), Vec::new());
            for window in lesson.windows(set.context(lesson.question).len(), windows, site) {
                for answer in lesson.answers.iter().filter(|answer| is_within(answer, &window)) {
                    right.push(all.answers.len());
                    // Behind the first `<eos>`.
                    let place = |token: usize| (token - window.start + 1) as i64;
                    all.answers.push([all.rows.len() as i64, place(answer.start), place(answer.end - 1)]);
                }
                rows.push(all.rows.len());
                all.rows.push(Row { question: lesson.question, window });
            }
            all.of_question.push(rows);
            all.right.push(right);
        }
        all
    }

    /// The negative log likelihood of the right answers, in nats, summed over the questions: 0-dim f32, with its graph. All spans of
    /// all windows of a question compete (Clark and Gardner, arXiv 1710.10723), and there being none where `unanswerable`; of
    /// several right answers, in one window or in several, any is right.
    pub(super) fn loss(&self, scores: &SpanScores, unanswerable: bool, device: Device) -> Result<Tensor, Error> {
        /// In place of negative infinity, which has no gradient.
        const LOWEST: f64 = -1e30;
        let all = grouped(&scores.total()?, &self.of_question, LOWEST)?.f_logsumexp([1i64].as_slice(), false)?;
        let column = |index: usize| -> Result<Tensor, Error> {
            let column: Vec<i64> = self.answers.iter().map(|answer| answer[index]).collect();
            Ok(upload(&column, device)?)
        };
        let right = if self.answers.is_empty() {
            Tensor::f_zeros([0], (Kind::Float, device))?
        } else {
            scores.of(&column(0)?, &column(1)?, &column(2)?)?
        };
        let right = grouped(&right, &self.right, LOWEST)?.f_logsumexp([1i64].as_slice(), false)?;
        if !unanswerable {
            return Ok(all.f_sub(&right)?.f_sum(Kind::Float)?);
        }
        // It may be in a window other than the one that has nothing.
        let none = grouped(&scores.none()?, &self.of_question, -LOWEST)?.f_amin([1i64].as_slice(), false)?;
        let has_none: Vec<bool> = self.right.iter().map(Vec::is_empty).collect();
        let right = none.f_where_self(&upload(&has_none, device)?, &right)?;
        Ok(all.f_logaddexp(&none)?.f_sub(&right)?.f_sum(Kind::Float)?)
    }
}

/// The numbers of `x` `[N]` by group, `[Q, K]`, filled up with `fill`.
fn grouped(x: &Tensor, groups: &[Vec<usize>], fill: f64) -> Result<Tensor, Error> {
    let (count, most) = (x.size1()?, groups.iter().map(Vec::len).max().unwrap_or(0).max(1));
    let fill = Tensor::f_full([1], fill, (Kind::Float, x.device()))?;
    let mut places = vec![count; groups.len() * most];
    for (group, row) in groups.iter().zip(places.chunks_mut(most)) {
        group.iter().zip(row).for_each(|(&member, place)| *place = member as i64);
    }
    let places = upload(&places, x.device())?;
    let all = Tensor::f_cat(&[&x.f_to_kind(Kind::Float)?, &fill], 0)?;
    Ok(all.f_index_select(0, &places)?.f_view([groups.len() as i64, most as i64])?)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of ranges, some of which hold one")]
mod tests {
    use super::*;

    fn lesson(answers: &[Range<usize>]) -> Lesson {
        Lesson { question: 7, answers: answers.to_vec() }
    }

    #[test]
    fn windows_hold_an_answer_and_something_else() {
        let windows = Windows { length: 10, stride: 5 };
        let check = |answers: &[Range<usize>], tokens: usize, with_answer: usize, count: usize| {
            for seed in 0..20 {
                let found = lesson(answers).windows(tokens, windows, Site::new(seed));
                let holding =
                    found.iter().filter(|window| answers.iter().any(|answer| is_within(answer, window))).count();
                assert_eq!((found.len(), holding), (count, with_answer), "{answers:?} of {tokens}: {found:?}");
                assert!(found.windows(2).all(|pair| pair[0].start < pair[1].start), "{found:?}");
            }
        };
        check(&[3..5], 8, 1, 1);
        check(&[7..9], 11, 2, 2);
        check(&[2..3], 100, 1, 3);
        check(&[52..54], 100, 2, 3);
        check(&[], 100, 0, 3);
        // Across every border.
        check(&[3..12], 30, 1, 3);
        let everywhere: Vec<_> = (0..100).map(|at| at..at + 1).collect();
        check(&everywhere, 100, 3, 3);
        let drawn = |seed| lesson(&[2..3]).windows(200, windows, Site::new(seed));
        assert_eq!(drawn(1), drawn(1));
        assert!((2..20).any(|seed| drawn(seed) != drawn(1)));
    }

    #[test]
    fn groups_are_filled_up() {
        let x = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        let found = grouped(&x, &[vec![2, 0], vec![], vec![1]], -9.0).unwrap();
        assert_eq!(Vec::<Vec<f32>>::try_from(found).unwrap(), [[3.0, 1.0], [-9.0, -9.0], [2.0, -9.0]]);
        let none = grouped(&x.narrow(0, 0, 0), &[vec![]], 4.0).unwrap();
        assert_eq!(Vec::<Vec<f32>>::try_from(none).unwrap(), [[4.0]]);
    }
}
