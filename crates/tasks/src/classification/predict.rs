//! Labels for texts.

use grulm_kernels::Compute;
use rayon::prelude::*;
use tch::{Device, no_grad};

use super::{Classifier, ngrams::NgramModel, score};
use crate::{Bundle, Error, Text, TextBatch, buckets::longest_first};

/// What a classifier says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The label, as its place in the classifier's list.
    pub label: usize,
    /// The probability of each label, in the order of the list.
    pub probabilities: Vec<f64>,
}

/// Labels texts, in order, `batch_size` at a time.
///
/// # Errors
/// When the tokenizer refuses, or memory runs out.
pub fn predict(
    bundle: &Bundle<Classifier>,
    texts: &[Text],
    batch_size: usize,
    compute: Compute,
) -> Result<Vec<Prediction>, Error> {
    let classifier = &bundle.model;
    let calibration = classifier.settings().calibration;
    let Bundle { cleaner, tokenizer, .. } = bundle;
    let encode = |text: &Text| Ok(text.encode(cleaner, tokenizer)?.0);
    let tokens: Vec<Vec<u32>> = texts.par_iter().map(encode).collect::<Result<_, Error>>()?;
    let lengths: Vec<_> = tokens.iter().map(|tokens| u32::try_from(tokens.len()).unwrap_or(u32::MAX)).collect();
    let mut predictions: Vec<Option<Prediction>> = vec![None; texts.len()];
    for batch in longest_first(&lengths, batch_size) {
        let ids = |&text: &usize| tokens[text].iter().map(|&id| i64::from(id)).collect();
        let ids: Vec<Vec<i64>> = batch.iter().map(ids).collect();
        let ngrams = |model: &NgramModel| ids.iter().map(|ids| model.logits(ids, tokenizer)).collect();
        let ngrams: Option<Vec<_>> = classifier.ngrams().map(ngrams).transpose()?;
        let side_by_side = TextBatch::new(ids);
        let logits = no_grad(|| classifier.logits(&classifier.summaries(&side_by_side, None, compute)?, None))?;
        let network = Vec::<Vec<f32>>::try_from(logits.f_to_device(Device::Cpu)?)?;
        for (text, logits) in batch.into_iter().zip(score::mixtures(&network, ngrams.as_deref(), &calibration)) {
            let probabilities = calibration.probabilities(&logits);
            predictions[text] = Some(Prediction { label: calibration.decide(&probabilities), probabilities });
        }
    }
    // Every text is in one batch.
    Ok(predictions.into_iter().flatten().collect())
}
