//! A linear model over the n-grams of a text, which votes beside the network.
//!
//! Networks read order and context; a table of n-grams remembers names and turns of phrase that a few thousand examples never
//! teach a network. The two err on different texts, so that a mixture is better than either (Mesnil et al., "Ensemble of
//! generative and discriminative techniques for sentiment analysis of movie reviews", arXiv 1412.5335).

use std::borrow::Cow;

use grulm_corpus::Tokenizer;
use grulm_model::{Params, Site};
use tch::Tensor;

use super::{LabelledTexts, ngram_features::NgramLengths};
use crate::{Error, buckets::permutation};

/// The most labels of a classifier with a model of n-grams: of more, its table outgrows the network by far.
pub const MOST_NGRAM_LABELS: usize = 256;
/// What the loss of each text weighs against half the squared norm of the weights, as LIBLINEAR's C.
const COST: f32 = 30.0;
/// Passes over the examples: short of the solution, which overfits what few texts have.
const PASSES: u64 = 30;
/// Features that stay in memory while learning; those of further texts are found again in each pass.
const MOST_KEPT: usize = 32 << 20;

/// Multinomial logistic regression over n-grams.
#[derive(Debug)]
pub(super) struct NgramModel {
    lengths: NgramLengths,
    /// `[C, S]`, S the slots of the n-grams.
    weight: Tensor,
}

/// The features of texts, as far as memory may hold them.
struct Features<'a> {
    lengths: NgramLengths,
    texts: &'a LabelledTexts,
    tokenizer: &'a Tokenizer,
    kept: Vec<Vec<(u32, f32)>>,
}

impl<'a> Features<'a> {
    fn new(lengths: NgramLengths, texts: &'a LabelledTexts, tokenizer: &'a Tokenizer) -> Result<Self, Error> {
        let mut features = Self { lengths, texts, tokenizer, kept: Vec::new() };
        let mut room = MOST_KEPT;
        for text in 0..texts.labels.len() {
            let of_text = features.of(text)?.into_owned();
            let Some(left) = room.checked_sub(of_text.len()) else { break };
            room = left;
            features.kept.push(of_text);
        }
        Ok(features)
    }

    fn of(&self, text: usize) -> Result<Cow<'_, [(u32, f32)]>, Error> {
        match self.kept.get(text) {
            Some(kept) => Ok(kept.into()),
            None => Ok(self.lengths.features(&self.texts.examples.tokens(text), self.tokenizer)?.into()),
        }
    }

    /// What the values of each slot are multiplied by while learning. Rare n-grams say more (Spärck Jones 1972), and so do those
    /// that the texts of one label have more often than the others: by the logarithm of how often, as in Wang and Manning,
    /// "Baselines and bigrams" (ACL 2012), here of the label that it is largest for, and its root, since few texts tell little
    /// about it. Scaled so that the root mean square of the texts' lengths is 1.
    fn importance(&self, classes: usize) -> Result<Vec<f32>, Error> {
        let count = self.texts.labels.len();
        let mut texts_of = vec![0f32; classes];
        let mut found = vec![0f32; self.lengths.slots() * classes];
        for (text, &label) in self.texts.labels.iter().enumerate() {
            texts_of[label as usize] += 1.0;
            self.of(text)?.iter().for_each(|&(slot, _)| found[slot as usize * classes + label as usize] += 1.0);
        }
        let scale = |found: &[f32]| {
            let all: f32 = found.iter().sum();
            let rarity = 1.0 + ((1.0 + count as f32) / (1.0 + all)).ln();
            let log_share = |found: f32, texts: f32| ((found + 1.0) / (texts + 2.0)).ln();
            let ratios = found
                .iter()
                .zip(&texts_of)
                .map(|(&own, &texts)| (log_share(own, texts) - log_share(all - own, count as f32 - texts)).abs());
            rarity * ratios.fold(0.0, f32::max).sqrt()
        };
        let mut scales: Vec<f32> = found.chunks(classes).map(scale).collect();
        let mut squares = 0.0;
        for text in 0..count {
            let scaled = |&(slot, value): &(u32, f32)| f64::from(value * scales[slot as usize]).powi(2);
            squares += self.of(text)?.iter().map(scaled).sum::<f64>();
        }
        let mean = (squares / count.max(1) as f64).sqrt() as f32;
        // Where nothing tells labels apart, all are 0.
        if mean > 0.0 {
            scales.iter_mut().for_each(|scale| *scale /= mean);
        }
        Ok(scales)
    }
}

impl NgramModel {
    /// A model that knows nothing yet.
    pub(super) fn new(params: &mut Params, lengths: NgramLengths, labels: usize) -> Result<Self, Error> {
        Ok(Self { lengths, weight: params.add_fixed("ngrams.weight", &[labels as i64, lengths.slots() as i64])? })
    }

    /// Whether any of its weights is other than zero.
    pub(super) fn has_learned(&self) -> bool {
        self.weight.f_count_nonzero(None).is_ok_and(|count| count.int64_value(&[]) > 0)
    }

    /// The logits of each text's labels, `[C]`.
    pub(super) fn logits(&self, tokens: &[i64], tokenizer: &Tokenizer) -> Result<Vec<f32>, Error> {
        let features = self.lengths.features(tokens, tokenizer)?;
        let (slots, values): (Vec<i64>, Vec<f32>) =
            features.into_iter().map(|(slot, value)| (i64::from(slot), value)).unzip();
        let (slots, values) = (Tensor::f_from_slice(&slots)?, Tensor::f_from_slice(&values)?);
        Ok(Vec::try_from(self.weight.f_index_select(1, &slots)?.f_mv(&values)?)?)
    }

    /// Learns from all texts, those of label c weighing `class_weights[c]`.
    pub(super) fn fit(
        &self,
        texts: &LabelledTexts,
        tokenizer: &Tokenizer,
        class_weights: &[f32],
        seed: u64,
    ) -> Result<(), Error> {
        self.ascend(texts, tokenizer, class_weights, seed, PASSES)
    }

    /// Stochastic dual coordinate ascent (Shalev-Shwartz and Zhang, arXiv 1211.2717), which has no rate to choose. Memory holds a
    /// number for each text and label, and [`MOST_KEPT`] features.
    fn ascend(
        &self,
        texts: &LabelledTexts,
        tokenizer: &Tokenizer,
        class_weights: &[f32],
        seed: u64,
        passes: u64,
    ) -> Result<(), Error> {
        let (classes, count) = (class_weights.len(), texts.labels.len());
        let all = Features::new(self.lengths, texts, tokenizer)?;
        let scales = all.importance(classes)?;
        let mut weights = vec![0f32; self.lengths.slots() * classes];
        let mut duals = vec![0f32; count * classes];
        let mut change = vec![0f32; classes];
        for pass in 0..passes {
            for text in permutation(count, Site::new(seed).named("n-grams").at(pass)) {
                let scaled = |&(slot, value): &(u32, f32)| (slot, value * scales[slot as usize]);
                let features: Vec<_> = all.of(text)?.iter().map(scaled).collect();
                let label = texts.labels[text] as usize;
                let cost = COST * class_weights[label];
                let norm: f32 = features.iter().map(|(_, value)| value * value).sum();
                change.fill(0.0);
                for &(slot, value) in &features {
                    let row = &weights[slot as usize * classes..][..classes];
                    change.iter_mut().zip(row).for_each(|(logit, weight)| *logit += weight * value);
                }
                softmax(&mut change);
                // Cannot overshoot, as the loss curves by a half at most in any direction.
                let step = 2.0 / (2.0 + cost * norm);
                let dual = &mut duals[text * classes..][..classes];
                for (class, (change, dual)) in change.iter_mut().zip(dual).enumerate() {
                    *change = step * (f32::from(class == label) - *change - *dual);
                    *dual += *change;
                }
                for &(slot, value) in &features {
                    let row = &mut weights[slot as usize * classes..][..classes];
                    row.iter_mut().zip(&change).for_each(|(weight, change)| *weight += cost * value * change);
                }
            }
        }
        for (row, scale) in weights.chunks_mut(classes).zip(&scales) {
            row.iter_mut().for_each(|weight| *weight *= scale);
        }
        let learned = Tensor::f_from_slice(&weights)?.f_view([-1, classes as i64])?.f_tr()?;
        tch::no_grad(|| self.weight.shallow_clone().f_copy_(&learned))?;
        Ok(())
    }
}

fn softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|power| *power /= sum);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use grulm_corpus::{CleanConfig, Cleaner, Tokenizer, TokenizerConfig, TokenizerKind, Unit};
    use tch::Device;

    use super::*;
    use crate::{ExamplesWriter, Framing, Text};

    fn tokenizer() -> Tokenizer {
        let config = TokenizerConfig { kind: TokenizerKind::Char, vocab_size: 20, ..TokenizerConfig::default() };
        Tokenizer::train(&config, &["abcd".to_owned()]).unwrap()
    }

    fn labelled(texts: &[(&str, u32)]) -> LabelledTexts {
        let tokenizer = tokenizer();
        let cleaner = Cleaner::new(&CleanConfig::default(), Unit::Line, "text", "utf-8").unwrap();
        let mut writer = ExamplesWriter::new(&cleaner, &tokenizer, Framing::Around).unwrap();
        for (text, _) in texts {
            writer.push(Text { text: (*text).to_owned(), pair: None }).unwrap();
        }
        LabelledTexts { examples: writer.finish().unwrap(), labels: texts.iter().map(|(_, label)| *label).collect() }
    }

    fn of_tokens(longest: usize) -> NgramLengths {
        NgramLengths { tokens: longest, characters: 0 }
    }

    fn fitted(texts: &LabelledTexts, lengths: NgramLengths, class_weights: &[f32], passes: u64) -> NgramModel {
        let model = NgramModel::new(&mut Params::to_load(Device::Cpu), lengths, class_weights.len()).unwrap();
        model.ascend(texts, &tokenizer(), class_weights, 1, passes).unwrap();
        model
    }

    #[test]
    fn many_passes_reach_the_optimum() {
        // texts = [[0, 3, 0], [0, 3, 0], [0, 3, 4, 0], [0, 4, 0], [0, 4, 4, 4, 5, 0]] in which 0 is <eos>
        // y = np.array([0, 0, 1, 1, 2]); c = np.array([1, 1, 2]); columns = [0, 3, 4, 5]
        // X = np.array([[1 + np.log(t.count(w)) if w in t else 0 for w in columns] for t in texts])
        // X /= np.linalg.norm(X, axis=1, keepdims=True); D = X > 0; idf = 1 + np.log(6 / (1 + D.sum(0)))
        // share = lambda own: (D[own].sum(0) + 1) / (own.sum() + 2)
        // s = idf * np.sqrt(np.max([abs(np.log(share(y == k) / share(y != k))) for k in range(3)], axis=0))
        // Z = X * s / np.sqrt(((X * s) ** 2).sum(1).mean())
        // f = lambda w: (w ** 2).sum() / 2 - 30 * (c[y] * log_softmax(Z @ w.reshape(4, 3), axis=1)[range(5), y]).sum()
        // w = minimize(f, np.zeros(12), method="BFGS", options=dict(gtol=1e-9, maxiter=10000)).x.reshape(4, 3); Z @ w
        const EXPECTED: [[f32; 3]; 4] =
            [[1.97, -0.2846, -1.6854], [-0.4079, 1.5331, -1.1252], [-1.873, 2.0423, -0.1693], [-3.1948, 0.201, 2.9938]];
        let texts = labelled(&[("a", 0), ("a", 0), ("ab", 1), ("b", 1), ("bbbc", 2)]);
        let model = fitted(&texts, of_tokens(1), &[1.0, 1.0, 2.0], 3000);
        for (text, expected) in [0, 2, 3, 4].into_iter().zip(EXPECTED) {
            let found = model.logits(&texts.examples.tokens(text), &tokenizer()).unwrap();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-3, "text {text}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn pairs_tell_what_single_tokens_cannot() {
        let texts = labelled(&[("ab", 0), ("ba", 1)]);
        let margin = |lengths| {
            let model = fitted(&texts, lengths, &[1.0; 2], PASSES);
            let logits = model.logits(&texts.examples.tokens(0), &tokenizer()).unwrap();
            logits[0] - logits[1]
        };
        let single = margin(of_tokens(1)).abs();
        for lengths in [of_tokens(2), NgramLengths { tokens: 0, characters: 2 }] {
            assert!(margin(lengths) > 10.0 * single, "{lengths:?}: {} after {single}", margin(lengths));
        }
    }

    #[test]
    fn a_saved_model_says_the_same() {
        let texts = labelled(&[("ab", 0), ("ba", 1)]);
        let mut params = Params::to_load(Device::Cpu);
        let model = NgramModel::new(&mut params, of_tokens(2), 2).unwrap();
        model.fit(&texts, &tokenizer(), &[1.0; 2], 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("model.safetensors");
        params.save(path, grulm_model::WeightFormat::Fp32).unwrap();
        let mut others = Params::to_load(Device::Cpu);
        let other = NgramModel::new(&mut others, of_tokens(2), 2).unwrap();
        others.load(path).unwrap();
        let of = |model: &NgramModel| model.logits(&texts.examples.tokens(1), &tokenizer()).unwrap();
        assert_eq!(of(&model), of(&other));
        assert_eq!(
            (params.iter().count(), params.fixed().map(|(_, tensor)| tensor.numel()).sum()),
            (0, params.count())
        );
    }
}
