//! The whole of it on small random models: what is predicted, and that the loss is about the same probabilities.

use grulm_corpus::{
    CleanConfig, Tokenizer, TokenizerConfig, TokenizerKind, Unit,
    labelled::{Answer, Question, Record},
};
use grulm_kernels::{Kernels, Precision};
use grulm_model::{Direction, DropoutConfig, ModelConfig, Site};
use tch::Device::{self, Cpu};

use super::{predict::predict, training::Lesson, windows::Windows, *};
use crate::Bundle;

const CONTEXT: &str = "A red fox met a blue hen. The hen ran, and a green dog slept by the old mill.";

fn bundle(direction: Direction, window: usize, unanswerable: bool) -> Bundle<Answerer> {
    let texts = [CONTEXT.to_owned(), "who ran where did it sleep? Zoë, 北京".to_owned()];
    let config = TokenizerConfig { kind: TokenizerKind::ByteBpe, vocab_size: 300, ..Default::default() };
    let tokenizer = Tokenizer::train(&config, &texts).unwrap();
    let dropout = DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output: 0.0 };
    let sizes = ModelConfig { embedding: 10, hidden: 12, layers: 2, direction, dropout, ..ModelConfig::default() };
    let settings = AnswererSettings {
        hidden: 7,
        dropout: 0.0,
        window,
        stride: window.div_ceil(3),
        longest_answer: 30,
        unanswerable,
        threshold: 0.0,
        units: AnswerUnits::Auto,
    };
    let model = Answerer::new(&sizes, tokenizer.vocab_size() as i64, settings, 3, Cpu).unwrap();
    // Larger weights, so that probabilities differ.
    tch::no_grad(|| {
        for param in model.params() {
            let _ = param.tensor.shallow_clone().g_mul_scalar_(2.0);
        }
    });
    let cleaner = Cleaner::new(&CleanConfig::default(), Unit::Line, "text", "utf-8").unwrap();
    Bundle { model, tokenizer, cleaner, provenance: Provenance::default() }
}

/// A question about a context, with right answers, or none.
fn question(context: &str, question: &str, answers: &[&str]) -> Question {
    let answer = |text: &&str| Answer { text: (*text).to_owned(), start: context.find(text).unwrap() };
    Question {
        number: 1,
        context: context.into(),
        question: question.to_owned(),
        answers: Some(answers.iter().map(answer).collect()),
        record: Record::new(),
    }
}

fn ask(bundle: &Bundle<Answerer>, questions: &[Question], count: usize, batch_size: usize) -> Vec<Prediction> {
    answer(bundle, questions, count, batch_size, Compute::fp32()).unwrap()
}

#[test]
fn predictions_come_in_order_whatever_the_batches() {
    let long = format!("{CONTEXT} {CONTEXT} {CONTEXT}");
    let questions: Vec<_> = [
        (CONTEXT, "Who met the hen?"),
        ("", "Who?"),
        (&long, "Where did it sleep?"),
        (CONTEXT, ""),
        ("x", "Zoë?"),
        ("  \u{200b} ", "Who?"),
        (CONTEXT, "Who ran?"),
    ]
    .map(|(context, asked)| question(context, asked, &[]))
    .to_vec();
    for direction in [Direction::Forward, Direction::Backward, Direction::Both] {
        for unanswerable in [false, true] {
            let bundle = bundle(direction, 16, unanswerable);
            let together = ask(&bundle, &questions, 3, 4);
            let alone: Vec<_> =
                questions.iter().flat_map(|one| ask(&bundle, std::slice::from_ref(one), 3, 1)).collect();
            for ((a, b), question) in together.iter().zip(&alone).zip(&questions) {
                assert_eq!(a.candidates.len(), b.candidates.len());
                for (own, other) in a.candidates.iter().zip(&b.candidates) {
                    assert_eq!(own.span, other.span, "{direction:?}: {a:?} {b:?}");
                    assert!((own.probability - other.probability).abs() < 1e-5);
                    // `get` refuses a part of a character.
                    let text = question.context.get(own.span.clone()).unwrap();
                    assert!(!text.is_empty() && text.trim() == text, "{text:?}");
                }
                let probabilities = || a.candidates.iter().map(|own| own.probability).chain(a.none);
                assert!(probabilities().sum::<f64>() < 1.0 + 1e-6 && probabilities().all(|p| p > 0.0));
                assert!(a.candidates.is_sorted_by(|a, b| a.probability >= b.probability));
                assert_eq!(a.none.is_some(), unanswerable);
                assert_eq!(a.candidates.is_empty(), question.context.trim_matches([' ', '\u{200b}']).is_empty());
            }
            assert!(together[1].answer().is_none() && together[5].answer().is_none());
        }
    }
}

/// The loss of a question is the surprise at its right answers, of which any is right, in whatever window it stands.
#[test]
fn the_loss_is_about_the_probabilities_that_are_predicted() {
    let check = |window: usize, unanswerable: bool, answers: &[&str]| {
        let bundle = bundle(Direction::Both, window, unanswerable);
        let model = &bundle.model;
        let questions = [question(CONTEXT, "Who met the hen?", answers), question(CONTEXT, "Who ran?", &["The hen"])];
        let set = QuestionSet::new(&questions, &bundle.cleaner, &bundle.tokenizer).unwrap();
        let windows = model.settings().windows();
        let lessons: Vec<_> = (0..2).map(|asked| Lesson::new(&set, asked, windows).unwrap()).collect();
        let lessons = Lessons::new(&set, &lessons.iter().collect::<Vec<_>>(), windows, Site::new(1));
        let rows = Rows::new(&set, &lessons.rows);
        let scores = model.scores(&rows, None, Compute::fp32()).unwrap();
        let loss = lessons.loss(&scores, unanswerable, Cpu).unwrap();
        let predictions = predict(model, &set, 100_000, 8, Compute::fp32()).unwrap();
        let expect: f64 = predictions
            .iter()
            .enumerate()
            .map(|(asked, prediction)| {
                let gold = &set.questions[asked].gold;
                let right = prediction.candidates.iter().filter(|own| gold.contains(&own.span));
                let sum: f64 = right.map(|own| own.probability).sum();
                -(if gold.is_empty() { prediction.none.unwrap() } else { sum }).ln()
            })
            .sum();
        let found = loss.double_value(&[]);
        assert!((found - expect).abs() < 1e-3, "window {window}, {answers:?}: {found}, not {expect}");
        let bf16 = Compute { precision: Precision::Bf16, ..Compute::fp32() };
        let rounded = lessons.loss(&model.scores(&rows, None, bf16).unwrap(), unanswerable, Cpu).unwrap();
        assert!((rounded.double_value(&[]) / expect - 1.0).abs() < 0.05, "{rounded:?}, not {expect}");
        loss.f_add(&rounded).unwrap().backward();
        for param in model.params() {
            let grad = param.tensor.grad();
            assert!(!grad.defined() || grad.isfinite().all().int64_value(&[]) == 1, "{}", param.name);
        }
    };
    let tokens = {
        let bundle = bundle(Direction::Both, 100, false);
        bundle.tokenizer.encode_spans(CONTEXT).unwrap().len()
    };
    check(100, false, &["red fox"]);
    check(100, false, &["red fox", "fox", "red fox"]);
    // Three windows, which is as many as are learned from.
    let window = tokens * 3 / 5;
    assert_eq!(Windows { length: window, stride: window.div_ceil(3) }.over(tokens).count(), 3);
    check(window, false, &["blue hen", "old mill"]);
    check(window, true, &["blue hen"]);
    check(window, true, &[]);
}

#[test]
fn nothing_to_answer_in_is_learned_as_no_answer() {
    let bundle = bundle(Direction::Forward, 20, true);
    let questions = [question("", "Who?", &[]), question(CONTEXT, "Who ran?", &["The hen"])];
    let set = QuestionSet::new(&questions, &bundle.cleaner, &bundle.tokenizer).unwrap();
    let windows = bundle.model.settings().windows();
    let lessons: Vec<_> = (0..2).map(|asked| Lesson::new(&set, asked, windows).unwrap()).collect();
    let lessons = Lessons::new(&set, &lessons.iter().collect::<Vec<_>>(), windows, Site::new(1));
    let scores = bundle.model.scores(&Rows::new(&set, &lessons.rows), None, Compute::fp32()).unwrap();
    let loss = lessons.loss(&scores, true, Cpu).unwrap();
    loss.backward();
    assert!(loss.double_value(&[]).is_finite());
    for param in bundle.model.params() {
        let grad = param.tensor.grad();
        assert!(!grad.defined() || grad.isfinite().all().int64_value(&[]) == 1, "{}", param.name);
    }
}

#[test]
fn the_threshold_is_the_best_for_the_questions_that_chose_it() {
    let bundle = bundle(Direction::Forward, 100, true);
    let asked = |place: usize| {
        let answers: &[&str] = if place.is_multiple_of(3) { &[] } else { &["fox"] };
        question(CONTEXT, &format!("who {place}?"), answers)
    };
    let questions: Vec<_> = (0..12).map(asked).collect();
    let set = QuestionSet::new(&questions, &bundle.cleaner, &bundle.tokenizer).unwrap();
    let predictions = predict(&bundle.model, &set, 1, 8, Compute::fp32()).unwrap();
    let f1 = |threshold: f64| {
        let refuse = |own: &Prediction| Prediction { is_none: own.margin() > threshold, ..own.clone() };
        let decided: Vec<_> = predictions.iter().map(refuse).collect();
        AnswersScore::new(&score::predicted(&set, &decided), AnswerUnits::Auto).f1()
    };
    let best = f1(score::best_threshold(&set, &predictions, AnswerUnits::Auto));
    for prediction in &predictions {
        for nudge in [-1e-9, 1e-9] {
            assert!(f1(prediction.margin() + nudge) <= best + 1e-9);
        }
    }
}

#[test]
fn a_bundle_holds_all_and_a_hostile_one_is_refused() {
    let Bundle { model, tokenizer, cleaner, provenance } = bundle(Direction::Both, 16, true);
    let folder = tempfile::tempdir().unwrap();
    bundle::save(folder.path(), &model, &tokenizer, &cleaner, &provenance, WeightFormat::Fp32).unwrap();
    let opened: Bundle<Answerer> = Bundle::open(folder.path(), Cpu).unwrap();
    assert_eq!(opened.model.settings(), model.settings());
    let questions = [question(CONTEXT, "Who ran?", &["hen"])];
    let original = Bundle { model, tokenizer, cleaner, provenance };
    assert_eq!(ask(&opened, &questions, 2, 8), ask(&original, &questions, 2, 8));
    let path = folder.path().join("task.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let check = |from: &str, to: &str, says: &str| {
        assert!(whole.contains(from), "{whole}");
        std::fs::write(&path, whole.replace(from, to)).unwrap();
        let message = Bundle::<Answerer>::open(folder.path(), Cpu).unwrap_err().to_string();
        assert!(message.contains("task.json") && message.contains(says), "{message}");
    };
    check("\"hidden\": 7", "\"hidden\": 0", "hidden 0");
    check("\"hidden\": 7", "\"hidden\": 8000", "call for at least");
    check("\"stride\": 6", "\"stride\": 17", "stride 17");
    check("\"stride\": 6", "\"stride\": 0", "stride 0");
    check("\"window\": 16", "\"window\": 0", "window 0");
    check("\"dropout\": 0.0", "\"dropout\": 1.0", "dropout 1");
    check("\"longest_answer\": 30", "\"longest_answer\": 0", "longest_answer 0");
    check("\"units\": \"auto\"", "\"units\": \"letters\"", "letters");
    check("question_answering", "classification", "kind \"classification\"");
}

/// The same bundle, opened on a CPU and on a GPU: loss, gradients and what is predicted.
#[test]
fn a_gpu_answers_as_a_cpu_does() {
    let device = Device::cuda_if_available();
    if !device.is_cuda() {
        eprintln!("skipped: no CUDA device");
        return;
    }
    let own = bundle(Direction::Both, 16, true);
    let folder = tempfile::tempdir().unwrap();
    let Bundle { model, tokenizer, cleaner, provenance } = &own;
    bundle::save(folder.path(), model, tokenizer, cleaner, provenance, WeightFormat::Fp32).unwrap();
    let other: Bundle<Answerer> = Bundle::open(folder.path(), device).unwrap();
    let questions = [question(CONTEXT, "Who met the hen?", &["red fox"]), question(CONTEXT, "Who ran?", &[])];
    let run = |bundle: &Bundle<Answerer>, compute: Compute| -> Vec<f64> {
        let set = QuestionSet::new(&questions, &bundle.cleaner, &bundle.tokenizer).unwrap();
        let windows = bundle.model.settings().windows();
        let lessons: Vec<_> = (0..2).map(|asked| Lesson::new(&set, asked, windows).unwrap()).collect();
        let lessons = Lessons::new(&set, &lessons.iter().collect::<Vec<_>>(), windows, Site::new(1));
        let noise = Noise { site: Site::new(2), rates: &bundle.model.config().dropout };
        let scores = bundle.model.scores(&Rows::new(&set, &lessons.rows), Some(&noise), compute).unwrap();
        let loss = lessons.loss(&scores, true, bundle.model.params().device()).unwrap();
        bundle.model.params().zero_grad();
        loss.backward();
        let grads = bundle.model.params().iter().map(|param| param.tensor.grad()).filter(Tensor::defined);
        let norms = grads.map(|grad| f64::try_from(grad.norm()).unwrap());
        [f64::try_from(loss.detach()).unwrap()].into_iter().chain(norms).collect()
    };
    let expect = run(&own, Compute::fp32());
    let largest = expect[1..].iter().copied().fold(0.0, f64::max);
    let errors = |bundle: &Bundle<Answerer>, compute: Compute| -> Vec<f64> {
        let found = run(bundle, compute);
        assert_eq!(found.len(), expect.len());
        found
            .iter()
            .zip(&expect)
            .map(|(found, expect)| (found - expect).abs() / expect.abs().max(0.05 * largest))
            .collect()
    };
    let worst = |errors: &[f64]| errors.iter().copied().fold(0.0, f64::max);
    let bf16 = Compute { precision: Precision::Bf16, kernels: Kernels::Portable };
    // In bf16 no further from f32 than twice as far as libtorch's own arithmetic of that type on a CPU.
    let tolerance = 2.0 * worst(&errors(&own, bf16));
    for (compute, tolerance) in [(Compute::fp32(), 1e-3), (bf16, tolerance)] {
        let errors = errors(&other, compute);
        assert!(worst(&errors) <= tolerance, "{compute:?}: {errors:?}, more than {tolerance}");
    }
    let [found, expect] = [&other, &own].map(|bundle| ask(bundle, &questions, 3, 4));
    for (found, expect) in found.iter().zip(&expect) {
        assert!((found.none.unwrap() - expect.none.unwrap()).abs() < 1e-3, "{found:?} {expect:?}");
        for (found, expect) in found.candidates.iter().zip(&expect.candidates) {
            assert!((found.probability - expect.probability).abs() < 1e-3, "{found:?} {expect:?}");
        }
    }
}
