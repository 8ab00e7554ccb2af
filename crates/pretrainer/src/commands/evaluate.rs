//! `pretrainer evaluate`.

use std::path::Path;

use grulm_corpus::{Special, TokenStream, tokenize_files};
use grulm_train::LogLevel;

use crate::{
    cli::EvaluateArgs,
    compute,
    exit::{Ending, GateHolds, Usage},
    files,
    gate::Gate,
    logging,
    output::{self, Object},
    score::score,
};

/// Scores text and prints the figures.
pub(crate) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let bundle = compute::open_model(&args.model)?;
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
    let stream = TokenStream::from_tokens(text.tokens.clone());
    let scored = score(&bundle, &stream, text.bytes, usize::from(args.batch_size))?;
    let mut figures = scored.figures.clone();
    let counts =
        [("documents", text.documents), ("words", text.words), ("bytes", text.bytes), ("unknown", text.unknown)];
    figures.extend(counts.map(|(name, count)| (name.to_owned(), count as f64)));
    check_names(&args.fail_if, &figures)?;
    if let Some(path) = &args.per_line {
        let eos = bundle.tokenizer.special(Special::Eos);
        write_lines(path, &scored.documents(&text.tokens, eos, text.documents)?)?;
    }
    let written = if args.json {
        output::write_json(&output::figures_to_json(&figures))
    } else {
        output::write(&output::table(&output::figure_rows(&figures)))
    };
    // First: a gate that holds is the exit status even where nobody reads the figures.
    check_gates(&args.fail_if, &figures)?;
    written?;
    Ok(Ending::Done)
}

fn value(figures: &[(String, f64)], name: &str) -> Option<f64> {
    figures.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

fn check_names(gates: &[Gate], figures: &[(String, f64)]) -> Result<(), Usage> {
    let Some(gate) = gates.iter().find(|gate| value(figures, gate.figure()).is_none()) else { return Ok(()) };
    let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
    Err(Usage(format!("--fail-if {gate}: no figure {:?}; allowed: {}", gate.figure(), names.join(", "))))
}

fn check_gates(gates: &[Gate], figures: &[(String, f64)]) -> Result<(), GateHolds> {
    let held = gates.iter().filter_map(|gate| {
        let value = value(figures, gate.figure()).filter(|&value| gate.holds(value))?;
        Some(format!("--fail-if {gate} holds: {} is {value}", gate.figure()))
    });
    let held: Vec<_> = held.collect();
    if held.is_empty() { Ok(()) } else { Err(GateHolds(held.join("; "))) }
}

fn write_lines(path: &Path, lines: &[Object]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    files::write(path, &text)
}
