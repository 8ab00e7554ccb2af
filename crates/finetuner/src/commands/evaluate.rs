//! `finetuner evaluate`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::bail;
use grulm_cli::{
    compute,
    exit::{Ending, Usage},
    files, gate, logging,
    output::{self, Object},
    rounding,
};
use grulm_corpus::{
    inputs,
    labelled::{self, Labels},
    question_inputs,
};
use grulm_kernels::Compute;
use grulm_tasks::{
    Bundle, BundleModel as _, Provenance, TextScore, bundle,
    classification::{ClassificationScore, Classifier, ClassifierSettings, read_labelled, score},
    generation::{
        Completer, CompleterSettings, GenerationConfig, GenerationFormat, completion_figures, read_generation_files,
        score_completions,
    },
    metrics::{ChrF, Units},
    question_answering::{
        Answerer, AnswersScore, PredictedAnswer, Prediction, Scorer, for_each_question, score_answer,
    },
    translation::{Ensemble, PairFiles, PairScorer, Parallel, ScoredPair, Search, TranslationScore, Translator},
};
use grulm_train::LogLevel;
use serde_json::{Value, json};
use tch::Device;

use crate::{
    cli::{EvaluateArgs, refuse_for_others},
    report,
};

/// Scores examples whose answers are known, and prints the figures.
pub(crate) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    let kind = bundle::kind(&folder)?;
    if kind != Translator::KIND {
        args.search.refuse()?;
        let given = [("--references", !args.references.is_empty()), ("--per-line", args.per_line.is_some())];
        refuse_for_others(&given, "translate")?;
    }
    check_results(args, &kind)?;
    match kind.as_str() {
        Classifier::KIND => labels(args, &Bundle::open(&folder, device)?),
        Completer::KIND => completions(args, &Bundle::open(&folder, device)?),
        Translator::KIND => translations(args, &folder, device),
        Answerer::KIND => answers(args, &Bundle::open(&folder, device)?),
        kind => Err(Usage(format!(
            "{}: a bundle of kind {kind:?}; \"classification\", \"generation\", \"translation\" and \"question_answering\" are \
             evaluated here, a language model by `pretrainer evaluate`",
            folder.display()
        ))
        .into()),
    }
}

/// Checks, before the work, that results can be written, and over nothing that is read.
fn check_results(args: &EvaluateArgs, kind: &str) -> anyhow::Result<()> {
    let results = [("--errors", &args.errors), ("--per-line", &args.per_line)];
    for (option, path) in results.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?))) {
        let find = if kind == Answerer::KIND { question_inputs } else { inputs };
        let references = inputs("--references", &args.references)?;
        let read =
            find("--data", &args.data)?.into_iter().chain(references).map(|input| input.path).collect::<Vec<_>>();
        files::check_results(option, path, read.iter().map(PathBuf::as_path))?;
    }
    Ok(())
}

fn labels(args: &EvaluateArgs, bundle: &Bundle<Classifier>) -> anyhow::Result<Ending> {
    let settings = bundle.model.settings();
    let Bundle { cleaner, tokenizer, .. } = bundle;
    let (fields, labels) = (&settings.fields, &settings.labels);
    let texts = read_labelled("--data", &args.data, fields, args.encoding, labels, cleaner, tokenizer)?;
    refuse_nothing(args, texts.examples.len())?;
    gate::check_names(&args.fail_if, &ClassificationScore::default().figures())?;
    let score = score(&bundle.model, tokenizer, &texts, usize::from(args.batch_size), Compute::fp32())?;
    let figures = score.figures();
    if let Some(path) = &args.errors {
        files::write_json_lines(path, &errors(args, settings, &score, &texts.labels)?)?;
    }
    let written = if args.json {
        output::write_json(&report::json(&bundle.provenance, settings, &score))
    } else {
        output::write(&report::text(&bundle.provenance, settings, &score))
    };
    // First: a gate that holds is the exit status even where nobody reads the figures.
    gate::check(&args.fail_if, &figures)?;
    written?;
    Ok(Ending::Done)
}

fn completions(args: &EvaluateArgs, bundle: &Bundle<Completer>) -> anyhow::Result<Ending> {
    if args.errors.is_some() {
        return Err(Usage("--errors: a completion is neither right nor wrong; leave it out".into()).into());
    }
    let CompleterSettings { prompt_field, completion_field } = bundle.model.settings.clone();
    let config = GenerationConfig {
        format: GenerationFormat::Completion,
        prompt_field,
        completion_field,
        encoding: args.encoding.label().into(),
        ..GenerationConfig::default()
    };
    let Bundle { cleaner, tokenizer, model, .. } = bundle;
    let examples = read_generation_files(&config, "--data", &args.data, cleaner, tokenizer)?;
    refuse_nothing(args, examples.len())?;
    gate::check_names(&args.fail_if, &completion_figures(&TextScore::new(&[], 0)))?;
    let batch_size = usize::from(args.batch_size);
    let scores = score_completions(&model.model, tokenizer, &examples, batch_size, WINDOW, Compute::fp32())?;
    let written = if args.json {
        let mut object = output::figures_to_json(&scores.figures);
        rounding::add_to(&mut object, &bundle.provenance);
        output::write_json(&object)
    } else {
        let mut rows = output::figure_rows(&scores.figures);
        rows.extend(rounding::row(&bundle.provenance, "perplexity"));
        output::write(&output::table(&rows))
    };
    gate::check(&args.fail_if, &scores.figures)?;
    written?;
    Ok(Ending::Done)
}

fn translations(args: &EvaluateArgs, folder: &Path, device: Device) -> anyhow::Result<Ending> {
    if args.errors.is_some() {
        let instead = "--errors: a translation is neither right nor wrong; --per-line writes all of them";
        return Err(Usage(instead.into()).into());
    }
    let ensemble = args.search.open(folder, device)?;
    let search = args.search.search(ensemble.settings().search)?;
    // Before hours of translating.
    gate::check_names(&args.fail_if, &TranslationScore::new(ensemble.settings().bleu_tokenizer).figures())?;
    let score = match &args.per_line {
        None => score_translations(args, &ensemble, search, |_| Ok(()))?,
        Some(path) => files::write_with(path, |file| {
            score_translations(args, &ensemble, search, |scored| {
                write_line(file, &scored).map_err(grulm_tasks::Error::io(path))
            })
        })?,
    };
    let figures = score.figures();
    // Of an ensemble: that of MODEL.
    let provenance: Provenance = files::read_json(&folder.join("provenance.json"))?;
    let signatures = [("signature", score.signature()), ("chrf_signature", score.chrf_signature())];
    let written = if args.json {
        let mut object = output::figures_to_json(&figures);
        object.extend(signatures.map(|(name, signature)| (name.to_owned(), json!(signature))));
        rounding::add_to(&mut object, &provenance);
        output::write_json(&object)
    } else {
        let mut rows = output::figure_rows(&figures);
        rows.extend(signatures.map(|(name, signature)| (name.replace('_', " "), signature)));
        rows.extend(rounding::row(&provenance, "bleu"));
        output::write(&output::table(&rows))
    };
    gate::check(&args.fail_if, &figures)?;
    written?;
    Ok(Ending::Done)
}

/// Translates all pairs, of which `each` is told in order, and counts.
fn score_translations(
    args: &EvaluateArgs,
    ensemble: &Ensemble,
    search: Search,
    each: impl FnMut(ScoredPair) -> Result<(), grulm_tasks::Error>,
) -> anyhow::Result<TranslationScore> {
    let data = args.data.clone();
    let files = match args.references.as_slice() {
        [] => PairFiles::Rows(data),
        references => PairFiles::Parallel(Parallel { source: data, target: references.to_vec() }),
    };
    let (keys, fields) = (["--data", "--references"], &ensemble.settings().fields);
    // All of them first: what is wrong with a file should not show after hours of translating.
    let mut pairs = Vec::new();
    files.for_each(keys, fields, args.encoding, |path, pair| {
        pairs.push((path.to_owned(), pair));
        Ok::<_, grulm_tasks::Error>(())
    })?;
    refuse_nothing(args, pairs.len())?;
    let batch_size = usize::from(args.batch_size);
    let mut scorer = PairScorer::new(ensemble, search, batch_size, Compute::fp32(), each);
    pairs.into_iter().try_for_each(|(path, pair)| scorer.push(&path, pair))?;
    Ok(scorer.finish()?)
}

/// Writes a pair with its translation, and how near chrF finds the two.
fn write_line(file: &mut impl Write, scored: &ScoredPair) -> std::io::Result<()> {
    let ScoredPair { path, pair, translation } = scored;
    let mut chrf = ChrF::new();
    chrf.add(&translation.text, &pair.target);
    let object = json!({
        "file": path, "row": pair.number, "source": pair.source, "target": pair.target,
        "translation": translation.text, "score": translation.score, "chrf": chrf.score(),
    });
    writeln!(file, "{object}")
}

fn answers(args: &EvaluateArgs, bundle: &Bundle<Answerer>) -> anyhow::Result<Ending> {
    gate::check_names(&args.fail_if, &AnswersScore::of_none().figures())?;
    let mut scorer = Scorer::new(bundle, usize::from(args.batch_size), Compute::fp32());
    let mut places = Vec::new();
    for_each_question("--data", &args.data, args.encoding, true, |path, question| {
        places.push((path.to_owned(), question.number));
        scorer.push(question)
    })?;
    refuse_nothing(args, places.len())?;
    let answered = scorer.finish()?;
    let predicted: Vec<_> = answered.iter().map(|(_, _, predicted)| predicted.clone()).collect();
    let score = AnswersScore::new(&predicted, bundle.model.settings().units);
    let figures = score.figures();
    gate::check_names(&args.fail_if, &figures)?;
    if let Some(path) = &args.errors {
        files::write_json_lines(path, &wrong_answers(&places, &answered, score.units()))?;
    }
    let units = match score.units() {
        Units::Words => "words",
        Units::Characters => "characters",
    };
    let written = if args.json {
        let mut object = output::figures_to_json(&figures);
        object.insert("units".into(), json!(units));
        rounding::add_to(&mut object, &bundle.provenance);
        output::write_json(&object)
    } else {
        let mut rows = output::figure_rows(&figures);
        rows.push(("units".to_owned(), units.to_owned()));
        rows.extend(rounding::row(&bundle.provenance, "f1"));
        output::write(&output::table(&rows))
    };
    gate::check(&args.fail_if, &figures)?;
    written?;
    Ok(Ending::Done)
}

/// The questions whose answer was not right to the letter, the surest first.
fn wrong_answers(
    places: &[(PathBuf, u64)],
    answered: &[(String, Prediction, PredictedAnswer)],
    units: Units,
) -> Vec<Value> {
    let wrong =
        |((path, row), (question, prediction, answer)): (&(PathBuf, u64), &(String, Prediction, PredictedAnswer))| {
            let (exact, f1) = score_answer(answer, units);
            let probability = prediction.answer().map(|answer| answer.probability).or(prediction.none).unwrap_or(0.0);
            let object = json!({
                "file": path, "row": row, "question": question, "gold": answer.gold, "predicted": answer.predicted,
                "probability": probability, "f1": f1,
            });
            (exact < 100.0).then_some((probability, object))
        };
    let mut wrong: Vec<_> = places.iter().zip(answered).filter_map(wrong).collect();
    wrong.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    wrong.into_iter().map(|(_, object)| object).collect()
}

/// Tokens of a completion that are read in one pass.
const WINDOW: i64 = 256;

fn refuse_nothing(args: &EvaluateArgs, rows: usize) -> Result<(), Usage> {
    if rows > 0 { Ok(()) } else { Err(Usage(format!("--data {}: no row is there to score", args.data.join(" ")))) }
}

/// The texts whose label was wrong, the surest first.
fn errors(
    args: &EvaluateArgs,
    settings: &ClassifierSettings,
    score: &ClassificationScore,
    labels: &[u32],
) -> anyhow::Result<Vec<Object>> {
    let mut wrong = Vec::new();
    let mut text = 0;
    for input in inputs("--data", &args.data)? {
        for row in labelled::open(&input.path, &settings.fields, Labels::Required, args.encoding)? {
            let row = row?;
            let scored = (score.predicted.get(text), score.probabilities.get(text), labels.get(text));
            let (Some(&predicted), Some(probabilities), Some(&label)) = scored else {
                bail!("{}: has more rows than were scored: it changed meanwhile", input.path.display());
            };
            let (predicted, label) = (predicted as usize, label as usize);
            if predicted != label {
                let object = json!({
                    "file": input.path, "row": row.number, "label": settings.labels[label],
                    "predicted": settings.labels[predicted], "probability": probabilities[predicted],
                    "text": row.text, "pair": row.pair,
                });
                wrong.push((probabilities[predicted], object));
            }
            text += 1;
        }
    }
    wrong.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let plain = |(_, object): (f64, Value)| match object {
        Value::Object(object) => object.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Object::new(),
    };
    Ok(wrong.into_iter().map(plain).collect())
}
