//! A training step (forward, backward, update) against the same model written plainly over libtorch's own layers, in one
//! process, by turns; medians.
//!
//!     cargo bench -p grulm-train --bench step [-- SETUP... --rounds N --memory]
//!
//! Set-ups: seed, wide, ptb, awd (all where none is named). `--memory` compares the peak memory of processes that do nothing
//! but a few steps of one kind. `scripts/bench_peers.sh` reads `--list` and drives `--turns`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod own;
mod plain;

use std::{io::BufRead as _, process::Command, time::Instant};

use grulm_kernels::{Compute, Precision, product_speed};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// Sizes of a model and its batches.
#[derive(Debug, Clone, Copy, Serialize)]
struct Setup {
    name: &'static str,
    vocabulary: i64,
    embedding: i64,
    hidden: i64,
    layers: usize,
    tied: bool,
    batch: i64,
    time: i64,
}

const SETUPS: [Setup; 4] = [
    Setup { name: "seed", vocabulary: 5000, embedding: 512, hidden: 1024, layers: 2, tied: false, batch: 32, time: 64 },
    Setup {
        name: "wide",
        vocabulary: 5000,
        embedding: 512,
        hidden: 1024,
        layers: 2,
        tied: false,
        batch: 128,
        time: 70,
    },
    Setup { name: "ptb", vocabulary: 10_000, embedding: 650, hidden: 650, layers: 2, tied: false, batch: 20, time: 35 },
    Setup { name: "awd", vocabulary: 33_278, embedding: 400, hidden: 1150, layers: 3, tied: true, batch: 80, time: 70 },
];

impl Setup {
    /// Input and output width of a layer: the last is as wide as the embedding where the weights are tied.
    fn widths(&self, layer: usize) -> (i64, i64) {
        let input = if layer == 0 { self.embedding } else { self.hidden };
        (input, if self.tied && layer + 1 == self.layers { self.embedding } else { self.hidden })
    }

    /// Floating-point operations of the products of a step: two a weight forward, four backward, for every token.
    fn operations(&self) -> f64 {
        let gru = |layer| {
            let (input, hidden) = self.widths(layer);
            3 * hidden * (input + hidden)
        };
        let weights = (0..self.layers).map(gru).sum::<i64>() + self.vocabulary * self.widths(self.layers - 1).1;
        6.0 * (weights * self.batch * self.time) as f64
    }

    /// Tokens that are read, and those that follow, `[T, B]`.
    fn tokens(&self) -> (Tensor, Tensor) {
        let count = (self.time + 1) * self.batch;
        let all = (Tensor::arange(count, (Kind::Int64, Device::Cpu)) * 7919).remainder(self.vocabulary);
        let all = all.view([self.time + 1, self.batch]);
        (all.narrow(0, 0, self.time).contiguous(), all.narrow(0, 1, self.time).contiguous())
    }
}

/// Who makes the step, and in which arithmetic.
type Kinds = [(&'static str, bool, Precision); 4];
const KINDS: Kinds = [
    ("plain fp32", false, Precision::Fp32),
    ("plain bf16", false, Precision::Bf16),
    ("grulm fp32", true, Precision::Fp32),
    ("grulm bf16", true, Precision::Bf16),
];

fn stepper(setup: Setup, own: bool, precision: Precision) -> Box<dyn FnMut() -> f64> {
    if own { own::stepper(setup, precision) } else { plain::stepper(setup, precision) }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|index| args.get(index + 1));
    let stepper_of = |kind: &str| {
        let setup = *SETUPS.iter().find(|setup| args.contains(&setup.name.to_owned())).unwrap();
        let (_, own, precision) = *KINDS.iter().find(|(name, ..)| *name == kind).unwrap();
        stepper(setup, own, precision)
    };
    if args.iter().any(|arg| arg == "--list") {
        return println!("{}", serde_json::to_string(&SETUPS).unwrap());
    }
    if let Some(kind) = after("--turns") {
        return turns(stepper_of(kind));
    }
    if let Some(kind) = after("--peak") {
        let mut step = stepper_of(kind);
        for _ in 0..3 {
            step();
        }
        return println!("{}", peak());
    }
    let rounds: usize = after("--rounds").map_or(7, |text| text.parse().unwrap());
    let chosen: Vec<Setup> = match SETUPS.iter().filter(|setup| args.contains(&setup.name.to_owned())) {
        named if named.clone().next().is_some() => named.copied().collect(),
        _ => SETUPS.to_vec(),
    };
    let threads = tch::get_num_threads();
    println!("{} kernels, {threads} threads, medians of {rounds} rounds\n", kernels());
    if args.iter().any(|arg| arg == "--memory") {
        return memory(&chosen);
    }
    println!(
        "| set-up | step | s | tokens/s | GFLOP/s | share of a product's | against plain fp32 | against plain bf16 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    chosen.into_iter().for_each(|setup| compare(setup, rounds));
}

/// Those of both precisions.
fn kernels() -> String {
    let [fp32, bf16] = [Precision::Fp32, Precision::Bf16]
        .map(|precision| Compute::fastest(None, Some(precision), Device::Cpu).kernels.name());
    if fp32 == bf16 { fp32.to_owned() } else { format!("{fp32} (in bf16: {bf16})") }
}

/// Times the steps of all kinds by turns and prints a row for each.
fn compare(setup: Setup, rounds: usize) {
    let mut steppers = KINDS.map(|(_, own, precision)| stepper(setup, own, precision));
    let mut times = [(); 4].map(|()| Vec::new());
    for round in 0..=rounds {
        for (step, times) in steppers.iter_mut().zip(&mut times) {
            let start = Instant::now();
            step();
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    for ((name, _, precision), seconds) in KINDS.into_iter().zip(medians) {
        let speed = setup.operations() / seconds;
        let ceiling = product_speed(Compute::fastest(None, Some(precision), Device::Cpu), Device::Cpu).unwrap();
        println!(
            "| {} | {name} | {seconds:.3} | {:.0} | {:.0} | {:.0} % | {:.2} | {:.2} |",
            setup.name,
            (setup.batch * setup.time) as f64 / seconds,
            speed / 1e9,
            100.0 * speed / ceiling,
            medians[0] / seconds,
            medians[1] / seconds,
        );
    }
}

/// Takes turns with other processes, as `scripts/peers/turns.py` does: says who it is once it is warm, then answers each line of
/// its input by the seconds and the loss of a step, which follows one that is not timed.
fn turns(mut step: Box<dyn FnMut() -> f64>) {
    step();
    println!("\"{} kernels\"", kernels());
    for line in std::io::stdin().lock().lines() {
        line.unwrap();
        step();
        let start = Instant::now();
        let loss = step();
        println!("[{}, {loss}]", start.elapsed().as_secs_f64());
    }
}

/// Compares the peak memory of processes of their own.
fn memory(setups: &[Setup]) {
    println!("| set-up | step | peak MiB | of plain fp32 |\n| --- | --- | --- | --- |");
    for setup in setups {
        let mut plain = None;
        for (name, ..) in KINDS {
            let output =
                Command::new(std::env::current_exe().unwrap()).args([setup.name, "--peak", name]).output().unwrap();
            let peak: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
            let first = *plain.get_or_insert(peak);
            println!("| {} | {name} | {peak:.0} | {:.2} |", setup.name, peak / first);
        }
    }
}

/// The most memory that this process has held, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}
