//! The config file.

use std::path::Path;

use grulm_cli::sections::Sections;
use grulm_config::{Invalid, Validate};
use grulm_tasks::{
    classification::ClassificationConfig,
    generation::{GenerationConfig, GenerationFormat},
    question_answering::QuestionAnsweringConfig,
    translation::TranslationConfig,
};
use grulm_train::{RunConfig, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::section::FinetuneSection;

/// A config file, section by section. Keys that are not in the file have defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FinetuneConfig {
    /// Where the run lies and what computes.
    pub(crate) run: RunConfig,
    /// What is fine-tuned, and how carefully.
    pub(crate) finetune: FinetuneSection,
    /// What is learned, and from which files.
    pub(crate) task: TaskConfig,
    /// How it is trained.
    pub(crate) train: TrainConfig,
}

/// `[task]`: the key `kind` says which keys there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum TaskConfig {
    /// A label for each text.
    Classification(ClassificationConfig),
    /// Text like that of the files, or completions of prompts.
    Generation(GenerationConfig),
    /// The same in another language.
    Translation(TranslationConfig),
    /// The part of a context that answers a question.
    QuestionAnswering(QuestionAnsweringConfig),
}

impl TaskConfig {
    /// The names of the files to learn from, to validate with and to test with.
    fn files(&self) -> [(&'static str, Vec<&String>); 3] {
        let [train, valid, test] = match self {
            Self::Classification(task) => [&task.train, &task.valid, &task.test].map(|files| files.iter().collect()),
            Self::Generation(task) => [&task.train, &task.valid, &task.test].map(|files| files.iter().collect()),
            Self::QuestionAnswering(task) => [&task.train, &task.valid, &task.test].map(|files| files.iter().collect()),
            Self::Translation(task) => [&task.train, &task.valid, &task.test].map(|files| files.names().collect()),
        };
        [("task.train", train), ("task.valid", valid), ("task.test", test)]
    }

    /// Warns of files that are named for two purposes, so that figures are better than the model.
    pub(crate) fn warn_of_repeated_files(&self) {
        let [train, valid, test] = self.files();
        for ((first, files), (second, others)) in [(&train, &valid), (&train, &test), (&valid, &test)] {
            if let Some(file) = others.iter().find(|file| files.contains(file)) {
                tracing::warn!("{second} names {file:?} as {first} does: its figures will be better than the model is");
            }
        }
    }
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self::Classification(ClassificationConfig::default())
    }
}

impl Validate for FinetuneConfig {
    fn validate(&self) -> Result<(), Invalid> {
        self.run.validate()?;
        self.finetune.validate()?;
        let validated = match &self.task {
            TaskConfig::Classification(task) => task.validate().map(|()| task.is_validated())?,
            TaskConfig::Generation(task) => task.validate().map(|()| task.is_validated())?,
            TaskConfig::Translation(task) => task.validate().map(|()| task.is_validated())?,
            TaskConfig::QuestionAnswering(task) => task.validate().map(|()| task.is_validated())?,
        };
        self.train.validate()?;
        self.check_stride()?;
        let allowed = "0, since there is no validation data (task.valid or task.valid_fraction)";
        let adapt = self.finetune.adapt.as_ref().map(|adapt| ("finetune.adapt.train.patience", &adapt.train));
        for (key, train) in [("train.patience", &self.train)].into_iter().chain(adapt) {
            Invalid::check(key, train.patience, validated || train.patience == 0, allowed)?;
        }
        self.check_penalties()?;
        let allowed = "not set: fine-tuning starts from finetune.pretrained";
        Invalid::check("train.init", &self.train.init, self.train.init.is_none(), allowed)
    }
}

impl FinetuneConfig {
    /// Windows of a long context are to leave nothing out.
    fn check_stride(&self) -> Result<(), Invalid> {
        let TaskConfig::QuestionAnswering(task) = &self.task else { return Ok(()) };
        let window = self.train.sequence_length;
        let allowed = format!("0 to train.sequence_length, {window}");
        Invalid::check("task.stride", task.stride, task.stride <= window, allowed)
    }

    /// What is for language modelling alone is refused where it would not count.
    fn check_penalties(&self) -> Result<(), Invalid> {
        let models_text = matches!(&self.task, TaskConfig::Generation(task) if task.format == GenerationFormat::Text);
        let TrainConfig { activation_l2, temporal_l2, .. } = self.train;
        for (key, weight) in [("activation_l2", activation_l2), ("temporal_l2", temporal_l2)] {
            let allowed = "0: it is for language modelling alone (in [finetune.adapt.train], say)";
            Invalid::check(format!("train.{key}"), weight, models_text || weight == 0.0, allowed)?;
        }
        let adapts = self.finetune.adapt.is_some() && !matches!(self.task, TaskConfig::Classification(_));
        Invalid::check("finetune.adapt", "a table", !adapts, "a table where task.kind is \"classification\"")
    }
}

impl Sections for FinetuneConfig {
    const INCIDENTAL: &'static [&'static str] = &[
        "finetune.pretrained",
        "finetune.adapt.text",
        "task.train",
        "task.valid",
        "task.test",
        "task.train.source",
        "task.train.target",
        "task.valid.source",
        "task.valid.target",
        "task.test.source",
        "task.test.target",
    ];

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
        Some(("finetune.pretrained", &self.finetune.pretrained))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "kind = 'classification', train = ['t.jsonl']";

    fn load(text: &str) -> Result<FinetuneConfig, String> {
        grulm_config::parse(Path::new("c.toml"), text, &["run.dir=r".to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let check = |finetune: &str, task: &str, rest: &str, expect: &str| {
            let text = format!("{rest}\nfinetune = {{ pretrained = 'm'{finetune} }}\ntask = {{ {task} }}");
            let found = load(&text).map(|_| ()).err().unwrap_or_default();
            assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{text}: {found:?}");
        };
        check("", TASK, "", "");
        check("", "kind = 'classification'", "", "`task.train`");
        check("", "kind = 'clasification', train = ['t']", "", "classification");
        check("", &format!("{TASK}, lable_field = 'x'"), "", "label_field");
        check("", &format!("{TASK}, tune_threshold = true"), "", "`task.tune_threshold`");
        check("", &format!("{TASK}, valid_fraction = 1.0"), "", "`task.valid_fraction`");
        check(", layer_decay = 0.0", TASK, "", "`finetune.layer_decay`");
        check(", from_scratch = true, freeze_layers = 1", TASK, "", "`finetune.freeze_layers`");
        check(", from_scratch = true, adapt = {}", TASK, "", "`finetune.from_scratch`");
        check(", adapt.train.steps = 0", TASK, "", "`finetune.adapt.train.steps` = 0");
        let asked = "kind = 'question_answering', train = ['t.json']";
        check("", asked, "", "");
        check("", &format!("{asked}, stride = 65"), "", "`task.stride` = 65: allowed: 0 to train.sequence_length, 64");
        check("", &format!("{asked}, unanswerable = true"), "", "`task.unanswerable`");
        check("", &format!("{asked}, valid_last = 9, valid_fraction = 0.1"), "", "`task.valid_last` = 9");
        check("", &format!("{asked}, units = 'letters'"), "", "characters");
        check("", &format!("{asked}, hidden = 0"), "", "`task.hidden` = 0");
        check(", dropout.input = 1.0", TASK, "", "`finetune.dropout.input`");
        check("", TASK, "train.patience = 2", "`train.patience`");
        check(", adapt.train.patience = 2", TASK, "", "`finetune.adapt.train.patience`");
        check(", adapt.train.patience = 2", &format!("{TASK}, valid_fraction = 0.1"), "", "");
        check("", TASK, "train.init = 'm'", "`train.init`");
        assert!(
            load("task = { kind = 'classification', train = ['t'] }").unwrap_err().contains("`finetune.pretrained`")
        );
    }

    #[test]
    fn translations_lie_in_rows_or_in_lines_beside_lines() {
        let check = |task: &str, expect: &str| {
            let text = format!("finetune = {{ pretrained = 'm' }}\ntask = {{ kind = 'translation', {task} }}");
            let found = load(&text);
            if let (Ok(config), "") = (&found, expect) {
                let resolved = grulm_config::to_toml(config).unwrap();
                assert_eq!(&load(&resolved).unwrap(), config, "{resolved}");
            }
            let found = found.map(|_| ()).err().unwrap_or_default();
            assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{text}: {found:?}");
        };
        check("train = ['t.jsonl'], valid = ['v.jsonl']", "");
        check("train = { source = ['t.de'], target = ['t.en'] }, test = ['t.csv']", "");
        check("train = []", "`task.train`");
        check("train = { source = ['t.de'] }", "`task.train.target`");
        check("train = ['t.jsonl'], test = { target = ['t.de'] }", "`task.test.source`");
        check("train = { source = ['t.de'], target = ['t.en'], third = [] }", "third");
        check("train = 't.jsonl'", "`task.train`");
        check("train = ['t.jsonl'], heads = 7", "`task.heads` = 7: allowed: a divisor of twice task.hidden: of 512");
        check("train = ['t.jsonl'], beam = 0", "`task.beam` = 0");
        check("train = ['t.jsonl'], label_smoothing = 1.0", "`task.label_smoothing`");
        check("train = ['t.jsonl'], source_field = ''", "`task.source_field`");
        check("train = ['t.jsonl'], bleu_tokenizer = '14a'", "13a");
    }

    #[test]
    fn what_the_format_does_not_read_is_refused() {
        let check = |task: &str, expect: &str| {
            let text =
                format!("finetune = {{ pretrained = 'm' }}\ntask = {{ kind = 'generation', train = ['t'], {task} }}");
            let found = load(&text).err().unwrap_or_default();
            assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{text}: {found:?}");
        };
        check("format = 'completion', prompt_field = 'p', completion_field = 'c'", "");
        check("format = 'completion', text_field = 't'", "`task.text_field` = \"t\"");
        check("format = 'completion', unit = 'file'", "`task.unit` = \"file\"");
        check("unit = 'file', text_field = 't'", "");
        check("completion_field = 'c'", "`task.completion_field` = \"c\"");
    }

    #[test]
    fn a_resolved_config_reads_back() {
        let text = format!(
            "finetune = {{ pretrained = 'm', unfreeze = 'gradual', dropout.input = 0.1, adapt.train.epochs = 1.0 }}\ntask = {{ {TASK} }}"
        );
        let config = load(&text).unwrap();
        let resolved = grulm_config::to_toml(&config).unwrap();
        assert_eq!(load(&resolved).unwrap(), config, "{resolved}");
    }
}
