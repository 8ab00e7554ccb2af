use grulm_corpus::{CleanConfig, Special, Tokenizer, TokenizerConfig, TokenizerKind};
use grulm_kernels::{Compute, Packing};
use grulm_model::{Direction, LanguageModel, ModelConfig, OutputPenalties, Reading, Sampling, Site};
use grulm_tasks::{
    Batching, Bundle, ExamplesWriter, Framing, Generation, LanguageModelling, Provenance, Step, Task, Text, TokenSplit,
    generation::{Completer, CompleterSettings, Completing, GenerationData},
};
use tch::{Device::Cpu, Kind::Float, Tensor, no_grad};

use crate::sample::{SENTENCE, bundle, cleaner, stream, tokenizer};

fn text(bundle: &Bundle, prompt: &str, limit: usize, sampling: &Sampling) -> String {
    let generation = Generation::new(bundle, prompt, limit, sampling.clone(), Packing::Fp32).unwrap();
    generation.map(Result::unwrap).collect()
}

fn greedy() -> Sampling {
    Sampling { temperature: 0.0, ..Sampling::default() }
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let bundle = bundle(Direction::Forward, TokenizerKind::Char);
    let of = |seed| text(&bundle, "the ", 60, &Sampling { seed, ..Sampling::default() });
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert!(!text(&bundle, "", 60, &Sampling { seed: 3, ..Sampling::default() }).is_empty());
}

/// Greedy choices only differ where two tokens are about equally likely, which a model of random weights has none of here.
#[test]
fn every_packing_writes_the_same() {
    let bundle = bundle(Direction::Forward, TokenizerKind::Char);
    let of = |packing| {
        let generation = Generation::new(&bundle, "the cat", 20, greedy(), packing).unwrap();
        generation.map(Result::unwrap).collect::<String>()
    };
    let expect = of(Packing::Fp32);
    assert_eq!([of(Packing::Bf16), of(Packing::Int8)], [expect.clone(), expect]);
}

#[test]
fn the_limit_holds() {
    let bundle = bundle(Direction::Both, TokenizerKind::Char);
    for limit in [0, 1, 5] {
        let mut generation = Generation::new(&bundle, "cat", limit, Sampling::default(), Packing::Fp32).unwrap();
        for piece in generation.by_ref() {
            piece.unwrap();
        }
        assert!(generation.generated() == limit || generation.ended(), "{limit}");
        assert!(generation.next().is_none());
    }
    assert_eq!(text(&bundle, "cat", 0, &greedy()), "");
}

#[test]
fn specials_are_never_written_and_bytes_always_make_text() {
    let bundle = bundle(Direction::Forward, TokenizerKind::Byte);
    for seed in 0..8 {
        let sampling = Sampling { temperature: 5.0, top_p: 1.0, seed, ..Sampling::default() };
        let generation = Generation::new(&bundle, "é<eos>", 40, sampling, Packing::Fp32).unwrap();
        let written: String = generation.map(Result::unwrap).collect();
        assert!(!written.contains("<pad>") && !written.is_empty(), "{written:?}");
    }
}

/// What greedy generation says, a token at a time and from the definition.
fn stepwise(bundle: &Bundle, prompt: &str, limit: usize) -> String {
    let mut ids = vec![bundle.tokenizer.special(Special::Eos)];
    bundle.tokenizer.encode(prompt, &mut ids).unwrap();
    let begin = ids.len();
    let mut carry = bundle.model.encoder().zero_carry(Reading::Forward, 1, Cpu).unwrap();
    let (mut read, mut logits) = (0, Vec::new());
    while ids.len() - begin < limit {
        while read < ids.len() {
            let token = Tensor::from_slice(&[i64::from(ids[read])]).view([1, 1]);
            let pass = || bundle.model.logits(Reading::Forward, &token, &carry, Compute::fp32());
            let (all, after) = no_grad(pass).unwrap();
            (carry, read) = (after, read + 1);
            logits = Vec::<f32>::try_from(all.view(-1)).unwrap();
        }
        let allowed = |id: u32| Special::ALL.iter().all(|&s| s == Special::Eos || bundle.tokenizer.special(s) != id);
        let best = (0..logits.len() as u32).filter(|&id| allowed(id));
        let best = best.max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).unwrap();
        if best == bundle.tokenizer.special(Special::Eos) {
            break;
        }
        ids.push(best);
    }
    bundle.tokenizer.decode(&ids[begin..]).unwrap()
}

#[test]
fn prompts_of_any_length_are_read_as_if_token_by_token() {
    let bundle = bundle(Direction::Forward, TokenizerKind::Char);
    for length in [0, 1, 255, 256, 257, 600] {
        let prompt: String = SENTENCE.chars().cycle().take(length).collect();
        // Cleaning may trim what ends in a space.
        let prompt = prompt.trim_end();
        assert_eq!(text(&bundle, prompt, 12, &greedy()), stepwise(&bundle, prompt, 12), "{length}");
    }
}

#[test]
fn what_cannot_be_done_is_an_error() {
    let check = |direction, sampling: Sampling, says: &str| {
        let bundle = bundle(direction, TokenizerKind::Char);
        let error = Generation::new(&bundle, "cat", 5, sampling, Packing::Fp32).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    check(Direction::Backward, Sampling::default(), "no forward half");
    check(Direction::Forward, Sampling { temperature: -1.0, ..Sampling::default() }, "temperature");
    check(Direction::Forward, Sampling { temperature: f64::NAN, ..Sampling::default() }, "temperature");
    check(Direction::Forward, Sampling { top_p: 0.0, ..Sampling::default() }, "top-p");
    check(Direction::Forward, Sampling { repetition_penalty: 0.0, ..Sampling::default() }, "repetition-penalty");
}

/// Training on one sentence over and over, by plain gradient steps, ends in a model that says it.
#[test]
fn a_repeated_sentence_is_learnt() {
    let tokenizer = tokenizer(TokenizerKind::Word, SENTENCE);
    let mut ids = Vec::new();
    tokenizer.encode(SENTENCE, &mut ids).unwrap();
    ids.push(tokenizer.special(Special::Eos));
    let tokens: Vec<u32> = ids.iter().copied().cycle().take(40 * ids.len()).collect();
    let split = TokenSplit { stream: stream(&tokens), bytes: 1000 };
    let config = ModelConfig { embedding: 16, hidden: 16, layers: 1, ..ModelConfig::default() };
    let model = LanguageModel::new(&config, tokenizer.vocab_size() as i64, 5, Cpu).unwrap();
    let batching = Batching {
        batch_size: 4,
        sequence_length: 8,
        seed: 1,
        penalties: OutputPenalties::default(),
        compute: Compute::fp32(),
    };
    let cleaner = cleaner(&CleanConfig::default());
    let mut task = LanguageModelling::new(model, tokenizer, cleaner, &split, None, batching).unwrap();
    assert_eq!(task.evaluate().unwrap(), None);
    for step in 0..150 {
        task.params().zero_grad();
        let loss = task.step(Step { seed: 1, stage: 0, step, micro: 0, accumulate: 1 }).unwrap();
        (loss.sum / loss.count as f64).backward();
        no_grad(|| {
            for param in task.params() {
                let gradient = param.tensor.grad();
                let norm = gradient.square().sum(Float).sqrt().double_value(&[]).max(0.25);
                let _ = param.tensor.shallow_clone().f_sub_(&(gradient * (0.5 / norm))).unwrap();
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    task.save_bundle(folder.path(), &Provenance::default()).unwrap();
    let bundle = Bundle::open(folder.path(), Cpu).unwrap();
    let mut generation = Generation::new(&bundle, "the cat", 50, greedy(), Packing::Fp32).unwrap();
    let written: String = generation.by_ref().map(Result::unwrap).collect();
    assert_eq!(format!("the cat{written}"), SENTENCE);
    assert!(generation.ended());
    assert_eq!(text(&bundle, "", 50, &greedy()), SENTENCE);
}

fn pair(text: &str, pair: &str) -> Text {
    Text { text: text.to_owned(), pair: Some(pair.to_owned()) }
}

#[test]
fn one_separator_stands_between_prompt_and_completion() {
    let config = TokenizerConfig {
        kind: TokenizerKind::Char,
        specials_in_text: vec!["<sep>".to_owned()],
        ..TokenizerConfig::default()
    };
    let tokenizer = Tokenizer::train(&config, &[SENTENCE.to_owned()]).unwrap();
    let (sep, unk) = (tokenizer.special(Special::Sep), tokenizer.special(Special::Unk));
    let (tokens, _) = pair("a <sep> t", "<sep> c").encode(&cleaner(&CleanConfig::default()), &tokenizer).unwrap();
    let places = |special| (0..tokens.len()).filter(|&at| tokens[at] == special).collect::<Vec<_>>();
    assert_eq!((places(sep), places(unk)), (vec![6], vec![3, 7]), "{tokens:?}");
    let alone = Text { text: "a <sep> t".into(), pair: None };
    assert!(alone.encode(&cleaner(&CleanConfig::default()), &tokenizer).unwrap().0.contains(&sep));
}

/// Memory holds what gradients need: of long completions the first 16 windows are learned from, and all of them are scored.
#[test]
fn long_completions_are_learned_from_at_their_beginning() {
    let Bundle { model, tokenizer, cleaner, .. } = bundle(Direction::Forward, TokenizerKind::Char);
    let rows = [pair("the cat", "sat"), pair("a", &"red mat ".repeat(20)), pair("on a red mat", "the cat")];
    let examples = || {
        let mut writer = ExamplesWriter::new(&cleaner, &tokenizer, Framing::Around).unwrap();
        rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
        writer.finish().unwrap()
    };
    let window = 3;
    // Each completion ends with an <eos>; the spaces at the end of the long one are cleaned away.
    let (short, long) = ("sat".len() as u64 + 1 + "the cat".len() as u64 + 1, "red mat ".len() as u64 * 20);
    let data = GenerationData { train: examples(), valid: Some(examples()) };
    let settings = CompleterSettings { prompt_field: "prompt".into(), completion_field: "completion".into() };
    let own = bundle(Direction::Forward, TokenizerKind::Char);
    let completer = Completer { model, settings };
    let mut task =
        Completing::new(completer, own.tokenizer, own.cleaner, data, Site::new(1), (3, window), Compute::fp32())
            .unwrap();
    let step = Step { seed: 1, stage: 0, step: 0, micro: 0, accumulate: 1 };
    let loss = task.step(step).unwrap();
    assert_eq!(loss.count, short + 16 * window as u64);
    let scores = task.evaluate().unwrap().unwrap();
    assert_eq!(scores.get("tokens"), Some((short + long) as f64));
}
