//! `finetuner predict`.

use std::{
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use grulm_cli::{
    compute,
    exit::{Ending, OutputClosed, Stopped, Usage},
    files, logging,
    signals::Signals,
    stdin::StoppableStdin,
};
use grulm_corpus::labelled::{self, Fields, Labels, Question, Record, Row};
use grulm_kernels::Compute;
use grulm_model::Sampling;
use grulm_tasks::{
    Bundle, BundleModel as _, SORTED_TOGETHER, bundle,
    classification::{Classifier, predict as classify, text},
    generation::{Completer, Completion, complete},
    question_answering::{Answerer, Candidate, Prediction, answer as answer_questions},
    translation::{Translated, Translator},
};
use grulm_train::LogLevel;
use serde_json::value::{RawValue, to_raw_value};
use tch::Device;

use crate::cli::{PredictArgs, Stream, refuse_for_others};

/// Rows that are read together: one, where each is answered by itself.
fn read_together(batch_size: usize) -> usize {
    if batch_size == 1 { 1 } else { batch_size * SORTED_TOGETHER }
}

/// The fields that answers are written to, where the model's settings name none.
const LABEL: &str = "label";
const TRANSLATION: &str = "translation";

/// Answers rows and writes them out again, in order, as they come.
pub(crate) fn predict(args: &PredictArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Warn);
    let (folder, device) = compute::find_model(&args.model)?;
    let kind = bundle::kind(&folder)?;
    if kind != Translator::KIND {
        args.search.refuse()?;
    }
    if kind != Answerer::KIND {
        refuse_for_others(&[("--n-best", args.n_best.is_some())], "answer questions")?;
    }
    if kind != Completer::KIND {
        refuse_for_others(&args.sampling.given(), "complete prompts")?;
    }
    check_files(args)?;
    match kind.as_str() {
        Classifier::KIND => labels(args, &Bundle::open(&folder, device)?),
        Completer::KIND => completions(args, &Bundle::open(&folder, device)?),
        Translator::KIND => translations(args, &folder, device),
        Answerer::KIND => answers(args, &Bundle::open(&folder, device)?),
        kind => Err(Usage(format!(
            "{}: a bundle of kind {kind:?}; \"classification\", \"generation\", \"translation\" and \"question_answering\" are \
             applied here, a language model by `pretrainer generate`",
            folder.display()
        ))
        .into()),
    }
}

fn labels(args: &PredictArgs, bundle: &Bundle<Classifier>) -> anyhow::Result<Ending> {
    let fields = Fields { label: None, ..bundle.model.settings().fields.clone() };
    if let (true, Some(pair)) = (args.lines, &fields.pair) {
        let rows = format!("--lines: the model reads two texts, `{}` and `{pair}`; give JSON lines", fields.text);
        return Err(Usage(rows).into());
    }
    let batch_size = usize::from(args.batch_size);
    answer(args, &fields, LABEL, read_together(batch_size), |rows, _| {
        let texts: Vec<_> = rows.iter().map(text).collect();
        let labels = &bundle.model.settings().labels;
        let answers = classify(bundle, &texts, batch_size, Compute::fp32())?.into_iter().map(|prediction| {
            let probabilities: Record = labels
                .iter()
                .zip(&prediction.probabilities)
                .map(|(label, probability)| Ok((label.clone(), to_raw_value(probability)?)))
                .collect::<Result<_, serde_json::Error>>()?;
            Ok(Record::from_iter([
                (LABEL.to_owned(), to_raw_value(&labels[prediction.label])?),
                ("probability".to_owned(), to_raw_value(&prediction.probabilities[prediction.label])?),
                ("probabilities".to_owned(), to_raw_value(&probabilities)?),
            ]))
        });
        answers.collect()
    })
}

fn completions(args: &PredictArgs, bundle: &Bundle<Completer>) -> anyhow::Result<Ending> {
    let settings = &bundle.model.settings;
    let fields = Fields { text: settings.prompt_field.clone(), pair: None, label: None };
    let sampling = args.sampling.sampling()?;
    answer(args, &fields, &settings.completion_field, usize::from(args.batch_size), |rows, first| {
        let prompts: Vec<_> = rows.iter().map(|row| row.text.clone()).collect();
        // A row's place in the input decides what is drawn for it, whatever the size of the batches.
        let sampling = Sampling { seed: sampling.seed.wrapping_add(first), ..sampling.clone() };
        let completions = complete(bundle, &prompts, args.sampling.max_tokens, &sampling, Compute::fp32())?;
        let record = |completion: Completion| {
            Ok(Record::from_iter([(settings.completion_field.clone(), to_raw_value(&completion.text)?)]))
        };
        completions.into_iter().map(record).collect()
    })
}

fn translations(args: &PredictArgs, folder: &Path, device: Device) -> anyhow::Result<Ending> {
    let ensemble = args.search.open(folder, device)?;
    let settings = ensemble.settings();
    let search = args.search.search(settings.search)?;
    let fields = Fields { text: settings.fields.source.clone(), pair: None, label: None };
    let batch_size = usize::from(args.batch_size);
    answer(args, &fields, TRANSLATION, read_together(batch_size), |rows, _| {
        let texts: Vec<_> = rows.iter().map(|row| row.text.clone()).collect();
        let record =
            |translated: Translated| Ok(Record::from_iter([(TRANSLATION.to_owned(), to_raw_value(&translated.text)?)]));
        ensemble.translate(&texts, &search, batch_size, Compute::fp32())?.into_iter().map(record).collect()
    })
}

fn answers(args: &PredictArgs, bundle: &Bundle<Answerer>) -> anyhow::Result<Ending> {
    if args.lines {
        return Err(Usage("--lines: a question has a context beside it; give JSON lines".into()).into());
    }
    let signals = listen(args)?;
    let questions = match &args.input {
        Stream::File(path) => labelled::open_questions(path, Labels::Optional, args.encoding)?,
        Stream::Standard => {
            let name = Path::new("standard input");
            labelled::questions_from_reader(stdin(signals.as_ref()), name, Labels::Optional, args.encoding)?
        }
    };
    let (batch_size, count) = (usize::from(args.batch_size), usize::from(args.n_best.unwrap_or(1)));
    let answers = |questions: &[Question], _| {
        let predictions = answer_questions(bundle, questions, count, batch_size, Compute::fp32())?;
        let both = questions.iter().zip(predictions);
        both.map(|(question, prediction)| answer_record(&question.context, &prediction, args.n_best.is_some()))
            .collect()
    };
    let to = (args, signals.as_ref());
    write(to, questions, read_together(batch_size), answers, |question| question.record, None)
}

/// The fields of an answer: places are counted in characters.
fn answer_record(context: &str, prediction: &Prediction, with_candidates: bool) -> anyhow::Result<Record> {
    let place = |byte: usize| context[..byte].chars().count();
    let fields = |Candidate { span, probability }: &Candidate| {
        Ok::<_, serde_json::Error>([
            ("answer".to_owned(), to_raw_value(&context[span.clone()])?),
            ("start".to_owned(), to_raw_value(&place(span.start))?),
            ("end".to_owned(), to_raw_value(&place(span.end))?),
            ("score".to_owned(), to_raw_value(probability)?),
        ])
    };
    let mut record = match prediction.answer() {
        Some(answer) => Record::from_iter(fields(answer)?),
        None => Record::from_iter([
            ("answer".to_owned(), to_raw_value("")?),
            ("start".to_owned(), to_raw_value(&())?),
            ("end".to_owned(), to_raw_value(&())?),
            ("score".to_owned(), to_raw_value(&prediction.none.unwrap_or(0.0))?),
        ]),
    };
    if let Some(none) = prediction.none {
        record.insert("no_answer".to_owned(), to_raw_value(&none)?);
    }
    if with_candidates {
        let candidates: Vec<Record> = prediction
            .candidates
            .iter()
            .map(|own| Ok(fields(own)?.into_iter().collect()))
            .collect::<anyhow::Result<_>>()?;
        record.insert("candidates".to_owned(), to_raw_value(&candidates)?);
    }
    Ok(record)
}

/// Reads rows, `many` at a time, and writes each with the fields that `answers` gives, `key` among them; it is told the number of
/// the first row.
fn answer(
    args: &PredictArgs,
    fields: &Fields,
    key: &str,
    many: usize,
    answers: impl Fn(&[Row], u64) -> anyhow::Result<Vec<Record>>,
) -> anyhow::Result<Ending> {
    let (name, encoding, signals) = (Path::new("standard input"), args.encoding, listen(args)?);
    let stdin = || stdin(signals.as_ref());
    let rows = match (&args.input, args.lines) {
        (Stream::File(path), false) => labelled::open(path, fields, Labels::Optional, encoding)?,
        (Stream::File(path), true) => labelled::open_lines(path, &fields.text, encoding)?,
        (Stream::Standard, false) => labelled::from_reader(stdin(), name, fields, Labels::Optional, encoding)?,
        (Stream::Standard, true) => labelled::lines_from_reader(stdin(), name, &fields.text, encoding)?,
    };
    write((args, signals.as_ref()), rows, many, answers, |row| row.record, args.lines.then_some(key))
}

/// Checks, before a model is opened, that the files can be used.
fn check_files(args: &PredictArgs) -> anyhow::Result<()> {
    let input = match &args.input {
        Stream::File(path) if !path.exists() => {
            return Err(Usage(format!("--input {}: there is no such file", path.display())).into());
        }
        Stream::File(path) if args.lines && labelled::is_named_as_rows(path) => {
            let path = path.display();
            let rows = format!("--lines: {path} is named as a file of rows; leave --lines away, or rename it");
            return Err(Usage(rows).into());
        }
        Stream::File(path) => Some(path.as_path()),
        Stream::Standard => None,
    };
    let Stream::File(output) = &args.output else { return Ok(()) };
    let is_named = |name: &str| output.extension().is_some_and(|found| found.eq_ignore_ascii_case(name));
    if !args.lines && (is_named("csv") || is_named("tsv")) {
        let rows = "rows are written as JSON Lines; choose a name that ends in .jsonl";
        return Err(Usage(format!("--output {}: {rows}", output.display())).into());
    }
    files::check_results("--output", output, input)
}

/// What stops the writing of a file, of which half is not left behind.
fn listen(args: &PredictArgs) -> anyhow::Result<Option<Signals>> {
    matches!(args.output, Stream::File(_)).then(Signals::listen).transpose()
}

/// Standard input, until a signal comes.
fn stdin(signals: Option<&Signals>) -> Box<dyn Read + Send> {
    match signals {
        Some(signals) => Box::new(StoppableStdin::new(signals.stop().clone())),
        None => Box::new(io::stdin()),
    }
}

/// Writes all rows, each as its `record` with the fields that `answers` gives.
fn write<T>(
    (args, signals): (&PredictArgs, Option<&Signals>),
    rows: impl Iterator<Item = Result<T, grulm_corpus::Error>>,
    many: usize,
    answers: impl Fn(&[T], u64) -> anyhow::Result<Vec<Record>>,
    record: impl Fn(T) -> Record,
    alone: Option<&str>,
) -> anyhow::Result<Ending> {
    let path = match &args.output {
        Stream::Standard => {
            let mut to = Lines { name: "standard output".into(), output: BufWriter::new(io::stdout().lock()) };
            write_all(rows, many, answers, record, alone, &mut to)?;
            return Ok(Ending::Done);
        }
        Stream::File(path) => path,
    };
    let signal = || signals.and_then(|signals| signals.stop().signal());
    let rows = rows.take_while(|_| signal().is_none());
    files::write_with(path, |output| {
        let mut to = Lines { name: path.display().to_string(), output };
        write_all(rows, many, answers, record, alone, &mut to)?;
        signal().map_or(Ok(()), |signal| Err(Stopped(signal).into()))
    })?;
    Ok(Ending::Done)
}

/// With `alone`, that field of an answer is all of its line.
fn write_all<T>(
    mut rows: impl Iterator<Item = Result<T, grulm_corpus::Error>>,
    many: usize,
    answers: impl Fn(&[T], u64) -> anyhow::Result<Vec<Record>>,
    record: impl Fn(T) -> Record,
    alone: Option<&str>,
    to: &mut Lines<impl Write>,
) -> anyhow::Result<()> {
    let mut read = 0;
    loop {
        let chunk: Vec<T> = rows.by_ref().take(many).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let answers = answers(&chunk, read)?;
        read += chunk.len() as u64;
        for (row, answer) in chunk.into_iter().zip(answers) {
            match alone.and_then(|key| answer.get(key)) {
                Some(value) => to.write(line(value)?)?,
                None => {
                    let mut record = record(row);
                    record.extend(answer);
                    to.write(serde_json::to_string(&record)?)?;
                }
            }
        }
        // A reader of standard output sees what is done.
        to.output.flush().map_err(|error| to.failed(error))?;
    }
}

/// Where lines go, and what it is called.
struct Lines<W> {
    name: String,
    output: W,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, mut line: String) -> anyhow::Result<()> {
        line.push('\n');
        self.output.write_all(line.as_bytes()).map_err(|error| self.failed(error))
    }

    /// A reader that went away wants no more; anything else is a failure.
    fn failed(&self, error: io::Error) -> anyhow::Error {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return OutputClosed.into();
        }
        anyhow::Error::from(error).context(self.name.clone())
    }
}

/// A string as one line: line ends within it would be lines of their own.
fn line(value: &RawValue) -> anyhow::Result<String> {
    let text: String = serde_json::from_str(value.get())?;
    Ok(text.lines().collect::<Vec<_>>().join(" "))
}
