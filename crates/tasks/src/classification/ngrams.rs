//! A linear model over the n-grams of a text's tokens, which votes beside the network.
//!
//! Networks read order and context; a table of n-grams remembers names and turns of phrase that a few thousand examples never
//! teach a network. The two err on different texts, so that a mixture is better than either (Mesnil et al., "Ensemble of
//! generative and discriminative techniques for sentiment analysis of movie reviews", arXiv 1412.5335).

use grulm_model::{Params, Site};
use tch::{Device, Tensor};

use super::LabelledTexts;
use crate::{Error, buckets::permutation};

/// The longest n-grams that a model reads.
pub(super) const LONGEST: usize = 8;
/// The most labels of a classifier with a model of n-grams: of more, its table outgrows the network by far.
pub const MOST_NGRAM_LABELS: usize = 256;
/// Numbers that n-grams are hashed to (Weinberger et al., "Feature hashing for large scale multitask learning", arXiv 0902.2206).
const SLOTS: i64 = 1 << 18;
/// What the loss of each text weighs against half the squared norm of the weights, as LIBLINEAR's C.
const COST: f32 = 30.0;
/// Passes over the examples: short of the solution, which has learned by heart what few texts have.
const PASSES: u64 = 30;

/// Multinomial logistic regression over the n-grams of tokens, up to some length.
#[derive(Debug)]
pub(super) struct NgramModel {
    longest: usize,
    /// `[C, SLOTS]`.
    weight: Tensor,
}

impl NgramModel {
    /// Numbers in the weights of a model for `labels` labels.
    pub(super) fn weight_count(labels: usize) -> u64 {
        SLOTS.unsigned_abs() * labels as u64
    }

    /// A model that knows nothing yet.
    pub(super) fn new(params: &mut Params, longest: usize, labels: usize) -> Self {
        Self { longest, weight: params.add_fixed("ngrams.weight", &[labels as i64, SLOTS]) }
    }

    /// The logits of each text's labels, `[C]`.
    pub(super) fn logits(&self, tokens: &[i64]) -> Result<Vec<f32>, Error> {
        let (slots, values): (Vec<i64>, Vec<f32>) =
            features(tokens, self.longest).into_iter().map(|(slot, value)| (slot as i64, value)).unzip();
        let device = self.weight.device();
        let slots = Tensor::f_from_slice(&slots)?.f_to_device(device)?;
        let values = Tensor::f_from_slice(&values)?.f_to_device(device)?;
        let logits = self.weight.f_index_select(1, &slots)?.f_mv(&values)?;
        Ok(Vec::try_from(logits.f_to_device(Device::Cpu)?)?)
    }

    /// Learns from all texts, those of label c weighing `class_weights[c]`.
    pub(super) fn fit(&self, texts: &LabelledTexts, class_weights: &[f32], seed: u64) -> Result<(), Error> {
        self.ascend(texts, class_weights, seed, PASSES)
    }

    /// Stochastic dual coordinate ascent (Shalev-Shwartz and Zhang, arXiv 1211.2717), which has no rate to choose. Memory holds a
    /// number for each text and label.
    fn ascend(&self, texts: &LabelledTexts, class_weights: &[f32], seed: u64, passes: u64) -> Result<(), Error> {
        let (classes, count) = (class_weights.len(), texts.labels.len());
        let scales = self.rarity(texts);
        let mut weights = vec![0f32; SLOTS as usize * classes];
        let mut duals = vec![0f32; count * classes];
        let mut change = vec![0f32; classes];
        for pass in 0..passes {
            for text in permutation(count, Site::new(seed).named("n-grams").at(pass)) {
                let mut features = features(&texts.examples.tokens(text), self.longest);
                for (slot, value) in &mut features {
                    *value *= scales[*slot as usize];
                }
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
        let learned = Tensor::f_from_slice(&weights)?.f_view([SLOTS, classes as i64])?.f_tr()?;
        tch::no_grad(|| self.weight.shallow_clone().f_copy_(&learned))?;
        Ok(())
    }

    /// What the values of each slot are multiplied by while learning: rare n-grams say more (Spärck Jones 1972). Scaled so that
    /// the root mean square of the texts' lengths is 1.
    fn rarity(&self, texts: &LabelledTexts) -> Vec<f32> {
        let count = texts.labels.len();
        let of = |text| features(&texts.examples.tokens(text), self.longest);
        let mut found = vec![0f32; SLOTS as usize];
        for text in 0..count {
            of(text).iter().for_each(|&(slot, _)| found[slot as usize] += 1.0);
        }
        let mut scales: Vec<f32> =
            found.iter().map(|found| 1.0 + ((1.0 + count as f32) / (1.0 + found)).ln()).collect();
        let squares = (0..count).flat_map(of).map(|(slot, value)| f64::from(value * scales[slot as usize]).powi(2));
        let mean = (squares.sum::<f64>() / count.max(1) as f64).sqrt().max(f64::MIN_POSITIVE) as f32;
        scales.iter_mut().for_each(|scale| *scale /= mean);
        scales
    }
}

/// The slots of a text's n-grams, in order, with logarithms of their counts; of unit length. Saved models depend on the hash.
fn features(tokens: &[i64], longest: usize) -> Vec<(u32, f32)> {
    let mut slots = Vec::with_capacity(tokens.len() * longest);
    for start in 0..tokens.len() {
        let mut site = Site::new(0);
        for &token in tokens[start..].iter().take(longest) {
            site = site.at(token.unsigned_abs());
            slots.push((site.bits(0) % SLOTS.unsigned_abs()) as u32);
        }
    }
    slots.sort_unstable();
    let value = |run: &[u32]| (run[0], 1.0 + (run.len() as f32).ln());
    let mut features: Vec<_> = slots.chunk_by(|a, b| a == b).map(value).collect();
    let norm = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    features.iter_mut().for_each(|(_, value)| *value /= norm);
    features
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

    use super::*;
    use crate::{ExamplesWriter, Framing, Text};

    fn labelled(texts: &[(&str, u32)]) -> LabelledTexts {
        let config = TokenizerConfig { kind: TokenizerKind::Char, vocab_size: 20, ..TokenizerConfig::default() };
        let tokenizer = Tokenizer::train(&config, &["abcd".to_owned()]).unwrap();
        let cleaner = Cleaner::new(&CleanConfig::default(), Unit::Line, "text", "utf-8").unwrap();
        let mut writer = ExamplesWriter::new(&cleaner, &tokenizer, Framing::Around).unwrap();
        for (text, _) in texts {
            writer.push(Text { text: (*text).to_owned(), pair: None }).unwrap();
        }
        LabelledTexts { examples: writer.finish().unwrap(), labels: texts.iter().map(|(_, label)| *label).collect() }
    }

    fn fitted(texts: &LabelledTexts, longest: usize, class_weights: &[f32], passes: u64) -> NgramModel {
        let model = NgramModel::new(&mut Params::to_load(Device::Cpu), longest, class_weights.len());
        model.ascend(texts, class_weights, 1, passes).unwrap();
        model
    }

    #[test]
    fn features_have_unit_length_and_know_order() {
        let of = |tokens: &[i64]| features(tokens, 2);
        let length = |features: &[(u32, f32)]| features.iter().map(|(_, value)| value * value).sum::<f32>();
        let (ab, ba) = (of(&[1, 2]), of(&[2, 1]));
        assert!(ab.len() == 3 && ba.len() == 3 && (length(&ab) - 1.0).abs() < 1e-6);
        assert_eq!(ab.iter().filter(|feature| ba.contains(feature)).count(), 2, "the tokens, not the pair");
        let once_and_thrice = features(&[1, 2, 2, 2], 1);
        let [small, large] = [f32::min, f32::max].map(|of| of(once_and_thrice[0].1, once_and_thrice[1].1));
        assert!((large / small - (1.0 + 3f32.ln())).abs() < 1e-6, "{once_and_thrice:?}");
        assert_eq!(features(&[], 2), []);
        // What saved models have learned under. G = 0x9E3779B97F4A7C15; mix is SplitMix64's; all modulo 2 ** 64
        // at = lambda s, k: mix((s * G) ^ mix(k + G)); root = mix(G)
        // sorted(mix(s + G) % 2 ** 18 for s in (at(root, 1), at(root, 2), at(at(root, 1), 2)))
        assert_eq!(ab.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [38_659, 49_252, 153_411]);
    }

    #[test]
    fn many_passes_reach_the_optimum() {
        // texts = [[0, 3, 0], [0, 3, 0], [0, 3, 4, 0], [0, 4, 0], [0, 4, 4, 4, 5, 0]] in which 0 is <eos>
        // y = np.array([0, 0, 1, 1, 2]); c = np.array([1, 1, 2]); columns = [0, 3, 4, 5]
        // X = np.array([[1 + np.log(t.count(w)) if w in t else 0 for w in columns] for t in texts])
        // X /= np.linalg.norm(X, axis=1, keepdims=True); idf = 1 + np.log(6 / (1 + (X > 0).sum(0)))
        // Z = X * idf / np.sqrt(((X * idf) ** 2).sum(1).mean())
        // f = lambda w: (w ** 2).sum() / 2 - 30 * (c[y] * log_softmax(Z @ w.reshape(4, 3), axis=1)[range(5), y]).sum()
        // w = minimize(f, np.zeros(12), method="BFGS", options=dict(gtol=1e-9, maxiter=10000)).x.reshape(4, 3); Z @ w
        const EXPECTED: [[f32; 3]; 4] = [
            [2.0759, 0.0848, -2.1607],
            [-0.1775, 1.2874, -1.1099],
            [-1.3512, 1.6619, -0.3106],
            [-2.7373, 0.196, 2.5413],
        ];
        let texts = labelled(&[("a", 0), ("a", 0), ("ab", 1), ("b", 1), ("bbbc", 2)]);
        let model = fitted(&texts, 1, &[1.0, 1.0, 2.0], 3000);
        for (text, expected) in [0, 2, 3, 4].into_iter().zip(EXPECTED) {
            let found = model.logits(&texts.examples.tokens(text)).unwrap();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-3, "text {text}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn pairs_tell_what_single_tokens_cannot() {
        let texts = labelled(&[("ab", 0), ("ba", 1)]);
        let [single, pairs] =
            [1, 2].map(|longest| fitted(&texts, longest, &[1.0; 2], PASSES).logits(&texts.examples.tokens(0)).unwrap());
        let margin = |logits: &[f32]| logits[0] - logits[1];
        assert!(margin(&pairs) > 10.0 * margin(&single).abs(), "{single:?} {pairs:?}");
    }

    #[test]
    fn a_saved_model_says_the_same() {
        let texts = labelled(&[("ab", 0), ("ba", 1)]);
        let mut params = Params::to_load(Device::Cpu);
        let model = NgramModel::new(&mut params, 2, 2);
        model.fit(&texts, &[1.0; 2], 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("model.safetensors");
        params.save(path, grulm_model::WeightFormat::Fp32).unwrap();
        let mut others = Params::to_load(Device::Cpu);
        let other = NgramModel::new(&mut others, 2, 2);
        others.load(path).unwrap();
        let of = |model: &NgramModel| model.logits(&texts.examples.tokens(1)).unwrap();
        assert_eq!(of(&model), of(&other));
        assert_eq!(
            (params.iter().count(), params.fixed().map(|(_, tensor)| tensor.numel()).sum()),
            (0, params.count())
        );
    }
}
