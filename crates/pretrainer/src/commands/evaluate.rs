//! `pretrainer evaluate`.

use grulm_cli::{
    compute,
    exit::{Ending, Usage},
    files, gate, logging, output, rounding,
};
use grulm_corpus::{Special, TokenStream, inputs, tokenize_files};
use grulm_kernels::Packing;
use grulm_tasks::Bundle;
use grulm_train::LogLevel;

use crate::{
    cli::EvaluateArgs,
    score::{figures_of_none, score},
};

/// Scores text and prints the figures.
pub(crate) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let packing = Packing::from(args.precision);
    if packing.precision().is_none() && args.batch_size > 1 {
        let reason = format!("--batch-size {} with --precision {}: allowed: 1", args.batch_size, packing.name());
        return Err(Usage(reason).into());
    }
    let (folder, device) = compute::find_model(&args.model)?;
    let bundle = Bundle::open(&folder, device)?;
    let text = tokenize_files("--text", &args.text, &bundle.cleaner, &bundle.tokenizer)?;
    if text.tokens.is_empty() {
        return Err(Usage(format!("--text {}: no text is left to score", args.text.join(" "))).into());
    }
    if text.unknown > 0 {
        let share = 100.0 * text.unknown as f64 / text.tokens.len() as f64;
        tracing::warn!(
            "{} of {} tokens ({share:.2} %) are <unk>, which is easy to predict: compare perplexities only where the vocabulary is the same",
            text.unknown,
            text.tokens.len()
        );
    }
    let counts =
        [("documents", text.documents), ("words", text.words), ("bytes", text.bytes), ("unknown", text.unknown)];
    // What would show at the end is looked at before hours of scoring.
    let counts = counts.map(|(name, count)| (name.to_owned(), count as f64));
    gate::check_names(&args.fail_if, &[figures_of_none(&bundle), counts.to_vec()].concat())?;
    if let Some(path) = &args.per_line {
        let read = inputs("--text", &args.text)?;
        files::check_results("--per-line", path, read.iter().map(|input| input.path.as_path()))?;
    }
    let stream = TokenStream::from_tokens(text.tokens.clone());
    let scored = score(&bundle, &stream, text.bytes, usize::from(args.batch_size), packing)?;
    let mut figures = scored.figures.clone();
    figures.extend(counts);
    if let Some(path) = &args.per_line {
        let eos = bundle.tokenizer.special(Special::Eos);
        files::write_json_lines(path, &scored.documents(&text.tokens, eos, text.documents)?)?;
    }
    let written = if args.json {
        let mut object = output::figures_to_json(&figures);
        rounding::add_to(&mut object, &bundle.provenance);
        output::write_json(&object)
    } else {
        let mut rows = output::figure_rows(&figures);
        rows.extend(rounding::row(&bundle.provenance, "perplexity"));
        output::write(&output::table(&rows))
    };
    // First: a gate that holds is the exit status even where nobody reads the figures.
    gate::check(&args.fail_if, &figures)?;
    written?;
    Ok(Ending::Done)
}
