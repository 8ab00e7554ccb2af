//! A CUDA device against the CPU: the same bundles, opened on both.

use grulm_corpus::{CleanConfig, TokenizerKind};
use grulm_kernels::{Compute, Packing, Precision};
use grulm_model::{Direction, LanguageModel, Noise, Params, PooledLayers, Sampling, Site, WeightFormat};
use grulm_tasks::{
    Bundle, BundleModel, Generation, Provenance, Text, TextBatch, bundle,
    classification::{Classifier, predict},
    translation::{Search, Translator, search},
};
use tch::{
    Device::{self, Cpu},
    Kind::{Double, Float},
    Tensor, no_grad,
};

use crate::{
    classification::{classifier, texts},
    gpu::cuda,
    sample::{self, cleaner, tokenizer},
    translation::{WORDS, ids, opinionated, settings},
};

/// Both precisions with their tolerances.
fn precisions() -> [(Compute, f64); 2] {
    [(Precision::Fp32, 1e-3), (Precision::Bf16, 0.06)]
        .map(|(precision, tolerance)| (Compute { precision, ..Compute::fp32() }, tolerance))
}

/// What `model` is on `device`, by way of the disk.
fn on<M: BundleModel>(bundle: &Bundle<M>, device: Device) -> Bundle<M> {
    let folder = tempfile::tempdir().unwrap();
    let Bundle { model, tokenizer, cleaner, provenance } = bundle;
    bundle::save(folder.path(), model, tokenizer, cleaner, provenance, WeightFormat::Fp32).unwrap();
    Bundle::open(folder.path(), device).unwrap()
}

/// Loss and gradients, of which those of weights that took no part are none, on the CPU.
fn gradients(params: &Params, loss: &Tensor) -> Vec<Option<Tensor>> {
    params.zero_grad();
    loss.backward();
    let grads = params.iter().map(|param| Some(param.tensor.grad()).filter(Tensor::defined));
    let all = [Some(loss.detach())].into_iter().chain(grads);
    all.map(|tensor| tensor.map(|tensor| tensor.to_device(Cpu).to_kind(Double))).collect()
}

fn check(what: &str, found: &[Option<Tensor>], expect: &[Option<Tensor>], tolerance: f64) {
    let norm = |tensor: &Tensor| tensor.square().sum(Double).double_value(&[]).sqrt();
    assert_eq!(found.len(), expect.len(), "{what}");
    // Gradients that nearly cancel are small beside the others.
    let largest = expect[1..].iter().flatten().map(norm).fold(0.0, f64::max);
    for (index, (found, expect)) in found.iter().zip(expect).enumerate() {
        match (found, expect) {
            (Some(found), Some(expect)) => {
                let error = norm(&(found - expect)) / norm(expect).max(0.05 * largest);
                assert!(error <= tolerance, "{what}, tensor {index}: {error}");
            }
            (found, expect) => assert_eq!(found.is_some(), expect.is_some(), "{what}, tensor {index}"),
        }
    }
}

#[test]
fn translators_agree() {
    let Some((device, _alone)) = cuda() else { return };
    let bundle = |model| Bundle {
        model,
        tokenizer: tokenizer(TokenizerKind::Word, WORDS),
        cleaner: cleaner(&CleanConfig::default()),
        provenance: Provenance::default(),
    };
    let own = bundle(opinionated(&tokenizer(TokenizerKind::Word, WORDS), 5));
    let other: Bundle<Translator> = on(&own, device);
    let pairs = [("the red cat sees the dog", "le chat rouge voit"), ("cat", "le chat voit le chien bleu")];
    let sources = || TextBatch::new(pairs.iter().map(|(source, _)| ids(&own.tokenizer, source)).collect());
    let targets: Vec<_> = pairs.iter().map(|(_, target)| ids(&own.tokenizer, target)).collect();
    let run = |bundle: &Bundle<Translator>, compute: Compute| {
        let noise = Noise { site: Site::new(4), rates: &bundle.model.config().dropout };
        let loss = bundle.model.loss(&sources(), &targets, Some(&noise), true, compute).unwrap();
        gradients(bundle.model.params(), &(loss.nll + loss.margin * 0.1))
    };
    // Not of the opinionated one: what rounds its weights by 1e-6 turns its gradients by 2e-3.
    let model = Translator::new(own.model.config(), own.tokenizer.vocab_size() as i64, settings(), 5, Cpu).unwrap();
    let mild = bundle(model);
    let mild_there = on(&mild, device);
    let expect = run(&mild, Compute::fp32());
    for (compute, tolerance) in precisions() {
        check(&format!("{compute:?}"), &run(&mild_there, compute), &expect, tolerance);
    }
    for beam in [1, 4] {
        let by = Search { beam, ..Search::default() };
        let find = |bundle: &Bundle<Translator>| {
            search(&[&bundle.model], &bundle.tokenizer, &sources(), &by, Compute::fp32()).unwrap()
        };
        for (found, expect) in find(&other).iter().zip(find(&own)) {
            assert_eq!((&found.tokens, found.ended), (&expect.tokens, expect.ended), "beam {beam}");
            assert!((found.score - expect.score).abs() < 1e-3, "beam {beam}: {found:?} {expect:?}");
        }
    }
}

#[test]
fn classifiers_agree() {
    let Some((device, _alone)) = cuda() else { return };
    let Bundle { tokenizer, cleaner, provenance, .. } = sample::bundle(Direction::Forward, TokenizerKind::Char);
    let template = classifier(Direction::Both, PooledLayers::All, 7);
    let (config, settings) = (template.config(), template.settings().clone());
    let model = Classifier::new(config, tokenizer.vocab_size() as i64, settings, 5, Cpu).unwrap();
    let own = Bundle { model, tokenizer, cleaner, provenance };
    let other: Bundle<Classifier> = on(&own, device);
    let run = |model: &Classifier, compute: Compute| {
        // The sample's vocabulary is smaller than the one that these texts are of.
        let most = own.tokenizer.vocab_size() as i64;
        let texts = texts(&[40, 23, 22, 7, 1]).into_iter().map(|text| text.into_iter().map(|id| id % most).collect());
        let summaries = model.summaries(&TextBatch::new(texts.collect()), None, compute).unwrap();
        let logits = model.logits(&summaries, Some(Site::new(6))).unwrap();
        let targets = grulm_kernels::upload(&[0i64, 1, 1, 0, 1], model.params().device()).unwrap();
        gradients(model.params(), &logits.cross_entropy_for_logits(&targets))
    };
    let expect = run(&own.model, Compute::fp32());
    for (compute, tolerance) in precisions() {
        check(&format!("{compute:?}"), &run(&other.model, compute), &expect, tolerance);
    }
    let rows = ["the cat", "", "a red mat sat on the cat", "on"];
    let rows = rows.map(|text| Text { text: text.to_owned(), pair: None });
    let [found, expect] = [&other, &own].map(|bundle| predict(bundle, &rows, 3, Compute::fp32()).unwrap());
    for (found, expect) in found.iter().zip(&expect) {
        assert!((found.probabilities[0] - expect.probabilities[0]).abs() < 1e-4, "{found:?} {expect:?}");
    }
}

#[test]
fn language_models_write_the_same() {
    let Some((device, _alone)) = cuda() else { return };
    let own = sample::bundle(Direction::Both, TokenizerKind::Char);
    let other: Bundle<LanguageModel> = on(&own, device);
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let write = |bundle: &Bundle, packing| {
        let generation = Generation::new(bundle, "the cat", 20, greedy.clone(), packing).unwrap();
        generation.map(Result::unwrap).collect::<String>()
    };
    assert_eq!(write(&other, Packing::Fp32), write(&own, Packing::Fp32));
    assert!(!write(&other, Packing::Bf16).is_empty());
    let logits = |bundle: &Bundle| {
        let model = &bundle.model;
        let tokens = grulm_kernels::upload(&[1i64, 2, 3, 4], model.device()).unwrap().view([4, 1]);
        let carry = model.encoder().zero_carry(grulm_model::Reading::Backward, 1, model.device()).unwrap();
        let read = || model.logits(grulm_model::Reading::Backward, &tokens, &carry, Compute::fp32());
        no_grad(read).unwrap().0.to_device(Cpu).to_kind(Float)
    };
    assert!(logits(&own).allclose(&logits(&other), 1e-4, 1e-5, false));
}
