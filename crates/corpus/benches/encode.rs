//! `corpus/encode`: how fast a tokenizer reads text, in MB/s, on one thread.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use grulm_corpus::{Tokenizer, TokenizerConfig, TokenizerKind};

/// Lines of made-up words, a few of them frequent and most rare, as in any language; the same on every run.
fn text(lines: usize) -> Vec<String> {
    const SYLLABLES: [&str; 16] =
        ["ka", "to", "re", "min", "sol", "ve", "du", "ish", "an", "lo", "per", "tri", "ng", "ou", "est", "qua"];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut word = || {
        // The product of two draws favours small numbers.
        let mut number = draw(200) * draw(200);
        let mut word = String::new();
        loop {
            word.push_str(SYLLABLES[(number % 16) as usize]);
            number /= 16;
            if number == 0 {
                return word;
            }
        }
    };
    (0..lines).map(|_| (0..20).map(|_| word()).collect::<Vec<_>>().join(" ") + ".").collect()
}

fn encode(criterion: &mut Criterion) {
    let lines = text(20_000);
    let mut group = criterion.benchmark_group("corpus/encode");
    group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64).sum()));
    group.sample_size(10);
    for (name, kind, vocab_size) in
        [("byte_bpe 8000", TokenizerKind::ByteBpe, 8_000), ("word 10000", TokenizerKind::Word, 10_000)]
    {
        let config = TokenizerConfig { kind, vocab_size, ..Default::default() };
        let tokenizer = match Tokenizer::train(&config, &lines) {
            Ok(tokenizer) => tokenizer,
            Err(error) => panic!("{error}"),
        };
        group.bench_function(name, |bench| {
            let mut ids = Vec::new();
            bench.iter(|| {
                ids.clear();
                lines.iter().for_each(|line| tokenizer.encode(black_box(line), &mut ids).unwrap_or_default());
                ids.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
