//! A pretrained model, label files, and a config.

use std::{fs, path::Path, sync::OnceLock};

use grulm_config::to_toml;
use grulm_corpus::{Corpus, CorpusConfig, Split, TokenizerConfig, TokenizerKind, prepare};
use grulm_kernels::Compute;
use grulm_model::{DropoutConfig, LanguageModel, ModelConfig, OutputPenalties};
use grulm_tasks::{Batching, LanguageModelling, Provenance, TokenSplit};
use grulm_train::{LayerSettings, Options, Outcome, PrecisionSetting, RunFolder, Start, StopFlag, TrainConfig, train};
use indicatif::ProgressBar;
use tch::Device;
use tempfile::TempDir;

use crate::program::{Workplace, root};

impl Workplace {
    /// With the pretrained model `pretrained`, the sample label files, and the config `c.toml`.
    pub(crate) fn new() -> Self {
        static PRETRAINED: OnceLock<TempDir> = OnceLock::new();
        let place = Self::with_pretrained(
            PRETRAINED.get_or_init(|| pretrain(&root().join("tests/data/sentiment/train.jsonl"), 300)),
        );
        for name in ["train", "valid", "test"] {
            let name = format!("{name}.jsonl");
            fs::copy(root().join("tests/data/sentiment").join(&name), place.path(&name)).unwrap();
        }
        place.write("c.toml", CONFIG);
        place
    }

    /// With parallel files of two small languages, the pretrained model `pretrained` of both, and the config `c.toml`.
    pub(crate) fn of_translations() -> Self {
        static PRETRAINED: OnceLock<TempDir> = OnceLock::new();
        let (sources, targets) = parallel_sentences();
        let files = [
            ("train.xx", &sources[..1200]),
            ("train.en", &targets[..1200]),
            ("valid.xx", &sources[1200..1230]),
            ("valid.en", &targets[1200..1230]),
        ];
        let place = Self::with_pretrained(PRETRAINED.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let both = folder.path().join("both.txt");
            fs::write(&both, [&sources[..1200], &targets[..1200]].concat().concat()).unwrap();
            pretrain(&both, 150)
        }));
        for (name, lines) in files {
            place.write(name, &lines.concat());
        }
        let task = CONFIG.find("[task]").unwrap()..CONFIG.find("[train]").unwrap();
        place.write("c.toml", &format!("{}{TRANSLATION}{}", &CONFIG[..task.start], &CONFIG[task.end..]));
        place
    }

    fn with_pretrained(pretrained: &TempDir) -> Self {
        let place = Self::empty();
        fs::create_dir(place.path("pretrained")).unwrap();
        for entry in fs::read_dir(pretrained.path().join("bundle")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, place.path("pretrained").join(path.file_name().unwrap())).unwrap();
        }
        place
    }
}

/// The sentences of a small language, a line each, and what they mean in English. No sentence comes twice.
fn parallel_sentences() -> (Vec<String>, Vec<String>) {
    let colours = [("red", "rubo"), ("blue", "sinil"), ("old", "vamat"), ("small", "pikka"), ("wet", "loru")];
    let beasts = [
        ("cat", "Katu"),
        ("dog", "Hundi"),
        ("horse", "Ravam"),
        ("goose", "Anser"),
        ("mouse", "Misk"),
        ("bear", "Orsol"),
        ("fox", "Renik"),
    ];
    let deeds = [("sees", "vidas"), ("hears", "audis"), ("follows", "sekkit"), ("finds", "trovar"), ("likes", "amel")];
    let nouns = [("tree", "dendu"), ("river", "flumas"), ("house", "domek"), ("road", "vejo"), ("hill", "monti")];
    let count = colours.len() * beasts.len() * deeds.len() * nouns.len() * 2;
    let sentence = |index: usize| {
        // A step that has no divisor in common with the count visits all, in no simple order.
        let mut rest = index * 997 % count;
        let mut choose = |choices: usize| {
            let choice = rest % choices;
            rest /= choices;
            choice
        };
        let (colour, own_colour) = colours[choose(colours.len())];
        let (beast, own_beast) = beasts[choose(beasts.len())];
        let (deed, own_deed) = deeds[choose(deeds.len())];
        let (noun, own_noun) = nouns[choose(nouns.len())];
        if choose(2) == 0 {
            let english = format!("The {colour} {beast} {deed} the {noun}.\n");
            (format!("{own_beast} {own_colour} {own_noun} {own_deed}.\n"), english)
        } else {
            let english = format!("The {beast} {deed} the {colour} {noun}.\n");
            (format!("{own_beast} {own_noun} {own_colour} {own_deed}.\n"), english)
        }
    };
    (0..count).map(sentence).unzip()
}

/// Learns a little of the language of a file; the folder `bundle` of what is returned holds the model.
fn pretrain(file: &Path, steps: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let corpus = CorpusConfig {
        dir: folder.path().join("corpus"),
        train: vec![file.display().to_string()],
        valid_fraction: 0.1,
        ..CorpusConfig::default()
    };
    let tokenizer = TokenizerConfig { kind: TokenizerKind::ByteBpe, vocab_size: 500, ..TokenizerConfig::default() };
    prepare(&corpus, &tokenizer, 1, &ProgressBar::hidden()).unwrap();
    let corpus = Corpus::open(&corpus.dir).unwrap();
    let dropout = DropoutConfig { embedding: 0.0, input: 0.1, hidden: 0.1, weight: 0.1, output: 0.1 };
    let sizes = ModelConfig { embedding: 48, hidden: 64, layers: 2, dropout, ..ModelConfig::default() };
    let model = LanguageModel::new(&sizes, corpus.tokenizer.vocab_size() as i64, 1, Device::Cpu).unwrap();
    let split = |split| {
        let bytes = corpus.manifest.splits[&split].bytes;
        TokenSplit { stream: corpus.stream(split).unwrap().unwrap(), bytes }
    };
    let (training, valid) = (split(Split::Train), split(Split::Valid));
    let penalties = OutputPenalties::default();
    let batching = Batching { batch_size: 8, sequence_length: 20, seed: 1, penalties, compute: Compute::fp32() };
    let mut task =
        LanguageModelling::new(model, corpus.tokenizer, corpus.cleaner, &training, Some(valid), batching).unwrap();
    let config = TrainConfig {
        steps: Some(steps),
        learning_rate: 5e-3,
        precision: PrecisionSetting::Fp32,
        ..TrainConfig::default()
    };
    let run = folder.path().join("run");
    let run_folder = RunFolder::open(&run, Start::Fresh, &to_toml(&config).unwrap()).unwrap();
    let stop = StopFlag::new();
    let options = Options {
        seed: 1,
        stage: 0,
        config: &config,
        layers: LayerSettings::default(),
        provenance: Provenance::default(),
        stop: &stop,
        progress: false,
    };
    let Outcome::Finished { best, .. } = train(&mut task, &run_folder, &options).unwrap() else {
        panic!("nobody stops it")
    };
    fs::rename(best, folder.path().join("bundle")).unwrap();
    folder
}

const TRANSLATION: &str = r#"[task]
kind = "translation"
train = { source = ["train.xx"], target = ["train.en"] }
valid = { source = ["valid.xx"], target = ["valid.en"] }
test = { source = ["valid.xx"], target = ["valid.en"] }
hidden = 32
heads = 4
dropout = 0.1
beam = 3

"#;

const CONFIG: &str = r#"
[run]
dir = "model"
seed = 7
device = "cpu"
threads = 1

[finetune]
pretrained = "pretrained"

[task]
kind = "classification"
train = ["train.jsonl"]
valid = ["valid.jsonl"]
test = ["test.jsonl"]
dropout = 0.1

[train]
epochs = 8.0
batch_size = 16
sequence_length = 40
learning_rate = 5e-3
schedule = "linear"
precision = "fp32"
log_every = 10
checkpoint_every = 50
"#;

impl Workplace {
    /// Whether the results that are to be in `name` have been begun, and neither finished nor taken away.
    pub(crate) fn is_half_written(&self, name: &str) -> bool {
        let begun = format!(".{name}.");
        let mut files = fs::read_dir(self.path("")).unwrap();
        files.any(|file| file.unwrap().file_name().to_string_lossy().starts_with(&begun))
    }
}
