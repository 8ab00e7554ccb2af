//! Sentences a second that are translated, greedily and by beams of 5: by a trained model, or else by one with random weights in
//! the sizes of `configs/finetune/multi30k-de-en.toml`, which turns sentences of 15 words into as many tokens as it may.
//!
//!     cargo bench -p grulm-tasks --bench translate [-- --rounds N] [--model FOLDER --lines FILE]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{fs, path::Path, time::Instant};

use grulm_corpus::{CleanConfig, Cleaner, Tokenizer, TokenizerConfig, TokenizerKind, Unit, labelled::PairFields};
use grulm_kernels::{Compute, Kernels};
use grulm_model::{Direction, ModelConfig, WeightFormat};
use grulm_tasks::{
    Provenance,
    bundle::{self, locate},
    metrics::BleuTokenizer,
    translation::{Ensemble, Search, Translator, TranslatorSettings},
};
use tch::Device::Cpu;

/// Sentences side by side.
const BATCH: usize = 32;
/// Sentences a round, for the random model.
const SENTENCES: usize = 64;
/// Words that the random model knows, and words of a sentence for it.
const VOCABULARY: usize = 4_990;
const WORDS: usize = 15;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|index| args.get(index + 1));
    let rounds: usize = after("--rounds").map_or(5, |text| text.parse().unwrap());
    let (ensemble, sentences) = match (after("--model"), after("--lines")) {
        (Some(model), Some(lines)) => trained(Path::new(model), Path::new(lines)),
        _ => random(),
    };
    let own = ensemble.settings().search;
    let ways = [("greedy", own.greedy()), ("beam 5", Search { beam: 5, ..own })];
    let (mut times, mut tokens) = ([const { Vec::new() }; 2], [0; 2]);
    for round in 0..=rounds {
        for (index, (_, search)) in ways.iter().enumerate() {
            let start = Instant::now();
            let translated = ensemble.translate(&sentences, search, BATCH, Compute::fp32()).unwrap();
            // The first round warms up.
            if round > 0 {
                times[index].push(start.elapsed().as_secs_f64());
            }
            let mut written = Vec::new();
            for translated in &translated {
                ensemble.first().tokenizer.encode(&translated.text, &mut written).unwrap();
            }
            tokens[index] = written.len();
        }
    }
    println!("{} kernels, {} threads, medians of {rounds} rounds\n", Kernels::best().name(), tch::get_num_threads());
    println!("| {} sentences, {BATCH} side by side | sentences/s | tokens/s |\n| --- | --- | --- |", sentences.len());
    for (((name, _), mut times), tokens) in ways.into_iter().zip(times).zip(tokens) {
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2];
        println!("| {name} | {:.1} | {:.0} |", sentences.len() as f64 / seconds, tokens as f64 / seconds);
    }
}

fn trained(model: &Path, lines: &Path) -> (Ensemble, Vec<String>) {
    let ensemble = Ensemble::open(&[locate(model).unwrap()], Cpu).unwrap();
    (ensemble, fs::read_to_string(lines).unwrap().lines().map(str::to_owned).collect())
}

fn random() -> (Ensemble, Vec<String>) {
    let words: Vec<String> = (0..VOCABULARY).map(|number| format!("w{number}")).collect();
    let config =
        TokenizerConfig { kind: TokenizerKind::Word, vocab_size: VOCABULARY + 10, ..TokenizerConfig::default() };
    let tokenizer = Tokenizer::train(&config, &[words.join(" ")]).unwrap();
    let cleaner = Cleaner::new(&CleanConfig::default(), Unit::Line, "text", "utf-8").unwrap();
    let sizes =
        ModelConfig { embedding: 256, hidden: 384, layers: 2, direction: Direction::Both, ..ModelConfig::default() };
    let settings = TranslatorSettings {
        hidden: 256,
        heads: 8,
        dropout: 0.0,
        fields: PairFields::default(),
        search: Search { max_length_ratio: 1.0, ..Search::default() },
        bleu_tokenizer: BleuTokenizer::V13a,
    };
    let model = Translator::new(&sizes, tokenizer.vocab_size() as i64, settings, 1, Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    bundle::save(folder.path(), &model, &tokenizer, &cleaner, &Provenance::default(), WeightFormat::Fp32).unwrap();
    let sentence = |number: usize| {
        let words = (0..WORDS).map(|place| words[(number * 7919 + place * 104_729) % VOCABULARY].as_str());
        words.collect::<Vec<_>>().join(" ")
    };
    (Ensemble::open(&[folder.path().to_owned()], Cpu).unwrap(), (0..SENTENCES).map(sentence).collect())
}
