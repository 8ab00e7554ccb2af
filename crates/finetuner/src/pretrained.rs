//! The language model that fine-tuning starts from.

use std::path::{Path, PathBuf};

use grulm_config::Invalid;
use grulm_corpus::{Cleaner, Tokenizer};
use grulm_model::LanguageModel;
use grulm_tasks::{
    Bundle,
    bundle::{locate, weights_sha256},
};
use tch::Device;

use crate::config::FinetuneSection;

/// A pretrained model, opened.
pub(crate) struct Pretrained {
    /// Its bundle.
    pub(crate) folder: PathBuf,
    /// SHA-256 of its weights.
    pub(crate) sha256: String,
    pub(crate) model: LanguageModel,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) cleaner: Cleaner,
}

impl Pretrained {
    /// Opens what `finetune.pretrained` names.
    ///
    /// # Errors
    /// When it is no language model, or damaged.
    pub(crate) fn open(section: &FinetuneSection, device: Device) -> anyhow::Result<Self> {
        let refuse = |error: grulm_tasks::Error| {
            Invalid::new("finetune.pretrained", &section.pretrained, format!("a language model; {error}"))
        };
        let folder = locate(&section.pretrained).map_err(refuse)?;
        Self::of(&folder, device).map_err(|error| refuse(error).into())
    }

    /// Opens the bundle in `folder`.
    ///
    /// # Errors
    /// When it is no language model, or damaged.
    pub(crate) fn of(folder: &Path, device: Device) -> Result<Self, grulm_tasks::Error> {
        let Bundle { model, tokenizer, cleaner, .. } = Bundle::<LanguageModel>::open(folder, device)?;
        Ok(Self { folder: folder.to_owned(), sha256: weights_sha256(folder)?, model, tokenizer, cleaner })
    }
}
