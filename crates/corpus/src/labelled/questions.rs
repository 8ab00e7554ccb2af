//! Questions about contexts, and answers that stand in them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Labels;
use super::records::Records;
use crate::read::{
    LineEnds, Record, Source, TextReader, failure, inner_extension, malformed, reason, string_of, value_of,
};
use crate::{Encoding, Error, Input};

/// A question about a context.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where it stands, from 1: the line (JSON Lines) or the question within the file (SQuAD's JSON).
    pub number: u64,
    /// The text that holds the answer; questions in a row about one context share it.
    pub context: Arc<str>,
    /// The question.
    pub question: String,
    /// Right answers, of which none means that the question cannot be answered; `None` where there are no such answers and none are
    /// needed ([`Labels::Optional`]).
    pub answers: Option<Vec<Answer>>,
    /// All fields of the question, those above too (in SQuAD's JSON all but the context).
    pub record: Record,
}

/// An answer that stands in its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer, never empty.
    pub text: String,
    /// The byte of the context at which it begins.
    pub start: usize,
}

/// Opens a file of questions: SQuAD's JSON (`.json`), in memory as a whole; or rows with `context`, `question` and `answers`
/// (`.jsonl`, `.ndjson`, without answers also `.csv` and `.tsv`), also with `.gz` or `.zst` behind.
///
/// Answers are `[{"text": .., "answer_start": ..}, ..]` or `{"text": [..], "answer_start": [..]}`. Starts count
/// characters (code points) of the context from 0.
///
/// # Errors
/// The file cannot be opened or has another name, or what is in JSON is not as SQuAD has it. What is wrong with a question,
/// answers that do not stand in the context at their start among it, comes out of the iterator, as its last item.
pub fn open_questions(path: &Path, answers: Labels, encoding: Encoding) -> Result<Questions, Error> {
    let reading = if inner_extension(path).as_deref() == Some("json") {
        Reading::Squad(read_squad(path, encoding)?)
    } else {
        Reading::Records(Records::open(path, encoding)?)
    };
    Ok(Questions::new(path, reading, answers))
}

/// Questions of JSON Lines from `source` (standard input, say), which errors call `name`.
///
/// # Errors
/// The beginning cannot be read.
pub fn questions_from_reader(
    source: impl Read + Send + 'static,
    name: &Path,
    answers: Labels,
    encoding: Encoding,
) -> Result<Questions, Error> {
    Ok(Questions::new(name, Reading::Records(Records::from_reader(source, name, encoding)?), answers))
}

/// Questions, in the order of their file; ends after the first error.
#[derive(Debug)]
pub struct Questions {
    path: PathBuf,
    reading: Reading,
    answers: Labels,
    /// The context of the question before.
    context: Arc<str>,
    finished: bool,
}

#[derive(Debug)]
enum Reading {
    Records(Records),
    Squad(vec::IntoIter<(u64, Arc<str>, Record)>),
}

impl Questions {
    fn new(path: &Path, reading: Reading, answers: Labels) -> Self {
        Self { path: path.to_owned(), reading, answers, context: "".into(), finished: false }
    }

    fn next_question(&mut self) -> Result<Option<Question>, Error> {
        let (number, record, context) = match &mut self.reading {
            Reading::Records(records) => match records.next_record()? {
                Some((number, record)) => (number, record, None),
                None => return Ok(None),
            },
            Reading::Squad(questions) => match questions.next() {
                Some((number, context, record)) => (number, record, Some(context)),
                None => return Ok(None),
            },
        };
        let text = |field: &str| {
            string_of(&record, field).map_err(|found| self.refused(number, found, format!("a string `{field}`")))
        };
        let question = text("question")?;
        let context = match context {
            Some(context) => context,
            None => {
                let context = text("context")?;
                if *self.context == *context { Arc::clone(&self.context) } else { context.into() }
            }
        };
        let answers = match (answers_of(&record, &context), self.answers) {
            // Nobody needs them: the field may hold whatever it is to other programs.
            (answers, Labels::Optional) => answers.ok(),
            (answers, Labels::Required) => {
                let refused = |Refused { found, expected }| self.refused(number, found, expected);
                Some(answers.map_err(refused)?)
            }
        };
        self.context = Arc::clone(&context);
        Ok(Some(Question { number, context, question, answers, record }))
    }

    /// The error that says what is wrong with the question of this number, which is that of a row in JSON Lines alone.
    #[must_use]
    pub fn refused(&self, number: u64, found: String, expected: String) -> Error {
        match self.reading {
            Reading::Records(_) => malformed(&self.path, number, found, expected),
            Reading::Squad(_) => {
                let found = format!("question {number}: {found}");
                Error::Format { path: self.path.clone(), position: None, found, expected }
            }
        }
    }
}

impl Iterator for Questions {
    type Item = Result<Question, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_question();
        self.finished = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl std::iter::FusedIterator for Questions {}

struct Refused {
    found: String,
    expected: String,
}

/// Answers with their starts, as SQuAD's JSON has them.
#[derive(Deserialize)]
#[serde(expecting = "an object with text and answer_start")]
struct Listed {
    text: String,
    answer_start: u64,
}

/// Answers and their starts side by side, as rows have them.
#[derive(Deserialize)]
#[serde(expecting = "an object with two lists")]
struct Parallel {
    text: Vec<String>,
    answer_start: Vec<u64>,
}

fn answers_of(record: &Record, context: &str) -> Result<Vec<Answer>, Refused> {
    let refuse = |found: String| Refused {
        found,
        expected: "`answers` as [{\"text\": .., \"answer_start\": ..}, ..] or {\"text\": [..], \"answer_start\": [..]}"
            .into(),
    };
    let value = value_of(record, "answers").map_err(refuse)?;
    fn parse<T: DeserializeOwned>(value: &str) -> Result<T, String> {
        serde_json::from_str(value).map_err(|error| format!("`answers` of another form ({})", reason(&error)))
    }
    let answers: Vec<Listed> = if value.starts_with('[') {
        parse(value).map_err(refuse)?
    } else {
        let Parallel { text, answer_start } = parse(value).map_err(refuse)?;
        if text.len() != answer_start.len() {
            return Err(refuse(format!("{} texts and {} starts in `answers`", text.len(), answer_start.len())));
        }
        text.into_iter().zip(answer_start).map(|(text, answer_start)| Listed { text, answer_start }).collect()
    };
    answers.into_iter().map(|answer| place(context, answer)).collect()
}

/// Where in `context` the answer begins.
fn place(context: &str, Listed { text, answer_start }: Listed) -> Result<Answer, Refused> {
    /// Characters of texts that are shown.
    const SHOWN: usize = 40;
    let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
    if text.is_empty() {
        return Err(Refused {
            found: "an answer without text".into(),
            expected: "a part of the context, or no answers where there is none".into(),
        });
    }
    let bytes = context.char_indices().map(|(byte, _)| byte);
    let start = usize::try_from(answer_start).ok().and_then(|start| bytes.clone().nth(start));
    match start {
        Some(start) if context[start..].starts_with(&text) => Ok(Answer { text, start }),
        _ => {
            let there = match start {
                Some(start) => format!("the context has {:?} there", shown(&context[start..])),
                None => format!("the context has {} characters", bytes.count()),
            };
            let expected = match context.find(&text) {
                Some(byte) => format!("{}, where it stands first", context[..byte].chars().count()),
                None => "an answer that stands in the context".into(),
            };
            Err(Refused {
                found: format!("answer_start {answer_start} of the answer {:?}: {there}", shown(&text)),
                expected,
            })
        }
    }
}

/// SQuAD's JSON, as far as it is read.
#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Record>,
}

fn read_squad(path: &Path, encoding: Encoding) -> Result<vec::IntoIter<(u64, Arc<str>, Record)>, Error> {
    let mut text = String::new();
    Source::open(path, Input::named(path).compression)
        .and_then(|source| TextReader::new(source, encoding, LineEnds::Keep))
        .and_then(|mut reader| reader.read_to_string(&mut text))
        .map_err(|error| failure(path, 1, error))?;
    let squad: Squad = serde_json::from_str(&text).map_err(|error| Error::Format {
        path: path.to_owned(),
        position: Some(error.line() as u64),
        found: format!("JSON of another form ({}, at byte {} of the line)", reason(&error), error.column()),
        expected: "{\"data\": [{\"paragraphs\": [{\"context\": .., \"qas\": [..]}, ..]}, ..]}, as SQuAD has it".into(),
    })?;
    let paragraphs = squad.data.into_iter().flat_map(|article| article.paragraphs);
    let questions = paragraphs.flat_map(|Paragraph { context, qas }| {
        let context: Arc<str> = context.into();
        qas.into_iter().map(move |record| (Arc::clone(&context), record))
    });
    let numbered: Vec<_> = (1..).zip(questions).map(|(number, (context, record))| (number, context, record)).collect();
    Ok(numbered.into_iter())
}
