use grulm_kernels::{Compute, Packing};
use grulm_model::{Direction, LanguageModel, Reading};
use grulm_tasks::{TextScore, TokenSplit, score_split, sequence_nlls, token_nlls};
use tch::{Device::Cpu, Kind::Float, Tensor, no_grad};

use crate::sample::{model, stream, tokens};

const VOCABULARY: usize = 20;
const EOS: u32 = 3;

fn nlls(model: &LanguageModel, reading: Reading, tokens: &[u32], lanes: usize) -> Vec<f32> {
    token_nlls(model, reading, &stream(tokens), lanes, EOS, Compute::fp32()).unwrap()
}

/// The whole text in one pass, its softmax by libtorch.
fn plain(model: &LanguageModel, reading: Reading, targets: &[u32]) -> Vec<f32> {
    let ids: Vec<i64> = [EOS].iter().chain(targets).map(|&id| i64::from(id)).collect();
    let count = targets.len();
    let carry = model.encoder().zero_carry(reading, 1, Cpu).unwrap();
    let inputs = Tensor::from_slice(&ids[..count]).view([-1, 1]);
    let (logits, _) = no_grad(|| model.logits(reading, &inputs, &carry, Compute::fp32())).unwrap();
    let log_probabilities = logits.squeeze_dim(1).log_softmax(-1, Float);
    let own = log_probabilities.gather(1, &Tensor::from_slice(&ids[1..]).view([-1, 1]), false);
    Vec::try_from(-own.view(-1)).unwrap()
}

fn assert_near(found: &[f32], expect: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expect.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expect).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what}: token {i}: {a}, expected {b}");
    }
}

#[test]
fn one_lane_is_a_plain_pass_over_the_whole_text() {
    let model = model(Direction::Forward, VOCABULARY);
    for count in [0, 1, 2, 127, 128, 129, 1023, 1024, 1025, 2500] {
        let tokens = tokens(count, VOCABULARY as u32);
        let expect = if count == 0 { Vec::new() } else { plain(&model, Reading::Forward, &tokens) };
        assert_near(&nlls(&model, Reading::Forward, &tokens, 1), &expect, 1e-5, &format!("{count} tokens"));
    }
}

/// No likelihood is 1, so a token that was left out would stand out as a zero; one in a wrong place, by its value.
#[test]
fn lanes_score_every_token_once_and_nearly_alike() {
    let model = model(Direction::Forward, VOCABULARY);
    for count in [1, 127, 128, 129, 255, 256, 257, 383, 385, 1000, 2049] {
        let tokens = tokens(count, VOCABULARY as u32);
        let expect = plain(&model, Reading::Forward, &tokens);
        for lanes in [0, 2, 3, 7, 16, 5000] {
            let found = nlls(&model, Reading::Forward, &tokens, lanes);
            assert_near(&found, &expect, 1e-4, &format!("{count} tokens, {lanes} lanes"));
            // The first piece has all the text before it that there is.
            assert_near(&found[..found.len().min(128)], &expect[..expect.len().min(128)], 1e-5, "first piece");
        }
    }
}

#[test]
fn a_backward_model_reads_the_mirrored_text() {
    let model = model(Direction::Backward, VOCABULARY);
    for (count, lanes) in [(1, 1), (2, 1), (300, 1), (300, 2), (1500, 9)] {
        let mut text = tokens(count, VOCABULARY as u32);
        if let Some(last) = text.last_mut() {
            *last = EOS;
        }
        // What is predicted: the text without its final eos, from its end, then the eos before the text.
        let mut mirrored: Vec<u32> = text[..text.len() - 1].iter().rev().copied().collect();
        mirrored.push(EOS);
        let tolerance = if lanes == 1 { 1e-5 } else { 1e-4 };
        let expect = plain(&model, Reading::Backward, &mirrored);
        assert_near(&nlls(&model, Reading::Backward, &text, lanes), &expect, tolerance, &format!("{count}, {lanes}"));
    }
}

#[test]
fn packed_weights_score_as_passes_do() {
    let both = model(Direction::Both, VOCABULARY);
    let tokens = tokens(300, VOCABULARY as u32);
    for reading in [Reading::Forward, Reading::Backward] {
        let expect = nlls(&both, reading, &tokens, 1);
        for (packing, tolerance) in [(Packing::Fp32, 1e-5), (Packing::Bf16, 0.02), (Packing::Int8, 0.02)] {
            let found = sequence_nlls(&both, reading, &stream(&tokens), EOS, packing).unwrap();
            assert_near(&found, &expect, tolerance, packing.name());
            assert!(packing == Packing::Fp32 || found != expect, "{}: the weights are rounded", packing.name());
        }
    }
    let score = |tokens: &[u32], reading| {
        let forward = model(Direction::Forward, VOCABULARY);
        sequence_nlls(&forward, reading, &stream(tokens), EOS, Packing::Int8)
    };
    assert!(score(&[], Reading::Forward).unwrap().is_empty());
    assert!(score(&[3], Reading::Backward).is_err());
    assert!(score(&[3, 99], Reading::Forward).is_err() && score(&[99, 3], Reading::Forward).is_err());
}

#[test]
fn a_direction_that_the_model_lacks_is_an_error() {
    let model = model(Direction::Forward, VOCABULARY);
    assert!(token_nlls(&model, Reading::Backward, &stream(&[3]), 1, EOS, Compute::fp32()).is_err());
    let outside = token_nlls(&model, Reading::Forward, &stream(&[3, 99]), 1, EOS, Compute::fp32());
    assert!(outside.is_err(), "a token outside of the vocabulary");
}

#[test]
fn figures_are_those_of_the_definitions() {
    let score = TextScore::new(&[1.0, 2.0, 3.0, 2.0], 10);
    assert_eq!((score.tokens, score.nll, score.bytes), (4, 2.0, 10));
    assert!((score.perplexity() - 7.389_056_098_930_65).abs() < 1e-12);
    // 8 nats are 8 / ln 2 = 11.5416 bits, on 10 bytes.
    assert!((score.bits_per_byte() - 1.154_156_032_711_17).abs() < 1e-12);
    let names: Vec<String> = score.figures("_forward").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["tokens_forward", "nll_forward", "perplexity_forward", "bits_per_byte_forward"]);
    let empty = TextScore::new(&[], 0);
    assert!(empty.nll == 0.0 && empty.bits_per_byte() == 0.0);
}

#[test]
fn two_directions_have_two_scores() {
    let tokens = tokens(200, VOCABULARY as u32);
    let split = TokenSplit { stream: stream(&tokens), bytes: 900 };
    let both = model(Direction::Both, VOCABULARY);
    let scores = score_split(&both, &split, 1, EOS, Compute::fp32()).unwrap();
    let expect = |reading| TextScore::new(&nlls(&both, reading, &tokens, 1), 900);
    let (forward, backward) = (expect(Reading::Forward), expect(Reading::Backward));
    assert_eq!(scores.get("perplexity_forward"), Some(forward.perplexity()));
    assert_eq!(scores.get("perplexity_backward"), Some(backward.perplexity()));
    assert!(scores.get("perplexity").is_none() && forward.nll != backward.nll);
    assert_eq!(scores.criterion, forward.nll + backward.nll);
    let one = score_split(&model(Direction::Forward, VOCABULARY), &split, 1, EOS, Compute::fp32()).unwrap();
    assert_eq!((one.get("tokens"), one.get("nll")), (Some(200.0), Some(one.criterion)));
}
