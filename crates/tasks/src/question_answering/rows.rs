//! Questions beside windows of their contexts, as tensors.

use std::{collections::HashMap, ops::Range};

use grulm_kernels::upload;
use grulm_model::QuestionRows;
use tch::{Device, Tensor};

use super::{
    data::QuestionSet,
    matching::{MATCH_FEATURES, matches},
    passage::{Passage, TOKEN_FEATURES},
};
use crate::Error;

/// A question, and the part of its context in which an answer is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The question, as its place in the set.
    pub(super) question: usize,
    /// Tokens of its context.
    pub(super) window: Range<usize>,
}

/// Rows that are read side by side: each part of a context once, and each question.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    set: &'a QuestionSet,
    pub(super) rows: &'a [Row],
    contexts: Side<'a>,
    questions: Side<'a>,
    /// The context and the question of each row.
    places: Vec<(usize, usize)>,
}

/// Tokens of a question that are read; a longer one is cut.
const LONGEST_QUESTION: usize = 256;

impl<'a> Rows<'a> {
    pub(super) fn new(set: &'a QuestionSet, rows: &'a [Row]) -> Self {
        let (mut contexts, mut questions) = (Side::default(), Side::default());
        let place = |row: &Row| {
            let asked = &set.questions[row.question];
            let context = contexts.place(asked.context, &set.contexts[asked.context], row.window.clone());
            let length = asked.question.len().min(LONGEST_QUESTION);
            (context, questions.place(row.question, &asked.question, 0..length))
        };
        let places = rows.iter().map(place).collect();
        Self { set, rows, contexts, questions, places }
    }

    /// The parts of contexts.
    pub(super) fn contexts(&self) -> &Side<'a> {
        &self.contexts
    }

    /// The questions.
    pub(super) fn questions(&self) -> &Side<'a> {
        &self.questions
    }

    /// Which belongs to which, and what they have to do with one another.
    pub(super) fn tensors(&self, device: Device) -> Result<QuestionRows, Error> {
        let (time, count) = (self.contexts.longest(), self.rows.len());
        let mut features = vec![0f32; time * count * MATCH_FEATURES];
        for (place, row) in self.rows.iter().enumerate() {
            let asked = &self.set.questions[row.question];
            let context = &self.set.contexts[asked.context];
            for (at, own) in matches(context, row.window.clone(), &asked.question).into_iter().enumerate() {
                // Behind the first `<eos>`.
                let start = ((at + 1) * count + place) * MATCH_FEATURES;
                features[start..start + MATCH_FEATURES].copy_from_slice(&own);
            }
        }
        Ok(QuestionRows {
            contexts: self.places.iter().map(|&(context, _)| context as i64).collect(),
            questions: self.places.iter().map(|&(_, question)| question as i64).collect(),
            features: tensor(&features, [time, count, MATCH_FEATURES], device)?,
        })
    }
}

/// Parts of texts side by side.
#[derive(Debug, Default)]
pub(super) struct Side<'a> {
    parts: Vec<(&'a Passage, Range<usize>)>,
    places: HashMap<(usize, usize), usize>,
}

impl<'a> Side<'a> {
    /// The place of a part of the text of that number; it is added where it is not there.
    fn place(&mut self, number: usize, passage: &'a Passage, part: Range<usize>) -> usize {
        *self.places.entry((number, part.start)).or_insert_with(|| {
            self.parts.push((passage, part));
            self.parts.len() - 1
        })
    }

    /// The tokens of each part, between two `<eos>`.
    pub(super) fn ids(&self) -> Vec<Vec<i64>> {
        self.parts.iter().map(|(passage, part)| passage.ids(part.clone())).collect()
    }

    /// Tokens of the longest part, with the `<eos>`.
    fn longest(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len() + 2).max().unwrap_or(0)
    }

    /// What the form of each token says, `[T, B, F]`; of `<eos>` nothing.
    pub(super) fn features(&self, device: Device) -> Result<Tensor, Error> {
        let (time, count) = (self.longest(), self.parts.len());
        let mut features = vec![0f32; time * count * TOKEN_FEATURES];
        for (place, (passage, part)) in self.parts.iter().enumerate() {
            for (at, token) in part.clone().enumerate() {
                let start = ((at + 1) * count + place) * TOKEN_FEATURES;
                features[start..start + TOKEN_FEATURES].copy_from_slice(&passage.features(token));
            }
        }
        tensor(&features, [time, count, TOKEN_FEATURES], device)
    }
}

fn tensor(numbers: &[f32], shape: [usize; 3], device: Device) -> Result<Tensor, Error> {
    Ok(upload(numbers, device)?.f_view(shape.map(|size| size as i64))?)
}
