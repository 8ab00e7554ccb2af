//! `finetuner predict`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use grulm_cli::{
    compute,
    exit::{Ending, OutputClosed, Usage},
    logging,
};
use grulm_corpus::{
    Encoding,
    labelled::{self, Fields, Labels, Record, Row, Rows},
};
use grulm_kernels::Compute;
use grulm_model::Sampling;
use grulm_tasks::{
    Bundle, BundleModel as _, bundle,
    classification::{Classifier, predict as classify, text},
    generation::{Completer, Completion, complete},
};
use grulm_train::LogLevel;
use serde_json::value::to_raw_value;

use crate::cli::{PredictArgs, Stream};

/// Batches that are read, and sorted by length, together.
const SORTED_TOGETHER: usize = 32;

/// Answers rows and writes them out again, in order, as they come.
pub(crate) fn predict(args: &PredictArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Warn);
    let (folder, device) = compute::find_model(&args.model)?;
    match bundle::kind(&folder)?.as_str() {
        Classifier::KIND => labels(args, &Bundle::open(&folder, device)?),
        Completer::KIND => completions(args, &Bundle::open(&folder, device)?),
        kind => Err(Usage(format!(
            "{}: a bundle of kind {kind:?}; \"classification\" and \"generation\" are applied here, a language model by \
             `pretrainer generate`",
            folder.display()
        ))
        .into()),
    }
}

fn labels(args: &PredictArgs, bundle: &Bundle<Classifier>) -> anyhow::Result<Ending> {
    let fields = Fields { label: None, ..bundle.model.settings().fields.clone() };
    let batch_size = usize::from(args.batch_size);
    answer(args, &fields, batch_size * SORTED_TOGETHER, |rows, _| {
        let texts: Vec<_> = rows.iter().map(text).collect();
        let labels = &bundle.model.settings().labels;
        let answers = classify(bundle, &texts, batch_size, Compute::fp32())?.into_iter().map(|prediction| {
            let probabilities: Record = labels
                .iter()
                .zip(&prediction.probabilities)
                .map(|(label, probability)| Ok((label.clone(), to_raw_value(probability)?)))
                .collect::<Result<_, serde_json::Error>>()?;
            Ok(Record::from_iter([
                ("label".to_owned(), to_raw_value(&labels[prediction.label])?),
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
    answer(args, &fields, usize::from(args.batch_size), |rows, first| {
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

/// Reads rows, `many` at a time, and writes each with the fields that `answers` gives; it is told the number of the first row.
fn answer(
    args: &PredictArgs,
    fields: &Fields,
    many: usize,
    answers: impl Fn(&[Row], u64) -> anyhow::Result<Vec<Record>>,
) -> anyhow::Result<Ending> {
    let rows = match &args.input {
        Stream::File(path) => labelled::open(path, fields, Labels::Optional, Encoding::UTF_8)?,
        Stream::Standard => labelled::from_reader(io::stdin(), Path::new("standard input"), fields, Labels::Optional)?,
    };
    match &args.output {
        Stream::Standard => {
            let mut output = BufWriter::new(io::stdout().lock());
            write_all(rows, many, answers, &mut output)?;
        }
        Stream::File(path) => {
            // Whole or not at all.
            let part = PathBuf::from(format!("{}.part", path.display()));
            let mut output = BufWriter::new(File::create(&part).with_context(|| part.display().to_string())?);
            if let Err(error) = write_all(rows, many, answers, &mut output) {
                // What was written so far is of no use; that it cannot be removed would hide the error.
                let _ = std::fs::remove_file(&part);
                return Err(error);
            }
            let file = output.into_inner().map_err(io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all()).with_context(|| part.display().to_string())?;
            std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(Ending::Done)
}

fn write_all(
    mut rows: Rows,
    many: usize,
    answers: impl Fn(&[Row], u64) -> anyhow::Result<Vec<Record>>,
    output: &mut impl Write,
) -> anyhow::Result<()> {
    let mut read = 0;
    loop {
        let chunk: Vec<Row> = rows.by_ref().take(many).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let answers = answers(&chunk, read)?;
        read += chunk.len() as u64;
        for (row, answer) in chunk.into_iter().zip(answers) {
            let mut record = row.record;
            record.extend(answer);
            serde_json::to_writer(&mut *output, &record).map_err(|error| closed(error.into()))?;
            output.write_all(b"\n").map_err(closed)?;
        }
        // A reader of standard output sees what is done.
        output.flush().map_err(closed)?;
    }
}

/// A reader that went away wants no more; anything else is a failure.
fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { OutputClosed.into() } else { error.into() }
}
