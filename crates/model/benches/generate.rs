//! Tokens a second of one greedy sequence, in the classic set-up (5,000 words, embedding 512, 2 layers of 1,024 units, a softmax
//! with weights of its own), for each packing of weights and for the same model a token at a time over libtorch's own layers.
//!
//!     cargo bench -p grulm-model --bench generate [-- --rounds N]
//!
//! `--turns PACKING TOKENS` is one side of `scripts/bench_generate.sh`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::time::Instant;

use grulm_kernels::{Compute, Kernels, Packing, Precision};
use grulm_model::{Carry, LanguageModel, ModelConfig, Reading, Sampler, Sampling};
use tch::{Device, Tensor, no_grad};

/// Tokens a round, unless told.
const TOKENS: u64 = 500;
const VOCABULARY: i64 = 5000;

/// A way to generate: each call goes on by a round.
type Round = Box<dyn FnMut()>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).map_or(&[][..], |index| &args[index + 1..]);
    if let [name, tokens, ..] = after("--turns") {
        let packing = *Packing::ALL.iter().find(|packing| packing.name() == name).unwrap();
        return turns(packed(packing, tokens.parse().unwrap()));
    }
    let rounds: usize = after("--rounds").first().map_or(7, |text| text.parse().unwrap());
    let mut ways = vec![("libtorch fp32", plain())];
    ways.extend(Packing::ALL.map(|packing| (packing.name(), packed(packing, TOKENS))));
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            let seconds = time(way);
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    println!("{} kernels, {} threads, medians of {rounds} rounds\n", Kernels::best().name(), tch::get_num_threads());
    println!("| one greedy sequence | tokens/s | against libtorch |\n| --- | --- | --- |");
    let speeds = times.into_iter().map(|mut times| {
        times.sort_by(f64::total_cmp);
        TOKENS as f64 / times[times.len() / 2]
    });
    let speeds: Vec<f64> = speeds.collect();
    for ((name, _), speed) in ways.iter().zip(&speeds) {
        println!("| {name} | {speed:.0} | {:.1} |", speed / speeds[0]);
    }
}

/// Takes turns with other processes, as `scripts/peers/turns.py` does: says who it is once it is warm, then answers each line of
/// its input by the seconds of a round, which follows one that is not timed.
fn turns(mut way: Round) {
    time(&mut way);
    println!("\"{} kernels\"", Kernels::best().name());
    for line in std::io::stdin().lines() {
        line.unwrap();
        time(&mut way);
        println!("[{}, null]", time(&mut way));
    }
}

fn time(way: &mut Round) -> f64 {
    let start = Instant::now();
    way();
    start.elapsed().as_secs_f64()
}

fn model() -> LanguageModel {
    let config = ModelConfig { embedding: 512, hidden: 1024, layers: 2, tie_weights: false, ..ModelConfig::default() };
    LanguageModel::new(&config, VOCABULARY, 1, Device::Cpu).unwrap()
}

fn greedy() -> Sampler {
    Sampler::new(Sampling { temperature: 0.0, ..Sampling::default() }, VOCABULARY as usize)
}

/// What `generate` does.
fn packed(packing: Packing, tokens: u64) -> Round {
    let mut sequence = model().sequence(Reading::Forward, packing).unwrap();
    let (mut sampler, mut token) = (greedy(), 1);
    Box::new(move || {
        for position in 0..tokens {
            token = sampler.choose(sequence.predict(token).unwrap(), &[], position);
        }
    })
}

/// The same model over tensors.
fn plain() -> Round {
    let model = model();
    let mut carry: Carry = model.encoder().zero_carry(Reading::Forward, 1, Device::Cpu).unwrap();
    let compute = Compute { precision: Precision::Fp32, kernels: Kernels::Libtorch };
    let (mut sampler, mut token) = (greedy(), 1);
    Box::new(move || {
        for position in 0..TOKENS {
            let input = Tensor::from_slice(&[i64::from(token)]).view([1, 1]);
            let (logits, after) = no_grad(|| model.logits(Reading::Forward, &input, &carry, compute)).unwrap();
            carry = after;
            let mut logits = Vec::<f32>::try_from(logits.view(-1)).unwrap();
            token = sampler.choose(&mut logits, &[], position);
        }
    })
}
