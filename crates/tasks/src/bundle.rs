//! Bundles: a folder that holds everything that inference needs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use grulm_corpus::{Cleaner, Tokenizer};
use grulm_durable::digest::sha256_file;
use grulm_model::{LanguageModel, SHAPE_FILE, Shape, WEIGHTS_FILE, WeightFormat};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tch::Device;

use crate::Error;

const TOKENIZER_FILE: &str = "tokenizer.json";
const CLEANING_FILE: &str = "cleaning.json";
const TASK_FILE: &str = "task.json";
/// What a bundle says of its origin: [`Provenance`].
pub const PROVENANCE_FILE: &str = "provenance.json";
const VERSION: u32 = 2;

/// Where a bundle comes from (`provenance.json`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// grulm's version.
    pub grulm: String,
    /// Updates made.
    pub step: u64,
    /// Tokens (predictions) trained on.
    pub tokens: u64,
    /// Fingerprint of the corpus (its `manifest.json`: a SHA-256 of texts and settings), where there is one.
    pub corpus: Option<String>,
    /// SHA-256 of the weights that training started from, where it did.
    pub parent: Option<String>,
    /// Validation figures at this point.
    pub scores: BTreeMap<String, f64>,
    /// How its weights were rounded, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounded: Option<Rounded>,
}

/// What rounding the weights did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounded {
    /// The format that they are saved in.
    pub format: WeightFormat,
    /// Validation figures with the rounded weights; empty where there is no validation data.
    pub scores: BTreeMap<String, f64>,
}

/// Copies the bundle in `from` into the folder `to`, which exists, with its weights in `format`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn convert(from: &Path, to: &Path, format: WeightFormat) -> Result<(), Error> {
    for name in [SHAPE_FILE, TOKENIZER_FILE, CLEANING_FILE, PROVENANCE_FILE] {
        let target = to.join(name);
        std::fs::copy(from.join(name), &target).map_err(Error::io(&target))?;
    }
    grulm_model::convert_weights(&from.join(WEIGHTS_FILE), &to.join(WEIGHTS_FILE), format)?;
    let task = TaskFile { weights_sha256: weights_sha256(to)?, ..read_task(&from.join(TASK_FILE))? };
    write_json(&to.join(TASK_FILE), &task)
}

/// Writes down in the bundle in `folder` what rounding did, and the settings (see [`settings`]) that were found for the rounded
/// weights.
///
/// # Errors
/// When its files cannot be read or written.
pub fn note_rounding(folder: &Path, rounded: Rounded, settings: Value) -> Result<(), Error> {
    let path = folder.join(TASK_FILE);
    write_json(&path, &TaskFile { settings, ..read_task(&path)? })?;
    let path = folder.join(PROVENANCE_FILE);
    let provenance: Provenance = read_json(&path)?;
    write_json(&path, &Provenance { rounded: Some(rounded), ..provenance })
}

/// The settings of a model as a bundle holds them, in `task.json`.
///
/// # Errors
/// When they have no form in JSON.
pub fn settings<M: BundleModel>(model: &M) -> Result<Value, Error> {
    serde_json::to_value(model.settings()).map_err(|e| Error::io(Path::new(TASK_FILE))(e.into()))
}

/// What a bundle was trained for, and which files belong to it (`task.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    version: u32,
    kind: String,
    tokenizer_sha256: String,
    cleaning_sha256: String,
    weights_sha256: String,
    /// What the task knows beside its weights.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    settings: Value,
}

/// A model that a bundle can hold.
pub trait BundleModel: Sized {
    /// The bundle's kind in `task.json`.
    const KIND: &'static str;
    /// What belongs to the model beside sizes and weights.
    type Settings: Serialize + DeserializeOwned;

    /// What [`BundleModel::open`] will be given.
    fn settings(&self) -> Self::Settings;

    /// Writes sizes and weights into a folder that exists.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error>;

    /// Opens what [`BundleModel::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, not readable, or does not fit.
    fn open(folder: &Path, settings: Self::Settings, device: Device) -> Result<Self, Error>;

    /// Entries of the vocabulary.
    fn vocab_size(&self) -> i64;
}

impl BundleModel for LanguageModel {
    const KIND: &'static str = "language_model";
    type Settings = ();

    fn settings(&self) {}

    fn save(&self, folder: &Path, format: WeightFormat) -> Result<(), Error> {
        Ok(self.save(folder, format)?)
    }

    fn open(folder: &Path, (): (), device: Device) -> Result<Self, Error> {
        Ok(Self::open(folder, device)?)
    }

    fn vocab_size(&self) -> i64 {
        self.vocab_size()
    }
}

/// The inference half of a task: model, tokenizer, cleaning.
#[derive(Debug)]
pub struct Bundle<M = LanguageModel> {
    /// The model.
    pub model: M,
    /// The tokenizer that it was trained with.
    pub tokenizer: Tokenizer,
    /// The cleaning that its corpus had.
    pub cleaner: Cleaner,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Writes a bundle's files into `folder`, which exists.
///
/// # Errors
/// When a file cannot be written.
pub fn save<M: BundleModel>(
    folder: &Path,
    model: &M,
    tokenizer: &Tokenizer,
    cleaner: &Cleaner,
    provenance: &Provenance,
    format: WeightFormat,
) -> Result<(), Error> {
    model.save(folder, format)?;
    tokenizer.save(&folder.join(TOKENIZER_FILE))?;
    cleaner.save(&folder.join(CLEANING_FILE))?;
    let path = folder.join(TASK_FILE);
    let task = TaskFile {
        version: VERSION,
        kind: M::KIND.into(),
        tokenizer_sha256: tokenizer.hash().into(),
        cleaning_sha256: cleaner.hash(),
        weights_sha256: weights_sha256(folder)?,
        settings: settings(model)?,
    };
    write_json(&path, &task)?;
    write_json(&folder.join(PROVENANCE_FILE), provenance)
}

/// What bundles of every kind have beside the weights, which were seen to be whole.
#[derive(Debug)]
pub struct Basis {
    /// The bundle's folder.
    pub folder: PathBuf,
    /// What it was trained for.
    pub kind: String,
    /// Sizes and dropouts of its encoder.
    pub shape: Shape,
    /// The tokenizer that it was trained with.
    pub tokenizer: Tokenizer,
    /// The cleaning that its corpus had.
    pub cleaner: Cleaner,
    /// SHA-256 of its weights, in hexadecimal.
    pub weights_sha256: String,
    settings: Value,
}

impl Basis {
    /// Opens a bundle folder of any kind, or the best checkpoint of a run folder.
    ///
    /// # Errors
    /// When a file is missing, not readable, or does not belong to the others.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = locate(path)?;
        let TaskFile { kind, tokenizer_sha256, cleaning_sha256, weights_sha256: expected, settings, .. } =
            read_task(&folder.join(TASK_FILE))?;
        let tokenizer = Tokenizer::open(&folder.join(TOKENIZER_FILE))?;
        let cleaner = Cleaner::open(&folder.join(CLEANING_FILE))?;
        let hashes = [
            (TOKENIZER_FILE, tokenizer.hash().to_owned(), tokenizer_sha256),
            (CLEANING_FILE, cleaner.hash(), cleaning_sha256),
        ];
        for (file, found, expected) in hashes {
            if found != expected {
                let reason = format!(
                    "not the file that the model was trained with: its SHA-256 is {found}, {TASK_FILE} says {expected}"
                );
                return Err(refuse(&folder.join(file), reason));
            }
        }
        let found = weights_sha256(&folder)?;
        if found != expected {
            let reason = format!("damaged, or of another model: its SHA-256 is {found}, {TASK_FILE} says {expected}");
            return Err(refuse(&folder.join(WEIGHTS_FILE), reason));
        }
        let shape = Shape::open(&folder)?;
        let (entries, vocab) = (tokenizer.vocab_size(), shape.vocab_size);
        if entries as i64 != vocab {
            let reason = format!("{entries} entries; the model was trained with {vocab}");
            return Err(refuse(&folder.join(TOKENIZER_FILE), reason));
        }
        Ok(Self { folder, kind, shape, tokenizer, cleaner, weights_sha256: found, settings })
    }
}

impl<M: BundleModel> Bundle<M> {
    /// Opens a bundle folder, or the best checkpoint of a run folder.
    ///
    /// # Errors
    /// When a file is missing, not readable, or does not belong to the others, or the bundle is of another kind.
    pub fn open(path: &Path, device: Device) -> Result<Self, Error> {
        let folder = locate(path)?;
        let (task_path, found) = (folder.join(TASK_FILE), kind(&folder)?);
        if found != M::KIND {
            return Err(refuse(&task_path, format!("a model of kind {found:?}; expected {:?}", M::KIND)));
        }
        let Basis { tokenizer, cleaner, settings, .. } = Basis::open(&folder)?;
        let settings = serde_json::from_value(settings)
            .map_err(|e| refuse(&task_path, format!("settings of a {}: {e}", M::KIND)))?;
        let model = M::open(&folder, settings, device)?;
        let provenance = read_json(&folder.join(PROVENANCE_FILE))?;
        Ok(Self { model, tokenizer, cleaner, provenance })
    }
}

fn refuse(path: &Path, reason: String) -> Error {
    Error::Bundle { path: path.to_owned(), reason }
}

/// The kind of the bundle in `folder`: what it was trained for.
///
/// # Errors
/// When its `task.json` is missing or not readable.
pub fn kind(folder: &Path) -> Result<String, Error> {
    Ok(read_task(&folder.join(TASK_FILE))?.kind)
}

fn read_task(path: &Path) -> Result<TaskFile, Error> {
    let task: TaskFile = read_json(path)?;
    if task.version != VERSION {
        let reason = format!("version {}; this program reads version {VERSION}", task.version);
        return Err(Error::Bundle { path: path.to_owned(), reason });
    }
    Ok(task)
}

/// The bundle folder that `path` means: itself, or the best checkpoint of a run folder.
///
/// # Errors
/// When it is neither.
pub fn locate(path: &Path) -> Result<PathBuf, Error> {
    if path.join(TASK_FILE).is_file() {
        return Ok(path.to_owned());
    }
    let best = path.join("best");
    if best.is_file() {
        let name = std::fs::read_to_string(&best).map_err(Error::io(&best))?;
        let name = name.trim();
        let plain = Path::new(name).components().count() == 1 && Path::new(name).file_name().is_some();
        let folder = path.join("checkpoints").join(name);
        if !plain || !folder.join(TASK_FILE).is_file() {
            let reason = format!("names {name:?}, which is not a checkpoint of this run");
            return Err(Error::Bundle { path: best, reason });
        }
        return Ok(folder);
    }
    let found = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => "a folder with neither of both",
        Ok(_) => "a file",
        Err(_) => "not there",
    };
    let reason = format!(
        "{found}; expected a bundle folder (it holds {TASK_FILE}) or a run folder with a finished checkpoint (the run.dir of its config, \
         which holds `best`)"
    );
    Err(Error::Bundle { path: path.to_owned(), reason })
}

/// SHA-256 of a bundle's weights, in hexadecimal.
///
/// # Errors
/// When the file is not readable.
pub fn weights_sha256(folder: &Path) -> Result<String, Error> {
    let path = folder.join(WEIGHTS_FILE);
    sha256_file(&path).map_err(Error::io(&path))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::io(path)(e.into()))?;
    grulm_durable::write(path, format!("{text}\n").as_bytes()).map_err(Error::io(path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::Bundle { path: path.to_owned(), reason: e.to_string() })
}
