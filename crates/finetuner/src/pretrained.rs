//! The model that fine-tuning starts from.

use grulm_config::Invalid;
use grulm_model::LanguageModel;
use grulm_tasks::{
    BundleModel as _, bundle::Basis, classification::Classifier, generation::Completer, question_answering::Answerer,
};

use crate::{config::TaskConfig, section::FinetuneSection};

/// Bundles that hold a language model.
const LANGUAGE_MODELS: [&str; 2] = [LanguageModel::KIND, Completer::KIND];
/// Bundles whose encoder is that of a language model, further trained.
const ENCODERS: [&str; 4] = [LanguageModel::KIND, Completer::KIND, Classifier::KIND, Answerer::KIND];

/// Opens what `finetune.pretrained` names: everything but the weights, which are whole.
///
/// # Errors
/// When it is no model that `task` can start from, or damaged.
pub(crate) fn open(section: &FinetuneSection, task: &TaskConfig) -> anyhow::Result<Basis> {
    let refuse = |allowed: String| Invalid::new("finetune.pretrained", &section.pretrained, allowed);
    let basis = Basis::open(&section.pretrained).map_err(|error| refuse(format!("a pretrained model; {error}")))?;
    let reads = matches!(task, TaskConfig::Classification(_) | TaskConfig::QuestionAnswering(_));
    let allowed: &[&str] = if reads && section.adapt.is_none() { &ENCODERS } else { &LANGUAGE_MODELS };
    if !allowed.contains(&basis.kind.as_str()) {
        return Err(refuse(format!("a model of kind {}; it is of kind {:?}", allowed.join(", "), basis.kind)).into());
    }
    Ok(basis)
}
