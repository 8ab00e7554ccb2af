//! What `inspect` says of a model.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use grulm_model::{ModelConfig, Params};
use grulm_tasks::{Bundle, BundleModel, Provenance, bundle::Rounded};
use serde::Serialize;
use serde_json::Value;
use tch::Device;

use crate::{
    compute::device_name,
    files,
    output::{self, Object},
};

/// What `inspect --json` prints.
#[derive(Debug, Serialize)]
pub struct Inspection {
    folder: String,
    vocab_size: i64,
    model: ModelConfig,
    parameters: u64,
    /// By layer, from the input.
    layers: Vec<Layer>,
    /// What the task knows beside it, by name.
    #[serde(flatten)]
    task: Object,
    tokenizer: TokenizerInfo,
    /// `cleaning.json`.
    cleaning: Value,
    provenance: Provenance,
    /// Bytes on disk by file.
    files: BTreeMap<String, u64>,
    compute: Compute,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    parameters: u64,
}

#[derive(Debug, Serialize)]
struct TokenizerInfo {
    /// As `tokenizer.json` names it: "BPE", "byte-level BPE", "`WordLevel`", "Unigram".
    kind: String,
    sha256: String,
}

/// What would compute here.
#[derive(Debug, Serialize)]
struct Compute {
    device: String,
    /// The arithmetic of training where `train.precision` is "auto".
    precision: &'static str,
    /// The implementation where `run.kernels` is "auto".
    kernels: &'static str,
}

impl Inspection {
    /// Looks at the bundle in `folder`, whose model has these sizes and weights; `top` is what its last layer is.
    ///
    /// # Errors
    /// When a file of the bundle cannot be read.
    pub fn new<M: BundleModel>(
        folder: &Path,
        bundle: &Bundle<M>,
        (sizes, params): (&ModelConfig, &Params),
        top: &str,
        device: Device,
    ) -> anyhow::Result<Self> {
        let tokenizer: Value = files::read_json(&folder.join("tokenizer.json"))?;
        let named = |pointer| tokenizer.pointer(pointer).and_then(Value::as_str);
        let level = if named("/decoder/type") == Some("ByteLevel") { "byte-level " } else { "" };
        let kind = format!("{level}{}", named("/model/type").unwrap_or("not named"));
        let compute = grulm_kernels::Compute::fastest(None, None, device);
        Ok(Self {
            folder: folder.display().to_string(),
            vocab_size: bundle.model.vocab_size(),
            model: sizes.clone(),
            parameters: params.count() as u64,
            layers: layers(sizes, params, top),
            task: Object::new(),
            tokenizer: TokenizerInfo { kind, sha256: bundle.tokenizer.hash().to_owned() },
            cleaning: files::read_json(&folder.join("cleaning.json"))?,
            provenance: bundle.provenance.clone(),
            files: file_sizes(folder)?,
            compute: Compute {
                device: device_name(device),
                precision: compute.precision.name(),
                kernels: compute.kernels_on(device),
            },
        })
    }

    /// Adds what the task knows.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.task.insert(name.to_owned(), value);
        self
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { model, provenance, compute, .. } = self;
        let row = |name: &str, value: String| (name.to_owned(), value);
        let direction = model.direction.readings().iter().map(|reading| reading.name()).collect::<Vec<_>>();
        let layers = output::count(model.layers as u64, "layer");
        let mut rows = vec![
            row("model", self.folder.clone()),
            row("direction", direction.join(" and ")),
            row("sizes", format!("embedding {}, hidden {}, {layers}", model.embedding, model.hidden)),
        ];
        rows.extend(self.task.iter().map(|(name, value)| row(name, plain(value))));
        rows.push(row("parameters", output::grouped(self.parameters)));
        rows.extend(
            self.layers.iter().map(|layer| row(&format!("  {}", layer.name), output::grouped(layer.parameters))),
        );
        let entries = output::grouped(self.vocab_size.unsigned_abs());
        rows.push(row("tokenizer", format!("{}, {entries} entries", self.tokenizer.kind)));
        rows.push(row("documents", documents(&self.cleaning)));
        rows.push(row("cleaning", cleaning(&self.cleaning)));
        let trained = [output::count(provenance.step, "step"), output::count(provenance.tokens, "prediction")];
        rows.push(row("trained", trained.join(", ")));
        let scores: Vec<_> = provenance.scores.iter().map(|(name, value)| (name.clone(), *value)).collect();
        let scores = output::figure_rows(&scores);
        rows.extend(scores.into_iter().map(|(name, value)| (format!("  validation {name}"), value)));
        if let Some(Rounded { format, scores }) = &provenance.rounded {
            rows.push(row("saved in", format.name().to_owned()));
            let scores: Vec<_> = scores.iter().map(|(name, value)| (name.clone(), *value)).collect();
            let scores = output::figure_rows(&scores);
            rows.extend(scores.into_iter().map(|(name, value)| (format!("  validation {name}"), value)));
        }
        rows.push(row("by", format!("grulm {}", provenance.grulm)));
        rows.push(row("corpus", provenance.corpus.clone().unwrap_or_else(|| "not recorded".to_owned())));
        rows.extend(provenance.parent.clone().map(|parent| row("parent", parent)));
        rows.push(row("on disk", output::bytes(self.files.values().sum())));
        rows.push(row(
            "computes here",
            format!("{}, training in {}, {} kernels", compute.device, compute.precision, compute.kernels),
        ));
        output::table(&rows)
    }
}

/// A value without the marks of JSON: a list as its items, an object as its names with their values.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            object.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn layers(sizes: &ModelConfig, params: &Params, top: &str) -> Vec<Layer> {
    let mut sums = BTreeMap::new();
    for param in params {
        *sums.entry(param.group).or_insert(0) += param.tensor.numel() as u64;
    }
    let name = |group: usize| match group {
        0 => "embedding".to_owned(),
        layer if layer <= sizes.layers => format!("GRU layer {layer}"),
        _ => top.to_owned(),
    };
    // `ngrams.weight` is the weight of `ngrams`.
    let part = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let fixed = params.fixed().map(|(name, tensor)| Layer { name: part(name), parameters: tensor.numel() as u64 });
    sums.into_iter().map(|(group, parameters)| Layer { name: name(group), parameters }).chain(fixed).collect()
}

fn file_sizes(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
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

/// What `cleaning.json` says of reading: it changes no text.
const READING: [&str; 3] = ["unit", "text_field", "encoding"];

/// How `cleaning.json` says that text is read.
fn documents(recipe: &Value) -> String {
    let value = |key: &str| match recipe.get(key)? {
        Value::String(value) => Some(value.clone()),
        Value::Array(values) => Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" and ")),
        _ => None,
    };
    let said = |key: &&str| Some(format!("{} {}", key.replace('_', " "), value(key)?));
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
        let both = "unit line, text field source and target, encoding utf-8";
        check(serde_json::json!({"text_field": ["source", "target"]}), both, "none");
        check(serde_json::json!({"strip_html": true, "urls": "word"}), plain, "strip_html, urls word");
        check(
            serde_json::json!({"unit": "file", "encoding": "auto", "stop_words": ["a", "the"]}),
            "unit file, text field text, encoding auto",
            "2 stop_words",
        );
    }
}
