//! `pretrainer inspect`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use grulm_kernels::Precision;
use grulm_model::{LanguageModel, ModelConfig};
use grulm_tasks::{Provenance, bundle::locate};
use grulm_train::LogLevel;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::InspectArgs,
    compute,
    exit::{Ending, Usage},
    files, logging, output,
    training::device_name,
};

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
    recurrence: &'static str,
}

/// Says what a model is.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let bundle = compute::open_model(&args.model)?;
    let folder = locate(&args.model.model).map_err(|error| Usage(error.to_string()))?;
    let device = bundle.model.device();
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
            precision: Precision::fastest(device).name(),
            recurrence: if device.is_cuda() { "cuDNN" } else { "grulm's kernel over libtorch" },
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
        row("sizes", format!("embedding {}, hidden {}, {} layers", model.embedding, model.hidden, model.layers)),
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
    rows.push(row("cleaning", cleaning(&inspection.cleaning)));
    rows.push(row(
        "trained",
        format!("{} steps, {} tokens", output::grouped(provenance.step), output::grouped(provenance.tokens)),
    ));
    let scores: Vec<_> = provenance.scores.iter().map(|(name, value)| (name.clone(), *value)).collect();
    rows.extend(output::figure_rows(&scores).into_iter().map(|(name, value)| (format!("  validation {name}"), value)));
    rows.push(row("by", format!("grulm {}", provenance.grulm)));
    rows.push(row("corpus", provenance.corpus.clone().unwrap_or_else(|| "not recorded".to_owned())));
    rows.extend(provenance.parent.clone().map(|parent| row("parent", parent)));
    rows.push(row("on disk", output::bytes(inspection.files.values().sum())));
    rows.push(row(
        "computes here",
        format!("{}, training in {}, {}", compute.device, compute.precision, compute.recurrence),
    ));
    Ok(output::table(&rows))
}

/// The switches of `cleaning.json` that are on.
fn cleaning(recipe: &Value) -> String {
    let on = |(key, value): (&String, &Value)| match value {
        Value::Bool(true) => Some(key.clone()),
        Value::String(text) if !matches!(text.as_str(), "keep" | "none") => Some(format!("{key} {text}")),
        Value::Array(words) if !words.is_empty() => Some(format!("{} {key}", words.len())),
        _ => None,
    };
    let switches: Vec<_> = recipe.as_object().into_iter().flatten().filter_map(on).collect();
    if switches.is_empty() { "none".to_owned() } else { switches.join(", ") }
}
