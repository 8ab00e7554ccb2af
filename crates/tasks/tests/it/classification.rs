//! Classifiers: reading texts of any length, in any company.

use grulm_corpus::labelled::Fields;
use grulm_kernels::Compute;
use grulm_model::{Direction, DropoutConfig, ModelConfig, PooledLayers};
use grulm_tasks::{
    Bundle, ExamplesWriter, Framing, Provenance, Task, Text, TextBatch, bundle,
    classification::{
        Calibration, ClassWeights, Classification, ClassificationOptions, Classifier, ClassifierSettings, Criterion,
        LabelledTexts, TrainingData, predict, score,
    },
};
use tch::{Device::Cpu, Kind::Float, Tensor, no_grad};

use crate::sample;

pub(crate) fn classifier(direction: Direction, pool: PooledLayers, window: i64) -> Classifier {
    let dropout = DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output: 0.0 };
    let config = ModelConfig { embedding: 6, hidden: 9, layers: 2, direction, dropout, ..ModelConfig::default() };
    let labels = vec!["bad".to_owned(), "good".to_owned()];
    let calibration = Calibration::default();
    let fields = Fields::default();
    let settings = ClassifierSettings {
        labels,
        pool,
        ngrams: 2,
        character_ngrams: 3,
        hidden: 5,
        dropout: 0.0,
        window,
        fields,
        calibration,
    };
    Classifier::new(&config, 20, settings, 3, Cpu).unwrap()
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned(), pair: None }
}

/// Texts of these lengths, the longest first.
pub(crate) fn texts(lengths: &[usize]) -> Vec<Vec<i64>> {
    lengths.iter().map(|&length| (0..length).map(|at| ((at * 7 + length) % 20) as i64).collect()).collect()
}

fn summaries(classifier: &Classifier, texts: Vec<Vec<i64>>) -> Tensor {
    no_grad(|| classifier.summaries(&TextBatch::new(texts), None, Compute::fp32())).unwrap()
}

#[test]
fn neither_windows_nor_company_change_a_summary() {
    let lengths = [40, 23, 22, 7, 1];
    let directions = [Direction::Forward, Direction::Backward, Direction::Both];
    for (direction, pool) in directions.into_iter().flat_map(|d| [(d, PooledLayers::Last), (d, PooledLayers::All)]) {
        let alone = classifier(direction, pool, 1000);
        let expected: Vec<Tensor> = texts(&lengths).into_iter().map(|text| summaries(&alone, vec![text])).collect();
        let expected = Tensor::cat(&expected, 0);
        assert_eq!(expected.size(), [lengths.len() as i64, alone.features()], "{direction:?}, {pool:?}");
        for window in [1, 7, 22, 40, 1000] {
            let found = summaries(&classifier(direction, pool, window), texts(&lengths));
            let error = (&found - &expected).abs().max().double_value(&[]);
            assert!(error < 1e-5, "{direction:?}, {pool:?}, windows of {window}: {error}");
        }
    }
}

#[test]
fn gradients_flow_through_the_last_window_of_each_text() {
    // Every token is another one, and the window is of four.
    let check = |lengths: &[i64], expect: [std::ops::Range<usize>; 2]| {
        let classifier = classifier(Direction::Forward, PooledLayers::Last, 4);
        let mut tokens = 0..20;
        let texts = lengths.iter().map(|&length| tokens.by_ref().take(length as usize).collect()).collect();
        let summary = classifier.summaries(&TextBatch::new(texts), None, Compute::fp32()).unwrap();
        summary.sum(Float).backward();
        let embedding = &classifier.params().iter().next().unwrap().tensor;
        let touched: Vec<f32> =
            Vec::try_from(embedding.grad().abs().sum_dim_intlist([1i64].as_slice(), false, Float)).unwrap();
        for (token, touched) in touched.iter().enumerate() {
            let learns = expect.iter().any(|tokens| tokens.contains(&token));
            assert_eq!(*touched > 0.0, learns, "{lengths:?}, token {token}: {touched}");
        }
    };
    check(&[12], [8..12, 0..0]);
    check(&[12, 8], [4..12, 16..20]);
    check(&[12, 3], [4..12, 0..0]); // two windows at most
    check(&[4, 1], [0..4, 4..5]);
}

#[test]
fn predictions_come_in_order_whatever_the_batches() {
    let sample = sample::bundle(Direction::Forward, grulm_corpus::TokenizerKind::Char);
    let vocab_size = sample.tokenizer.vocab_size() as i64;
    let template = classifier(Direction::Forward, PooledLayers::Last, 8);
    let model = Classifier::new(template.config(), vocab_size, template.settings().clone(), 5, Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Bundle { tokenizer, cleaner, .. } = &sample;
    let format = grulm_model::WeightFormat::Fp32;
    bundle::save(folder.path(), &model, tokenizer, cleaner, &Provenance::default(), format).unwrap();
    assert_eq!(bundle::kind(folder.path()).unwrap(), "classification");
    let opened: Bundle<Classifier> = Bundle::open(folder.path(), Cpu).unwrap();
    assert_eq!(opened.model.settings(), model.settings());
    let texts: Vec<_> = ["a", "", "abc abc abc abc abc", "bca", "c"].map(text).to_vec();
    let one = |text| predict(&opened, &[text], 1, Compute::fp32()).unwrap().remove(0);
    let alone: Vec<_> = texts.iter().cloned().map(one).collect();
    let together = predict(&opened, &texts, 4, Compute::fp32()).unwrap();
    for (a, b) in alone.iter().zip(&together) {
        let difference = (a.probabilities[0] - b.probabilities[0]).abs();
        assert!(a.label == b.label && difference < 1e-5, "{alone:?} {together:?}");
    }
    // A language model is no classifier, and says so.
    bundle::save(folder.path(), &sample.model, tokenizer, cleaner, &Provenance::default(), format).unwrap();
    let message = Bundle::<Classifier>::open(folder.path(), Cpu).unwrap_err().to_string();
    assert!(message.contains("kind \"language_model\"; expected \"classification\""), "{message}");
}

/// Through training, disk and both ways of reading: the order of the letters, which the n-gram model knows and a network of random
/// weights does not, decides.
#[test]
fn ngrams_vote_beside_the_network() {
    let Bundle { tokenizer, cleaner, .. } = sample::bundle(Direction::Forward, grulm_corpus::TokenizerKind::Char);
    let rows = ["cat", "tac", "a cat", "a tac", "the cat", "the tac", "red", "der"];
    let texts = || {
        let mut writer = ExamplesWriter::new(&cleaner, &tokenizer, Framing::Around).unwrap();
        rows.iter().for_each(|row| writer.push(text(row)).unwrap());
        LabelledTexts { examples: writer.finish().unwrap(), labels: [0, 1].repeat(rows.len() / 2) }
    };
    let template = classifier(Direction::Forward, PooledLayers::Last, 8);
    let vocab_size = tokenizer.vocab_size() as i64;
    let model = Classifier::new(template.config(), vocab_size, template.settings().clone(), 5, Cpu).unwrap();
    let data = TrainingData { labels: template.settings().labels.clone(), train: texts(), valid: Some(texts()) };
    let options = ClassificationOptions {
        batch_size: 3,
        seed: 1,
        stage: 0,
        compute: Compute::fp32(),
        class_weights: ClassWeights::None,
        tune_threshold: false,
        criterion: Criterion::Accuracy,
    };
    let own = sample::bundle(Direction::Forward, grulm_corpus::TokenizerKind::Char);
    let mut task = Classification::new(model, own.tokenizer, own.cleaner, data, options).unwrap();
    let scores = task.evaluate().unwrap().unwrap();
    assert_eq!(scores.get("accuracy"), Some(1.0), "{scores:?}");
    let share = task.classifier().settings().calibration.ngram_share;
    assert!(share > 0.5, "{share}");
    let folder = tempfile::tempdir().unwrap();
    task.save_bundle(folder.path(), &Provenance::default()).unwrap();
    let opened: Bundle<Classifier> = Bundle::open(folder.path(), Cpu).unwrap();
    let close = |nll: f64| (nll - scores.get("nll").unwrap()).abs() < 1e-6;
    assert!(close(score(&opened.model, &opened.tokenizer, &texts(), 3, Compute::fp32()).unwrap().nll));
    let predictions = predict(&opened, &rows.map(text), 3, Compute::fp32()).unwrap();
    let nll =
        |(row, prediction): (usize, &grulm_tasks::classification::Prediction)| -prediction.probabilities[row % 2].ln();
    assert!(close(predictions.iter().enumerate().map(nll).sum::<f64>() / rows.len() as f64), "{predictions:?}");
}
