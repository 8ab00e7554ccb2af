//! A config of the shape that the binaries have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use grulm_config::{Error, Invalid, Validate};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) run: Run,
    pub(crate) corpus: Corpus,
    pub(crate) model: Model,
    pub(crate) train: Train,
    pub(crate) task: Option<Task>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Corpus {
    pub(crate) train: Vec<String>,
    pub(crate) language: Option<String>,
    pub(crate) weights: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) direction: Direction,
    pub(crate) hidden: Sizes,
    pub(crate) dropout: Dropout,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dropout {
    pub(crate) hidden: f64,
    pub(crate) scale: f32,
}

/// An enum without a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "one size, or one for each layer")]
pub(crate) enum Sizes {
    All(usize),
    Each(Vec<usize>),
}

impl Default for Sizes {
    fn default() -> Self {
        Self::All(650)
    }
}

/// A type with a parser of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(pub(crate) String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        if name.contains(' ') { Err("a name without spaces is needed") } else { Ok(Self(name)) }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    #[default]
    Forward,
    Backward,
    Both,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Train {
    pub(crate) batch_size: usize,
    pub(crate) learning_rate: f64,
    pub(crate) budget: Option<String>,
    pub(crate) tie_weights: bool,
    pub(crate) offset: i32,
    pub(crate) init: Name,
    pub(crate) schedule: Schedule,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Schedule {
    #[default]
    Constant,
    Cosine {
        floor: f64,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Task {
    Classification { labels: usize, text: String },
    Translation { beam: usize },
}

impl Default for Train {
    fn default() -> Self {
        Self {
            batch_size: 32,
            learning_rate: 1e-3,
            budget: None,
            tie_weights: true,
            offset: 0,
            init: Name::default(),
            schedule: Schedule::Constant,
        }
    }
}

impl Validate for Config {
    fn validate(&self) -> Result<(), Invalid> {
        Invalid::check_range("train.batch_size", self.train.batch_size, 1..=1024)?;
        Invalid::check_range("train.learning_rate", self.train.learning_rate, 0.0..10.0)?;
        for (index, text) in self.corpus.train.iter().enumerate() {
            Invalid::check(format!("corpus.train[{index}]"), text, !text.is_empty(), "a file, folder or glob")?;
        }
        let fits = self.model.direction != Direction::Both || self.train.tie_weights;
        Invalid::check("train.tie_weights", self.train.tie_weights, fits, "true with model.direction = \"both\"")
    }
}

pub(crate) fn parse(text: &str, sets: &[&str]) -> Result<Config, Error> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    grulm_config::parse("a.toml".as_ref(), text, &sets)
}
