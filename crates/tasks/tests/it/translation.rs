//! Translators: their loss, their search, and what they learn.

use std::path::PathBuf;

use grulm_corpus::{
    CleanConfig, Special, Tokenizer, TokenizerKind,
    labelled::{Pair, PairFields},
};
use grulm_kernels::{AdamWStep, Compute, Precision, fused_adamw};
use grulm_model::{Direction, DropoutConfig, LanguageModel, ModelConfig, Progress, Source, WeightFormat};
use grulm_tasks::{
    Bundle, BundleModel as _, Error, Provenance, Step, Task as _, TextBatch, bundle,
    metrics::BleuTokenizer,
    translation::{
        Ensemble, PairFiles, PairScorer, Parallel, Search, Translation, TranslationConfig, TranslationCriterion,
        TranslationOptions, Translator, TranslatorSettings, read_translation_data, search,
    },
};
use tch::{Device::Cpu, Kind, Tensor, no_grad};

use crate::sample::{cleaner, tokenizer};

pub(crate) const WORDS: &str = "red cat sees the blue dog rouge chat voit le bleu chien";

fn bf16() -> Compute {
    Compute { precision: Precision::Bf16, ..Compute::fp32() }
}

fn sizes(direction: Direction) -> ModelConfig {
    let dropout = DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output: 0.0 };
    ModelConfig { embedding: 32, hidden: 48, layers: 2, direction, dropout, ..ModelConfig::default() }
}

pub(crate) fn settings() -> TranslatorSettings {
    TranslatorSettings {
        hidden: 24,
        heads: 2,
        dropout: 0.0,
        fields: PairFields::default(),
        search: Search::default(),
        bleu_tokenizer: BleuTokenizer::V13a,
    }
}

/// A translator of the words of `tokenizer` whose opinions are strong, though nothing taught it.
pub(crate) fn opinionated(tokenizer: &Tokenizer, seed: u64) -> Translator {
    let vocabulary = tokenizer.vocab_size() as i64;
    let model = Translator::new(&sizes(Direction::Both), vocabulary, settings(), seed, Cpu).unwrap();
    no_grad(|| {
        for (k, param) in model.params().iter().enumerate() {
            // What begins as zero speaks as well.
            let noise =
                grulm_model::Site::new(seed).at(k as u64).uniform_tensor(&param.tensor.size(), 0.2, Cpu).unwrap();
            let _ = param.tensor.shallow_clone().f_mul_scalar_(4.0).unwrap().f_add_(&noise).unwrap();
        }
    });
    model
}

pub(crate) fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<i64> {
    let mut ids = vec![tokenizer.special(Special::Eos)];
    tokenizer.encode(text, &mut ids).unwrap();
    ids.push(tokenizer.special(Special::Eos));
    ids.into_iter().map(i64::from).collect()
}

/// Every translation with its log probability, one token at a time, by the plain definition.
struct Every<'a> {
    models: &'a [&'a Translator],
    sources: Vec<Source>,
    words: Vec<u32>,
    eos: u32,
    found: Vec<(f64, Vec<u32>)>,
}

impl Every<'_> {
    fn go_on(&mut self, tokens: &mut Vec<u32>, log_probability: f64, carries: &[Progress]) {
        let last = Tensor::from_slice(&[i64::from(tokens.last().copied().unwrap_or(self.eos))]);
        let models = self.models.iter().zip(&self.sources).zip(carries);
        let steps = models
            .map(|((model, source), carry)| no_grad(|| model.step(&last, carry, source, Compute::fp32())).unwrap());
        let steps: Vec<_> = steps.collect();
        let next = |token: u32| {
            let mean: f64 = steps.iter().map(|(p, _)| p.double_value(&[0, i64::from(token)]).exp()).sum();
            log_probability + (mean / steps.len() as f64).ln()
        };
        if !tokens.is_empty() {
            self.found.push((next(self.eos), tokens.clone()));
        }
        if tokens.len() + 1 < Search::MARGIN {
            let carries: Vec<_> = steps.iter().map(|(_, carry)| carry.shallow_clone()).collect();
            for word in self.words.clone() {
                tokens.push(word);
                self.go_on(tokens, next(word), &carries);
                tokens.pop();
            }
        }
    }
}

fn every(models: &[&Translator], tokenizer: &Tokenizer, text: &str) -> Vec<(f64, Vec<u32>)> {
    let batch = TextBatch::new(vec![ids(tokenizer, text)]);
    let read = |model: &&Translator| no_grad(|| model.read(&batch, None, Compute::fp32())).unwrap();
    let sources: Vec<_> = models.iter().map(read).collect();
    let carries: Vec<_> = sources.iter().map(|source| source.start().shallow_clone()).collect();
    let words = (Special::ALL.len() as u32..tokenizer.vocab_size() as u32).collect();
    let mut every = Every { models, sources, words, eos: tokenizer.special(Special::Eos), found: Vec::new() };
    every.go_on(&mut Vec::new(), 0.0, &carries);
    every.found
}

/// A beam that holds every partial translation finds the best of all translations; a narrow one finds none that is better.
#[test]
fn a_beam_that_is_wide_enough_finds_the_best_translation() {
    let tokenizer = tokenizer(TokenizerKind::Word, "a b");
    let models = [1, 2].map(|seed| opinionated(&tokenizer, seed));
    let texts = ["a b b a b", "b"];
    for models in [vec![&models[0]], vec![&models[0], &models[1]]] {
        let all = texts.map(|text| every(&models, &tokenizer, text));
        assert_eq!(all[0].len(), 1022);
        for length_penalty in [0.0, 0.6, 1.0, 2.0] {
            let batch = TextBatch::new(texts.map(|text| ids(&tokenizer, text)).to_vec());
            let find = |beam| {
                let by = Search { beam, length_penalty, max_length_ratio: 0.0, ..Search::default() };
                search(&models, &tokenizer, &batch, &by, Compute::fp32()).unwrap()
            };
            let (wide, narrow, greedy) = (find(600), find(3), find(1));
            for (place, text) in texts.iter().enumerate() {
                let score = |(p, tokens): &(f64, Vec<u32>)| p / ((tokens.len() + 1) as f64).powf(length_penalty);
                let best = all[place].iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
                assert_eq!(wide[place].tokens, best.1, "{text} {length_penalty}");
                assert!((wide[place].score - score(best)).abs() < 1e-4, "{} {}", wide[place].score, score(best));
                assert!(wide[place].ended);
                for found in [&narrow[place], &greedy[place]] {
                    assert!(!found.ended || found.score < score(best) + 1e-4, "{} {}", found.score, score(best));
                    assert!(!found.tokens.is_empty() && found.tokens.len() <= Search::MARGIN);
                }
            }
        }
    }
}

/// Beside other texts, in any order of ending, each is translated as alone; greedy takes the likeliest token at each step.
#[test]
fn texts_do_not_disturb_each_other() {
    let tokenizer = tokenizer(TokenizerKind::Word, WORDS);
    let model = opinionated(&tokenizer, 3);
    let texts = ["the cat sees the blue dog the red cat", "le chien voit le chat", "red dog", "cat"];
    let by = Search { beam: 4, ..Search::default() };
    let find = |texts: &[&str], by: &Search| {
        let batch = TextBatch::new(texts.iter().map(|text| ids(&tokenizer, text)).collect());
        search(&[&model], &tokenizer, &batch, by, Compute::fp32()).unwrap()
    };
    for by in [by, by.greedy()] {
        let together = find(&texts, &by);
        for (text, expect) in texts.iter().zip(&together) {
            let alone = &find(&[text], &by)[0];
            assert_eq!((&alone.tokens, alone.ended), (&expect.tokens, expect.ended), "{text}");
            assert!((alone.score - expect.score).abs() < 1e-4);
        }
    }
    // However long the source is.
    let short = find(&texts, &Search { max_length: 2, ..by });
    assert!(short.iter().all(|found| found.tokens.len() <= 2) && short.iter().any(|found| !found.ended), "{short:?}");
    // The likeliest token at each step, by the model itself.
    let batch = TextBatch::new(vec![ids(&tokenizer, texts[2])]);
    let source = no_grad(|| model.read(&batch, None, Compute::fp32())).unwrap();
    let (mut carry, mut last) = (source.start().shallow_clone(), i64::from(tokenizer.special(Special::Eos)));
    for &token in &find(&texts[2..3], &by.greedy())[0].tokens {
        let tokens = Tensor::from_slice(&[last]);
        let (p, after) = no_grad(|| model.step(&tokens, &carry, &source, Compute::fp32())).unwrap();
        let words = p.narrow(1, Special::ALL.len() as i64, p.size()[1] - Special::ALL.len() as i64);
        assert_eq!(i64::from(token), words.argmax(1, false).int64_value(&[0]) + Special::ALL.len() as i64);
        (carry, last) = (after, i64::from(token));
    }
}

/// The loss of a translation is what its tokens cost one after the other, whatever stands beside it; the margin is what label
/// smoothing adds.
#[test]
fn the_loss_is_the_sum_over_steps() {
    let tokenizer = tokenizer(TokenizerKind::Word, WORDS);
    let model = opinionated(&tokenizer, 5);
    let pairs = [("the red cat sees the dog", "le chat rouge voit"), ("cat", "le chat voit le chien bleu")];
    let sources: Vec<_> = pairs.iter().map(|(source, _)| ids(&tokenizer, source)).collect();
    let targets: Vec<_> = pairs.iter().map(|(_, target)| ids(&tokenizer, target)).collect();
    let loss = model.loss(&TextBatch::new(sources.clone()), &targets, None, true, Compute::fp32()).unwrap();
    let (mut nll, mut margin, mut count) = (0.0, 0.0, 0);
    for (source, target) in sources.iter().zip(&targets) {
        let source = no_grad(|| model.read(&TextBatch::new(vec![source.clone()]), None, Compute::fp32())).unwrap();
        let mut carry = source.start().shallow_clone();
        for pair in target.windows(2) {
            let tokens = Tensor::from_slice(&pair[..1]);
            let (p, after) = no_grad(|| model.step(&tokens, &carry, &source, Compute::fp32())).unwrap();
            nll -= p.double_value(&[0, pair[1]]);
            margin += p.double_value(&[0, pair[1]]) - p.mean(Kind::Double).double_value(&[]);
            count += 1;
            carry = after;
        }
    }
    assert_eq!(loss.count, count);
    assert!((loss.nll.double_value(&[]) - nll).abs() < 1e-3, "{:?} {nll}", loss.nll);
    assert!((loss.margin.double_value(&[]) - margin).abs() < 1e-3, "{:?} {margin}", loss.margin);
    let rounded = model.loss(&TextBatch::new(sources), &targets, None, true, bf16()).unwrap();
    for (rounded, whole) in [(&rounded.nll, nll), (&rounded.margin, margin)] {
        assert!((rounded.double_value(&[]) / whole - 1.0).abs() < 0.05, "{rounded:?} {whole}");
    }
    rounded.nll.backward();
    let is_finite = |x: Tensor| !x.defined() || x.isfinite().all().int64_value(&[]) == 1;
    assert!(model.params().iter().all(|param| is_finite(param.tensor.grad())));
}

/// An untrained translator writes what the language model would, whatever it reads.
#[test]
fn a_translator_starts_as_its_language_model() {
    let tokenizer = tokenizer(TokenizerKind::Word, WORDS);
    let vocabulary = tokenizer.vocab_size() as i64;
    let folder = tempfile::tempdir().unwrap();
    let check = |config: ModelConfig| {
        let model = LanguageModel::new(&config, vocabulary, 3, Cpu).unwrap();
        model.save(folder.path(), WeightFormat::Fp32).unwrap();
        let translator = Translator::new(&config, vocabulary, settings(), 8, Cpu).unwrap();
        translator.load_language_model(folder.path()).unwrap();
        let (source, target) = (ids(&tokenizer, "the red cat"), ids(&tokenizer, "le chat rouge"));
        let own = translator
            .loss(&TextBatch::new(vec![source]), std::slice::from_ref(&target), None, false, Compute::fp32())
            .unwrap();
        let [inputs, targets] = [&target[..4], &target[1..]].map(|ids| Tensor::from_slice(ids).view([-1, 1]));
        let zero = model.encoder().zero_carry(grulm_model::Reading::Forward, 1, Cpu).unwrap();
        let reading = grulm_model::Reading::Forward;
        let (nll, _) = model.nll(reading, (&inputs, &targets), &zero, Compute::fp32()).unwrap();
        let expect = nll.sum(Kind::Double).double_value(&[]);
        assert!((own.nll.double_value(&[]) - expect).abs() < 1e-4, "{config:?}: {own:?} {expect}");
    };
    for direction in [Direction::Forward, Direction::Both] {
        for (tie_weights, projection) in [(true, false), (false, false), (true, true)] {
            check(ModelConfig { tie_weights, projection, ..sizes(direction) });
        }
    }
    let backward = sizes(Direction::Backward);
    LanguageModel::new(&backward, vocabulary, 3, Cpu).unwrap().save(folder.path(), WeightFormat::Fp32).unwrap();
    let translator = Translator::new(&backward, vocabulary, settings(), 8, Cpu).unwrap();
    let message = translator.load_language_model(folder.path()).unwrap_err().to_string();
    assert!(message.contains("reads forward"), "{message}");
}

/// Pairs of a toy language: words one by one, adjectives behind their nouns.
fn toy_pairs(folder: &std::path::Path) -> PairFiles {
    let (nouns, looks) = ([("cat", "chat"), ("dog", "chien")], [("red", "rouge"), ("blue", "bleu")]);
    let phrases: Vec<_> = nouns
        .iter()
        .flat_map(|(noun, nom)| {
            let mut all = vec![(format!("the {noun}"), format!("le {nom}"))];
            all.extend(looks.iter().map(|(look, air)| (format!("the {look} {noun}"), format!("le {nom} {air}"))));
            all
        })
        .collect();
    let (mut source, mut target) = (String::new(), String::new());
    for (who, qui) in &phrases {
        for (whom, quoi) in &phrases {
            source += &format!("{who} sees {whom}\n");
            target += &format!("{qui} voit {quoi}\n");
        }
    }
    let [from, to] = ["a.en", "a.fr"].map(|name| folder.join(name));
    std::fs::write(&from, source).unwrap();
    std::fs::write(&to, target).unwrap();
    let list = |path: PathBuf| vec![path.display().to_string()];
    PairFiles::Parallel(Parallel { source: list(from), target: list(to) })
}

fn toy_task(folder: &std::path::Path, longest: usize) -> Result<Translation, Error> {
    let (tokenizer, cleaner) = (tokenizer(TokenizerKind::Word, WORDS), cleaner(&CleanConfig::default()));
    let pairs = toy_pairs(folder);
    let config = TranslationConfig { train: pairs.clone(), valid: pairs, ..TranslationConfig::default() };
    let data = read_translation_data(&config, &cleaner, &tokenizer)?;
    let vocabulary = tokenizer.vocab_size() as i64;
    let translator = Translator::new(&sizes(Direction::Both), vocabulary, settings(), 1, Cpu)?;
    let options = TranslationOptions {
        batch_size: 9,
        longest,
        seed: 1,
        stage: 0,
        compute: Compute::fp32(),
        label_smoothing: 0.1,
        criterion: TranslationCriterion::Bleu,
    };
    Translation::new(translator, tokenizer, cleaner, data, options)
}

/// Updates by AdamW, at a rate that falls to zero.
fn learn(task: &mut Translation, steps: u64) {
    let weights: Vec<_> = task.params().iter().map(|param| param.tensor.shallow_clone()).collect();
    let zeros = || weights.iter().map(|weight| weight.detach().zeros_like()).collect::<Vec<_>>();
    let (means, variances) = (zeros(), zeros());
    let [one, zero] = [1f32, 0.0].map(Tensor::from);
    for step in 0..steps {
        let learning_rate = 1e-2 * (steps - step) as f64 / steps as f64;
        let settings = AdamWStep { learning_rate, beta1: 0.9, beta2: 0.99, weight_decay: 0.0, epsilon: 1e-8 };
        task.params().zero_grad();
        let loss = task.step(Step { seed: 1, stage: 0, step, micro: 0, accumulate: 1 }).unwrap();
        (loss.sum / loss.count as f64 + loss.penalty.unwrap()).backward();
        let gradients: Vec<_> = weights.iter().map(Tensor::grad).collect();
        let counts: Vec<_> = weights.iter().map(|_| Tensor::from((step + 1) as f32)).collect();
        no_grad(|| fused_adamw(&weights, &gradients, &means, &variances, &counts, settings, &one, &zero)).unwrap();
    }
}

#[test]
fn a_toy_language_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = toy_task(folder.path(), 20).unwrap();
    assert_eq!(task.batches_per_epoch(), 4);
    let before = task.evaluate().unwrap().unwrap();
    learn(&mut task, 300);
    let scores = task.evaluate().unwrap().unwrap();
    assert!(scores.criterion < before.criterion && scores.get("bleu").unwrap() > 95.0, "{scores:?}");
    assert!(scores.get("perplexity").unwrap() < 2.0, "{scores:?}");

    let bundle_folder = tempfile::tempdir().unwrap();
    task.save_bundle(bundle_folder.path(), &Provenance::default()).unwrap();
    assert_eq!(bundle::kind(bundle_folder.path()).unwrap(), Translator::KIND);
    let ensemble = Ensemble::open(&[bundle_folder.path().to_owned()], Cpu).unwrap();
    let texts = ["the red cat sees the dog", "", "  ", "the dog sees the blue cat"].map(str::to_owned);
    let by = Search::default();
    let found = ensemble.translate(&texts, &by, 2, Compute::fp32()).unwrap();
    let found: Vec<_> = found.iter().map(|translated| translated.text.as_str()).collect();
    assert_eq!(found, ["le chat rouge voit le chien", "", "", "le chien voit le chat bleu"]);
    let rounded = ensemble.translate(&texts, &by, 2, bf16()).unwrap();
    assert!(rounded.iter().map(|translated| translated.text.as_str()).eq(found.iter().copied()), "{rounded:?}");
    // What is scored is what is translated, in order.
    let mut seen = Vec::new();
    let mut scorer = PairScorer::new(&ensemble, by, 1, Compute::fp32(), |scored| {
        seen.push((scored.pair.number, scored.translation.text));
        Ok(())
    });
    for number in 1..=70 {
        let pair = Pair { number, source: texts[0].clone(), target: found[0].to_owned() };
        scorer.push(std::path::Path::new("a.en"), pair).unwrap();
    }
    let score = scorer.finish().unwrap();
    assert_eq!((score.examples(), score.bleu()), (70, 100.0));
    assert!(seen.iter().zip(1..).all(|((number, text), expect)| *number == expect && text == found[0]));
}

#[test]
fn pairs_that_cannot_be_learned_from_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let task = toy_task(folder.path(), 5).unwrap();
    // The longest have seven words on a side, the shortest five.
    assert_eq!((task.left_out().empty, task.left_out().long), (0, 32));
    let message = toy_task(folder.path(), 4).unwrap_err().to_string();
    assert!(message.contains("`task.train` = \"36 pairs\"") && message.contains("at most 4 tokens"), "{message}");
}

#[test]
fn models_of_other_tokenizers_do_not_translate_together() {
    let folders = ["a b", "a c"].map(|text| {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = tokenizer(TokenizerKind::Word, text);
        let model = opinionated(&tokenizer, 1);
        let cleaner = cleaner(&CleanConfig::default());
        let provenance = Provenance::default();
        bundle::save(folder.path(), &model, &tokenizer, &cleaner, &provenance, WeightFormat::Fp32).unwrap();
        folder
    });
    let paths = folders.each_ref().map(|folder| folder.path().to_owned());
    assert!(Ensemble::open(&[paths[0].clone(), paths[0].clone()], Cpu).is_ok());
    let message = Ensemble::open(&paths, Cpu).unwrap_err().to_string();
    assert!(message.contains(&paths[1].display().to_string()) && message.contains("tokenizer"), "{message}");
    // What is no translator is refused by name, and so is what no translator has.
    let message = Bundle::<LanguageModel>::open(&paths[0], Cpu).unwrap_err().to_string();
    assert!(message.contains("kind \"translation\"; expected \"language_model\""), "{message}");
    let task = std::fs::read_to_string(paths[0].join("task.json")).unwrap();
    for (from, to, says) in [
        ("\"heads\": 2", "\"heads\": 7", "heads 7"),
        ("\"hidden\": 24", "\"hidden\": 8000", "call for at least"),
        ("\"beam\": 5", "\"beam\": 0", "beam"),
    ] {
        std::fs::write(paths[0].join("task.json"), task.replace(from, to)).unwrap();
        let message = Bundle::<Translator>::open(&paths[0], Cpu).unwrap_err().to_string();
        assert!(message.contains("task.json") && message.contains(says), "{message}");
    }
}
