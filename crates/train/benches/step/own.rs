//! A step as the training loop makes it.

use grulm_kernels::{Compute, Precision};
use grulm_model::{DropoutConfig, LanguageModel, ModelConfig, Param, Reading};
use grulm_train::{Gradient, Optimizer, TrainConfig};
use tch::{Device, Kind, Tensor};

use crate::Setup;

/// Makes a step each time that it is called, and returns its loss in nats a token.
pub(crate) fn stepper(setup: Setup, precision: Precision) -> Box<dyn FnMut() -> f64> {
    let dropout = DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output: 0.0 };
    let config = ModelConfig {
        embedding: setup.embedding,
        hidden: setup.hidden,
        layers: setup.layers,
        tie_weights: setup.tied,
        dropout,
        ..ModelConfig::default()
    };
    let model = LanguageModel::new(&config, setup.vocabulary, 1, Device::Cpu).unwrap();
    let mut optimizer = Optimizer::new(&TrainConfig::default(), model.params()).expect("memory for its state");
    let mut carry = model.encoder().zero_carry(Reading::Forward, setup.batch, Device::Cpu).unwrap();
    let (inputs, targets) = setup.tokens();
    let count = (setup.batch * setup.time) as f64;
    let options = (Kind::Float, Device::Cpu);
    let (scale, found_inf) = (Tensor::full([], count, options), Tensor::zeros([], options));
    let compute = Compute::fastest(None, Some(precision), Device::Cpu);
    Box::new(move || {
        model.params().zero_grad();
        let (loss, after) = model.loss(Reading::Forward, (&inputs, &targets), &carry, None, compute).unwrap();
        carry = after.detach();
        loss.backward();
        let gradient = |param: &Param| Some(Gradient { tensor: param.tensor.grad(), learning_rate: 1e-3 });
        let gradients: Vec<_> = model.params().iter().map(gradient).collect();
        optimizer.update(model.params(), &gradients, &scale, &found_inf).unwrap();
        loss.double_value(&[]) / count
    })
}
