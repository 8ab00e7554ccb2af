//! The same step as a user of libtorch would write it: its GRU, linear layer, cross-entropy and Adam.

use grulm_kernels::{Precision, autocast};
use tch::{
    Device, Kind, Tensor,
    nn::{self, Module as _, OptimizerConfig as _, RNN as _},
};

use crate::Setup;

/// Makes a step each time that it is called, and returns its loss in nats a token; in bf16 under autocast.
pub(crate) fn stepper(setup: Setup, precision: Precision) -> Box<dyn FnMut() -> f64> {
    let store = nn::VarStore::new(Device::Cpu);
    let root = store.root();
    let embedding =
        nn::embedding(&root / "embedding", setup.vocabulary, setup.embedding, nn::EmbeddingConfig::default());
    let layers: Vec<nn::GRU> = (0..setup.layers)
        .map(|layer| {
            let (input, hidden) = setup.widths(layer);
            let config = nn::RNNConfig { batch_first: false, ..nn::RNNConfig::default() };
            nn::gru(&root / layer, input, hidden, config)
        })
        .collect();
    let width = setup.widths(setup.layers - 1).1;
    let softmax =
        (!setup.tied).then(|| nn::linear(&root / "softmax", width, setup.vocabulary, nn::LinearConfig::default()));
    let bias = root.zeros("bias", &[setup.vocabulary]);
    let mut adam = nn::Adam::default().build(&store, 1e-3).unwrap();
    let (inputs, targets) = setup.tokens();
    let mut states: Vec<Tensor> = layers.iter().map(|layer| layer.zero_state(setup.batch).value()).collect();
    Box::new(move || {
        let loss = autocast(precision, Device::Cpu, || {
            let mut x = embedding.forward(&inputs);
            for (layer, state) in layers.iter().zip(&mut states) {
                let (y, after) = layer.seq_init(&x, &nn::GRUState(state.shallow_clone()));
                *state = after.value().detach().to_kind(Kind::Float);
                x = y;
            }
            let x = x.reshape([-1, width]);
            let logits = match &softmax {
                Some(softmax) => softmax.forward(&x),
                None => x.linear(&embedding.ws, Some(&bias)),
            };
            logits.to_kind(Kind::Float).cross_entropy_for_logits(&targets.reshape(-1))
        })
        .unwrap();
        adam.backward_step(&loss);
        loss.double_value(&[])
    })
}
