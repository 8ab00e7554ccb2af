//! `pretrainer inspect`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use grulm_cli::{
    compute::{self, device_name},
    exit::Ending,
    files, logging, output,
};
use grulm_kernels::Kernels;
use grulm_model::{LanguageModel, ModelConfig};
use grulm_tasks::{Bundle, Provenance};
use grulm_train::LogLevel;
use serde::Serialize;
use serde_json::Value;

use crate::cli::InspectArgs;

/// What `--json` prints.
#[derive(Serialize)]
struct Inspection {
    folder: String,
    vocab_size: i64,
    model: ModelConfig,
    parameters: u64,
    /// By layer, from the input.
    layers: Vec<Layer>,
    tokenizer: TokenizerInfo,
    /// `cleaning.json`.
    cleaning: Value,
    provenance: Provenance,
    /// Bytes on disk by file.
    files: BTreeMap<String, u64>,
    compute: Compute,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    parameters: u64,
}

#[derive(Serialize)]
struct TokenizerInfo {
    /// As `tokenizer.json` names it: "BPE", "`WordLevel`", "Unigram".
    kind: String,
    sha256: String,
}

/// What would compute here.
#[derive(Serialize)]
struct Compute {
    device: String,
    /// The arithmetic of training where `train.precision` is "auto"; scoring and generation compute in fp32.
    precision: &'static str,
    /// The implementation where `run.kernels` is "auto".
    kernels: &'static str,
}

/// Says what a model is.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    let bundle: Bundle = Bundle::open(&folder, device)?;
    let tokenizer: Value = files::read_json(&folder.join("tokenizer.json"))?;
    let kind = tokenizer.pointer("/model/type").and_then(Value::as_str).unwrap_or("not named").to_owned();
    let inspection = Inspection {
        folder: folder.display().to_string(),
        vocab_size: bundle.model.vocab_size(),
        model: bundle.model.config().clone(),
        parameters: bundle.model.params().count() as u64,
        layers: layers(&bundle.model),
        tokenizer: TokenizerInfo { kind, sha256: bundle.tokenizer.hash().to_owned() },
        cleaning: files::read_json(&folder.join("cleaning.json"))?,
        provenance: bundle.provenance,
        files: sizes(&folder)?,
        compute: Compute {
            device: device_name(device),
            precision: Kernels::best().fastest_precision(device).name(),
            kernels: if device.is_cuda() { "cuDNN" } else { Kernels::best().name() },
        },
    };
    if args.json {
        output::write_json(&inspection)?;
    } else {
        output::write(&describe(&inspection)?)?;
    }
    Ok(Ending::Done)
}

fn layers(model: &LanguageModel) -> Vec<Layer> {
    let mut sums = BTreeMap::new();
    for param in model.params() {
        *sums.entry(param.group).or_insert(0) += param.tensor.numel() as u64;
    }
    let depth = model.config().layers;
    let name = |group: usize| match group {
        0 => "embedding".to_owned(),
        layer if layer <= depth => format!("GRU layer {layer}"),
        _ => "softmax".to_owned(),
    };
    sums.into_iter().map(|(group, parameters)| Layer { name: name(group), parameters }).collect()
}

fn sizes(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let list = || -> std::io::Result<BTreeMap<String, u64>> {
        fs::read_dir(folder)?
            .map(|entry| {
                let entry = entry?;
                Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
            })
            .collect()
    };
    list().with_context(|| folder.display().to_string())
}

fn describe(inspection: &Inspection) -> anyhow::Result<String> {
    let Inspection { model, provenance, compute, .. } = inspection;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut rows = vec![
        row("model", inspection.folder.clone()),
        row("direction", serde_json::to_value(model.direction)?.as_str().unwrap_or_default().to_owned()),
        row(
            "sizes",
            format!(
                "embedding {}, hidden {}, {}",
                model.embedding,
                model.hidden,
                output::count(model.layers as u64, "layer")
            ),
        ),
        row("softmax", if model.tie_weights { "tied to the embedding" } else { "weights of its own" }.to_owned()),
        row("parameters", output::grouped(inspection.parameters)),
    ];
    rows.extend(
        inspection.layers.iter().map(|layer| row(&format!("  {}", layer.name), output::grouped(layer.parameters))),
    );
    rows.push(row(
        "tokenizer",
        format!("{}, {} entries", inspection.tokenizer.kind, output::grouped(inspection.vocab_size.unsigned_abs())),
    ));
    rows.push(row("documents", documents(&inspection.cleaning)));
    rows.push(row("cleaning", cleaning(&inspection.cleaning)));
    rows.push(row(
        "trained",
        format!("{}, {}", output::count(provenance.step, "step"), output::count(provenance.tokens, "token")),
    ));
    let scores: Vec<_> = provenance.scores.iter().map(|(name, value)| (name.clone(), *value)).collect();
    rows.extend(output::figure_rows(&scores).into_iter().map(|(name, value)| (format!("  validation {name}"), value)));
    rows.push(row("by", format!("grulm {}", provenance.grulm)));
    rows.push(row("corpus", provenance.corpus.clone().unwrap_or_else(|| "not recorded".to_owned())));
    rows.extend(provenance.parent.clone().map(|parent| row("parent", parent)));
    rows.push(row("on disk", output::bytes(inspection.files.values().sum())));
    rows.push(row(
        "computes here",
        format!("{}, training in {}, {} kernels", compute.device, compute.precision, compute.kernels),
    ));
    Ok(output::table(&rows))
}

/// What `cleaning.json` says of reading: it changes no text.
const READING: [&str; 3] = ["unit", "text_field", "encoding"];

/// How `cleaning.json` says that text is read.
fn documents(recipe: &Value) -> String {
    let said = |key: &&str| Some(format!("{} {}", key.replace('_', " "), recipe.get(key)?.as_str()?));
    READING.iter().filter_map(said).collect::<Vec<_>>().join(", ")
}

/// The switches of `cleaning.json` that are on.
fn cleaning(recipe: &Value) -> String {
    let on = |(key, value): (&String, &Value)| match value {
        _ if READING.contains(&key.as_str()) => None,
        Value::Bool(true) => Some(key.clone()),
        Value::String(text) if !matches!(text.as_str(), "keep" | "none") => Some(format!("{key} {text}")),
        Value::Array(words) if !words.is_empty() => Some(format!("{} {key}", words.len())),
        _ => None,
    };
    let switches: Vec<_> = recipe.as_object().into_iter().flatten().filter_map(on).collect();
    if switches.is_empty() { "none".to_owned() } else { switches.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_cleaning_are_told_apart() {
        let check = |changes: Value, expect_documents: &str, expect_cleaning: &str| {
            let mut recipe = serde_json::json!({
                "version": 1, "unit": "line", "text_field": "text", "encoding": "utf-8", "unicode": "none",
                "strip_html": false, "urls": "keep", "stop_words": []
            });
            for (key, value) in changes.as_object().unwrap() {
                recipe[key] = value.clone();
            }
            assert_eq!((documents(&recipe).as_str(), cleaning(&recipe).as_str()), (expect_documents, expect_cleaning));
        };
        let plain = "unit line, text field text, encoding utf-8";
        check(serde_json::json!({}), plain, "none");
        check(serde_json::json!({"strip_html": true, "urls": "word"}), plain, "strip_html, urls word");
        check(
            serde_json::json!({"unit": "file", "encoding": "auto", "stop_words": ["a", "the"]}),
            "unit file, text field text, encoding auto",
            "2 stop_words",
        );
    }
}
