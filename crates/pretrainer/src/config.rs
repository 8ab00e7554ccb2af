//! The config file.

use std::path::{self, Path};

use grulm_cli::sections::Sections;
use grulm_config::{Invalid, Validate};
use grulm_corpus::{Cleaner, CorpusConfig, Filter, TokenizerConfig};
use grulm_model::ModelConfig;
use grulm_train::{RunConfig, TrainConfig};
use serde::{Deserialize, Serialize};

/// A config file, section by section. Keys that are not in the file have defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PretrainConfig {
    /// Where the run lies and what computes.
    pub(crate) run: RunConfig,
    /// Which text, and what happens to it.
    pub(crate) corpus: CorpusConfig,
    /// How text becomes tokens.
    pub(crate) tokenizer: TokenizerConfig,
    /// Sizes of the model.
    pub(crate) model: ModelConfig,
    /// How it is trained.
    pub(crate) train: TrainConfig,
}

impl Validate for PretrainConfig {
    fn validate(&self) -> Result<(), Invalid> {
        self.run.validate()?;
        self.corpus.validate()?;
        let CorpusConfig { clean, filter, unit, text_field, encoding, .. } = &self.corpus;
        settings_of(Cleaner::new(clean, *unit, text_field, encoding))?;
        settings_of(Filter::new(filter))?;
        self.tokenizer.validate()?;
        self.model.validate()?;
        self.check_hidden()?;
        self.train.validate()?;
        self.check_folders()?;
        self.check_patience()
    }
}

impl Sections for PretrainConfig {
    /// Of the corpus and its inputs, content counts, which [`Previous::check_corpus`] compares, and not the names.
    ///
    /// [`Previous::check_corpus`]: grulm_cli::previous::Previous::check_corpus
    const INCIDENTAL: &'static [&'static str] =
        &["corpus.dir", "corpus.train", "corpus.valid", "corpus.test", "tokenizer.file"];

    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn train(&self) -> &TrainConfig {
        &self.train
    }

    fn train_mut(&mut self) -> &mut TrainConfig {
        &mut self.train
    }

    fn starts_from(&self) -> Option<(&'static str, &Path)> {
        self.train.init.as_deref().map(|init| ("train.init", init))
    }
}

impl PretrainConfig {
    /// Run and corpus folder are each replaced as a whole, so neither may hold the other.
    fn check_folders(&self) -> Result<(), Invalid> {
        let (run, corpus) = (&self.run.dir, &self.corpus.dir);
        // However they are spelled; a path that cannot be completed stays as it is.
        let [whole_run, whole_corpus] = [run, corpus].map(|dir| path::absolute(dir).unwrap_or_else(|_| dir.clone()));
        let apart = !whole_run.starts_with(&whole_corpus) && !whole_corpus.starts_with(&whole_run);
        Invalid::check(
            "run.dir",
            run,
            apart,
            format!("a folder that neither is nor holds `corpus.dir` = {corpus:?}, nor lies in it"),
        )
    }

    /// A layer that is the last one is as wide as the embedding where the weights are tied, whatever `hidden` says.
    fn check_hidden(&self) -> Result<(), Invalid> {
        let ModelConfig { embedding, hidden, layers, .. } = self.model;
        let allowed = format!(
            "{embedding}, the width of the embedding, since weights are tied and there is one layer (`model.projection` = true \
             allows any)"
        );
        Invalid::check("model.hidden", hidden, layers > 1 || self.model.widths(0).1 == hidden, allowed)
    }

    fn check_patience(&self) -> Result<(), Invalid> {
        let validated = !self.corpus.valid.is_empty() || self.corpus.valid_fraction > 0.0;
        let allowed = "0, since there is no validation text (corpus.valid or corpus.valid_fraction)";
        Invalid::check("train.patience", self.train.patience, validated || self.train.patience == 0, allowed)
    }
}

/// Of the errors of a constructor only those about settings; what concerns files shows when they are read.
fn settings_of<T>(made: Result<T, grulm_corpus::Error>) -> Result<(), Invalid> {
    match made {
        Err(grulm_corpus::Error::Config(invalid)) => Err(invalid),
        _ => Ok(()),
    }
}

/// Loads a config file, with changes from the command line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn load(path: &Path, sets: &[String]) -> Result<PretrainConfig, grulm_config::Error> {
    grulm_config::load(path, sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_exclude_each_other_are_named() {
        let check = |text: &str, expect: &str| {
            let text = format!("run.dir = 'runs/a/model'\n{text}");
            let found = grulm_config::parse::<PretrainConfig>(Path::new("c.toml"), &text, &[]).map(|_| ());
            let found = found.map_err(|error| error.to_string()).err().unwrap_or_default();
            assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{text}: {found:?}");
        };
        check("corpus = { dir = 'runs/a/corpus', train = ['t'] }", "");
        check("corpus = { dir = 'runs/a', train = ['t'] }", "`run.dir`");
        check("corpus = { dir = 'runs/a/model', train = ['t'] }", "`run.dir`");
        check("corpus = { dir = 'runs/a/model/corpus', train = ['t'] }", "`run.dir`");
        check("corpus = { dir = './runs/./a', train = ['t'] }", "`run.dir`");
        let whole = path::absolute("runs/a").unwrap();
        check(&format!("corpus = {{ dir = {whole:?}, train = ['t'] }}"), "`run.dir`");
        check("corpus = { dir = 'c', train = ['t'] }\ntrain.patience = 2", "`train.patience` = 2");
        check("corpus = { dir = 'c', train = ['t'], valid_fraction = 0.1 }\ntrain.patience = 2", "");
        let one_layer = "corpus = { dir = 'c', train = ['t'] }\nmodel = { layers = 1";
        check(&format!("{one_layer} }}"), "`model.hidden` = 512: allowed: 256");
        check(&format!("{one_layer}, hidden = 256 }}"), "");
        check(&format!("{one_layer}, projection = true }}"), "");
        check(&format!("{one_layer}, tie_weights = false }}"), "");
        check("corpus = { dir = 'c', train = ['t'], clean.stop_words = 'klingon' }", "stop_words");
        check("corpus = { dir = 'c', train = ['t'], filter.language = 'xxx' }", "language");
    }
}
