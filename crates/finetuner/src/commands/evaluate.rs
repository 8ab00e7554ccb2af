//! `finetuner evaluate`.

use grulm_cli::{
    compute,
    exit::{Ending, Usage},
    files, gate, logging,
    output::{self, Object},
};
use grulm_corpus::{
    Encoding, inputs,
    labelled::{self, Labels},
};
use grulm_kernels::Compute;
use grulm_tasks::{
    Bundle, BundleModel as _, bundle,
    classification::{ClassificationScore, Classifier, ClassifierSettings, read_labelled, score},
    generation::{
        Completer, CompleterSettings, GenerationConfig, GenerationFormat, read_generation_files, score_completions,
    },
};
use grulm_train::LogLevel;
use serde_json::{Value, json};

use crate::{cli::EvaluateArgs, report};

/// Scores examples whose answers are known, and prints the figures.
pub(crate) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    match bundle::kind(&folder)?.as_str() {
        Classifier::KIND => labels(args, &Bundle::open(&folder, device)?),
        Completer::KIND => completions(args, &Bundle::open(&folder, device)?),
        kind => Err(Usage(format!(
            "{}: a bundle of kind {kind:?}; \"classification\" and \"generation\" are evaluated here, a language model by \
             `pretrainer evaluate`",
            folder.display()
        ))
        .into()),
    }
}

fn labels(args: &EvaluateArgs, bundle: &Bundle<Classifier>) -> anyhow::Result<Ending> {
    let settings = bundle.model.settings();
    let Bundle { cleaner, tokenizer, .. } = bundle;
    let (fields, labels) = (&settings.fields, &settings.labels);
    let texts = read_labelled("--data", &args.data, fields, Encoding::UTF_8, labels, cleaner, tokenizer)?;
    refuse_nothing(args, texts.examples.len())?;
    let score = score(&bundle.model, &texts, usize::from(args.batch_size), Compute::fp32())?;
    let figures = score.figures();
    gate::check_names(&args.fail_if, &figures)?;
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
    let config =
        GenerationConfig { format: GenerationFormat::Completion, prompt_field, completion_field, ..Default::default() };
    let Bundle { cleaner, tokenizer, model, .. } = bundle;
    let examples = read_generation_files(&config, "--data", &args.data, cleaner, tokenizer)?;
    refuse_nothing(args, examples.len())?;
    let batch_size = usize::from(args.batch_size);
    let scores = score_completions(&model.model, tokenizer, &examples, batch_size, WINDOW, Compute::fp32())?;
    gate::check_names(&args.fail_if, &scores.figures)?;
    let written = if args.json {
        output::write_json(&output::figures_to_json(&scores.figures))
    } else {
        output::write(&output::table(&output::figure_rows(&scores.figures)))
    };
    gate::check(&args.fail_if, &scores.figures)?;
    written?;
    Ok(Ending::Done)
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
        for row in labelled::open(&input.path, &settings.fields, Labels::Required, Encoding::UTF_8)? {
            let row = row?;
            let (given, probabilities) = (score.given[text] as usize, &score.probabilities[text]);
            if given != labels[text] as usize {
                let object = json!({
                    "file": input.path, "row": row.number, "label": settings.labels[labels[text] as usize],
                    "given": settings.labels[given], "probability": probabilities[given],
                    "text": row.text, "pair": row.pair,
                });
                wrong.push((probabilities[given], object));
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
