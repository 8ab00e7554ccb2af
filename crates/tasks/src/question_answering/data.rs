//! Files of questions as tokens.

use std::{collections::HashMap, ops::Range, path::Path, sync::Arc};

use grulm_config::Invalid;
use grulm_corpus::{
    Cleaner, Encoding, Tokenizer,
    labelled::{Labels, Question, open_questions},
    question_inputs,
};
use grulm_durable::digest::hex;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{QuestionAnsweringConfig, passage::Passage};
use crate::{Error, examples::is_held_out};

/// Questions about contexts, each of which is there once however many questions are about it.
#[derive(Debug)]
pub struct QuestionSet {
    pub(super) contexts: Vec<Passage>,
    pub(super) questions: Vec<AskedQuestion>,
}

/// A question of a [`QuestionSet`].
#[derive(Debug)]
pub(super) struct AskedQuestion {
    /// Its context, as its place in the set.
    pub(super) context: usize,
    pub(super) question: Passage,
    /// The right answers as bytes of the context, where they are known; none means that it cannot be answered.
    pub(super) gold: Vec<Range<usize>>,
}

impl QuestionSet {
    /// Cleans and encodes questions and their contexts.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn new(questions: &[Question], cleaner: &Cleaner, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut texts: Vec<Arc<str>> = Vec::new();
        let mut of_question = Vec::with_capacity(questions.len());
        for question in questions {
            let place = *places.entry(&question.context).or_insert_with(|| {
                texts.push(Arc::clone(&question.context));
                texts.len() - 1
            });
            of_question.push(place);
        }
        let passage = |text: Arc<str>| Passage::new(text, cleaner, tokenizer);
        let asked = |(question, context): (&Question, usize)| {
            let gold = question.answers.iter().flatten().map(|answer| answer.start..answer.start + answer.text.len());
            Ok(AskedQuestion { context, question: passage(question.question.as_str().into())?, gold: gold.collect() })
        };
        Ok(Self {
            contexts: texts.into_par_iter().map(passage).collect::<Result<_, Error>>()?,
            questions: questions.par_iter().zip(of_question).map(asked).collect::<Result<_, Error>>()?,
        })
    }

    /// The number of questions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// The number of contexts.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Tokens of each context.
    #[must_use]
    pub fn context_lengths(&self) -> Vec<usize> {
        self.contexts.iter().map(Passage::len).collect()
    }

    /// The context of a question.
    pub(super) fn context(&self, question: usize) -> &Passage {
        &self.contexts[self.questions[question].context]
    }

    /// The right answers to a question.
    pub(super) fn gold(&self, question: usize) -> impl Iterator<Item = &str> {
        let text = self.context(question).text();
        self.questions[question].gold.iter().map(|span| &text[span.clone()])
    }

    /// How many of the questions with an answer have one that begins and ends where tokens do: what no reader can exceed.
    #[must_use]
    pub fn expressible(&self) -> (usize, usize) {
        let exact = |&question: &usize| {
            let context = self.context(question);
            self.questions[question].gold.iter().any(|span| {
                context.tokens_of(span).is_some_and(|tokens| context.span(tokens.start, tokens.end - 1) == *span)
            })
        };
        let answerable: Vec<usize> = (0..self.len()).filter(|&q| !self.questions[q].gold.is_empty()).collect();
        (answerable.par_iter().filter(|question| exact(question)).count(), answerable.len())
    }
}

/// What a reader learns from, and is chosen by.
#[derive(Debug)]
pub struct QuestionData {
    /// The questions to learn from.
    pub train: QuestionSet,
    /// The questions that choose.
    pub valid: Option<QuestionSet>,
    fingerprint: String,
}

impl QuestionData {
    /// A SHA-256 of contexts, questions, answers, and of what makes tokens of them: what a resumed run must find again.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Reads the training and validation files of `config`.
///
/// # Errors
/// When a file cannot be found or read, or has a question that does not fit, or none is left to learn from.
pub fn read_question_data(
    config: &QuestionAnsweringConfig,
    cleaner: &Cleaner,
    tokenizer: &Tokenizer,
) -> Result<QuestionData, Error> {
    let all = read_questions(config, "task.train", &config.train)?;
    let last = all.len().saturating_sub(config.valid_last);
    let is_valid =
        |(place, question): &(usize, Question)| *place >= last || is_held_out(&question.context, config.valid_fraction);
    let (mut valid, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(is_valid);
    if !config.valid.is_empty() {
        valid = read_questions(config, "task.valid", &config.valid)?.into_iter().enumerate().collect();
    }
    // The tokens follow from the text and these two.
    let mut hasher = Sha256::new_with_prefix(tokenizer.hash());
    hasher.update(cleaner.hash());
    let mut set = |part: Vec<(usize, Question)>| {
        let questions: Vec<Question> = part.into_iter().map(|(_, question)| question).collect();
        hasher.update((questions.len() as u64).to_le_bytes());
        for Question { context, question, answers, .. } in &questions {
            let spans = answers.iter().flatten().flat_map(|answer| [answer.start, answer.text.len()]);
            let numbers: Vec<u8> = spans.flat_map(|number| (number as u64).to_le_bytes()).collect();
            for part in [context.as_bytes(), question.as_bytes(), &numbers] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        QuestionSet::new(&questions, cleaner, tokenizer)
    };
    let (train, valid) = (set(train)?, set(valid)?);
    let chosen_by = config.valid.is_empty() || !valid.is_empty();
    Invalid::check("task.valid", &config.valid, chosen_by, "files that hold questions")?;
    if train.is_empty() && !valid.is_empty() && config.valid.is_empty() {
        let allowed = format!("less: it leaves none of the {} questions of task.train to learn from", valid.len());
        return Err(match config.valid_last {
            0 => Invalid::new("task.valid_fraction", config.valid_fraction, allowed),
            last => Invalid::new("task.valid_last", last, allowed),
        }
        .into());
    }
    Invalid::check("task.train", &config.train, !train.is_empty(), "files that hold questions to learn from")?;
    Ok(QuestionData { train, valid: (!valid.is_empty()).then_some(valid), fingerprint: hex(&hasher.finalize()) })
}

/// Reads files of questions with their answers, as `config` has them. `key` is what errors call the patterns.
///
/// # Errors
/// When a file cannot be found or read, or has a question that does not fit.
pub fn read_questions(
    config: &QuestionAnsweringConfig,
    key: &str,
    patterns: &[String],
) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    for_each_question(key, patterns, config.encoding()?, config.unanswerable, |_, question| {
        questions.push(question);
        Ok(())
    })?;
    Ok(questions)
}

/// Calls `each` with every question of the files, and the file that it stands in.
///
/// # Errors
/// When a file cannot be found or read, or has a question that does not fit: without an answer, unless `unanswerable`. What
/// `each` gives.
pub fn for_each_question(
    key: &str,
    patterns: &[String],
    encoding: Encoding,
    unanswerable: bool,
    mut each: impl FnMut(&Path, Question) -> Result<(), Error>,
) -> Result<(), Error> {
    for input in question_inputs(key, patterns)? {
        let mut questions = open_questions(&input.path, Labels::Required, encoding)?;
        while let Some(question) = questions.next() {
            let question = question?;
            if !unanswerable && question.answers.as_ref().is_none_or(Vec::is_empty) {
                let found = "a question without an answer".into();
                let expected =
                    "an answer, since the model does not learn when there is none (task.unanswerable)".into();
                return Err(questions.refused(question.number, found, expected).into());
            }
            each(&input.path, question)?;
        }
    }
    Ok(())
}
