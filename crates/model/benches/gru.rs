//! `model/gru`: a forward pass, and one with its backward pass, of language models at the usual 20 lanes of 35 tokens.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grulm_kernels::{Compute, Kernels, Precision};
use grulm_model::{LanguageModel, ModelConfig, Reading};
use tch::{Device, Kind, Tensor, no_grad};

const TIME: i64 = 35;
const BATCH: i64 = 20;
const VOCABULARY: i64 = 10_000;

fn gru(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("model/gru");
    group.sample_size(10).throughput(Throughput::Elements((TIME * BATCH) as u64));
    for (embedding, hidden) in [(128, 128), (650, 650)] {
        let config = ModelConfig { embedding, hidden, layers: 2, ..ModelConfig::default() };
        let model = LanguageModel::new(&config, VOCABULARY, 1, Device::Cpu).expect("sizes in range");
        let carry = model.encoder().zero_carry(Reading::Forward, BATCH, Device::Cpu).expect("a forward model");
        let ids = Tensor::arange((TIME + 1) * BATCH, (Kind::Int64, Device::Cpu)).view([TIME + 1, BATCH]);
        let (inputs, targets) = (ids.narrow(0, 0, TIME).contiguous(), ids.narrow(0, 1, TIME).contiguous());
        for precision in [Precision::Fp32, Precision::Bf16] {
            let pass = || {
                let compute = Compute { precision, kernels: Kernels::best() };
                model.loss(Reading::Forward, (&inputs, &targets), &carry, None, compute).expect("shapes fit").0
            };
            let shape = format!("2x{hidden}/{}", precision.name());
            group.bench_function(BenchmarkId::new("forward", &shape), |bencher| {
                bencher.iter(|| no_grad(|| black_box(pass())));
            });
            group.bench_function(BenchmarkId::new("forward_backward", &shape), |bencher| {
                bencher.iter(|| {
                    model.params().zero_grad();
                    pass().backward();
                });
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = Criterion::default().warm_up_time(std::time::Duration::from_secs(1)).measurement_time(std::time::Duration::from_secs(3)); targets = gru }
criterion_main!(benches);
