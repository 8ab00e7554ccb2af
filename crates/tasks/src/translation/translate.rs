//! Translations of texts.

use std::path::PathBuf;

use grulm_corpus::{Cleaner, Tokenizer};
use grulm_kernels::Compute;
use rayon::prelude::*;
use tch::Device;

use super::{Hypothesis, ROOM, Search, Translator, TranslatorSettings, search};
use crate::{Bundle, Error, Text, TextBatch, buckets::longest_first_within};

/// Models that translate together: the mean of their probabilities counts.
#[derive(Debug)]
pub struct Ensemble {
    bundles: Vec<Bundle<Translator>>,
}

/// A translation.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// The text.
    pub text: String,
    /// Its log probability, in nats, by its length ([`Search`]).
    pub score: f64,
    /// Whether the models ended it, not the limit of its length.
    pub ended: bool,
}

impl Ensemble {
    /// Opens the bundles in these folders, of which there is one at least.
    ///
    /// # Errors
    /// When one is no translator, is damaged, or has another tokenizer or cleaning than the first.
    pub fn open(folders: &[PathBuf], device: Device) -> Result<Self, Error> {
        let bundles: Vec<Bundle<Translator>> =
            folders.iter().map(|folder| Bundle::open(folder, device)).collect::<Result<_, _>>()?;
        for (folder, bundle) in folders.iter().zip(&bundles) {
            let hashes = |bundle: &Bundle<Translator>| (bundle.tokenizer.hash().to_owned(), bundle.cleaner.hash());
            if hashes(bundle) != hashes(&bundles[0]) {
                let reason = format!(
                    "another tokenizer or cleaning than that of {}, so the two cannot translate together",
                    folders[0].display()
                );
                return Err(Error::Bundle { path: folder.clone(), reason });
            }
        }
        Ok(Self { bundles })
    }

    /// The settings of the first model, which count for all.
    #[must_use]
    pub fn settings(&self) -> &TranslatorSettings {
        self.bundles[0].model.settings()
    }

    /// The first model.
    #[must_use]
    pub fn first(&self) -> &Bundle<Translator> {
        &self.bundles[0]
    }

    /// Translates texts, in order, `batch_size` side by side. A text that cleaning leaves empty has an empty translation.
    ///
    /// # Errors
    /// When the tokenizer refuses, or memory runs out.
    pub fn translate(
        &self,
        texts: &[String],
        by: &Search,
        batch_size: usize,
        compute: Compute,
    ) -> Result<Vec<Translated>, Error> {
        let Bundle { tokenizer, cleaner, .. } = &self.bundles[0];
        let models: Vec<_> = self.bundles.iter().map(|bundle| &bundle.model).collect();
        let sources = encode(texts, cleaner, tokenizer)?;
        let lengths: Vec<_> = sources.iter().map(Vec::len).collect();
        translate(&models, tokenizer, &lengths, |text| sources[text].clone(), by, batch_size, compute)
    }
}

fn encode(texts: &[String], cleaner: &Cleaner, tokenizer: &Tokenizer) -> Result<Vec<Vec<i64>>, Error> {
    let encode = |text: &String| {
        let (tokens, _) = Text { text: text.clone(), pair: None }.encode(cleaner, tokenizer)?;
        Ok(tokens.into_iter().map(i64::from).collect())
    };
    texts.par_iter().map(encode).collect()
}

/// Translates the texts whose tokens, `<eos>` at both ends, `tokens` gives by their number, in order.
pub(super) fn translate(
    models: &[&Translator],
    tokenizer: &Tokenizer,
    lengths: &[usize],
    tokens: impl Fn(usize) -> Vec<i64>,
    by: &Search,
    batch_size: usize,
    compute: Compute,
) -> Result<Vec<Translated>, Error> {
    let nothing = Translated { text: String::new(), score: 0.0, ended: true };
    let mut translated = vec![nothing; lengths.len()];
    let full: Vec<usize> = (0..lengths.len()).filter(|&text| lengths[text] > super::EMPTY).collect();
    let counts: Vec<_> = full.iter().map(|&text| u32::try_from(lengths[text]).unwrap_or(u32::MAX)).collect();
    for batch in longest_first_within(&counts, batch_size, ROOM * batch_size as u64) {
        let sources = TextBatch::new(batch.iter().map(|&text| tokens(full[text])).collect());
        let found = search::search(models, tokenizer, &sources, by, compute)?;
        for (text, Hypothesis { tokens, score, ended }) in batch.into_iter().zip(found) {
            let text_of = tokenizer.decode(&tokens)?.trim().to_owned();
            translated[full[text]] = Translated { text: text_of, score, ended };
        }
    }
    Ok(translated)
}
