use grulm_kernels::Compute;
use grulm_model::{DropoutConfig, LanguageModel, ModelConfig, Noise, Reading, Site};
use tch::{
    Device::Cpu,
    Kind::{Float, Int64},
    Tensor, no_grad,
};

const NONE: DropoutConfig = DropoutConfig { embedding: 0.0, input: 0.0, hidden: 0.0, weight: 0.0, output: 0.0 };

fn model() -> LanguageModel {
    let config = ModelConfig { embedding: 16, hidden: 24, layers: 2, ..ModelConfig::default() };
    LanguageModel::new(&config, 50, 3, Cpu).unwrap()
}

fn rates(change: fn(&mut DropoutConfig)) -> DropoutConfig {
    let mut rates = NONE;
    change(&mut rates);
    rates
}

/// Outputs `[T, B, H]` of a text of `tokens` `[T, B]`.
fn encode(model: &LanguageModel, tokens: &Tensor, site: u64, rates: Option<&DropoutConfig>) -> Tensor {
    let batch = tokens.size()[1];
    let carry = model.encoder().zero_carry(Reading::Forward, batch, Cpu).unwrap();
    let noise = rates.map(|rates| Noise { site: Site::new(site), rates });
    let pass = || model.encoder().forward(Reading::Forward, tokens, &carry, noise.as_ref(), Compute::fp32());
    no_grad(pass).unwrap().0
}

fn tokens() -> Tensor {
    (Tensor::arange(24, (Int64, Cpu)) * 7).remainder(50).view([6, 4])
}

#[test]
fn without_noise_or_at_rate_zero_nothing_is_dropped() {
    let model = model();
    let expect = encode(&model, &tokens(), 0, None);
    assert!(encode(&model, &tokens(), 1, Some(&NONE)).equal(&expect));
    assert!(encode(&model, &tokens(), 0, None).equal(&expect));
}

#[test]
fn noise_is_a_function_of_its_site() {
    let model = model();
    let clean = encode(&model, &tokens(), 0, None);
    type Change = fn(&mut DropoutConfig);
    let all: [(&str, Change); 4] = [
        ("embedding", |r| r.embedding = 0.3),
        ("input", |r| r.input = 0.3),
        ("hidden", |r| r.hidden = 0.3),
        ("weight", |r| r.weight = 0.3),
    ];
    for (name, change) in all {
        let rates = rates(change);
        let [first, again, other] = [1, 1, 2].map(|site| encode(&model, &tokens(), site, Some(&rates)));
        assert!(first.equal(&again), "{name}");
        assert!(!first.equal(&other) && !first.equal(&clean), "{name}");
    }
}

/// The loss tells output masks apart, which the encoder does not draw.
#[test]
fn output_dropout_acts_in_training_alone() {
    let model = model();
    let carry = model.encoder().zero_carry(Reading::Forward, 4, Cpu).unwrap();
    let loss = |noise: Option<&Noise<'_>>| {
        model.loss(Reading::Forward, (&tokens(), &tokens()), &carry, noise, Compute::fp32()).unwrap().0
    };
    let rates = rates(|r| r.output = 0.5);
    let noisy = |site| loss(Some(&Noise { site: Site::new(site), rates: &rates }));
    assert!(noisy(1).equal(&noisy(1)));
    assert!(!noisy(1).equal(&noisy(2)) && !noisy(1).equal(&loss(None)));
}

/// With identity-like GRU layers out of reach, the gradient of the embedding shows which units of the input came through.
fn input_gradient(rates: &DropoutConfig, tokens: &Tensor) -> Tensor {
    let model = model();
    let carry = model.encoder().zero_carry(Reading::Forward, tokens.size()[1], Cpu).unwrap();
    let noise = Noise { site: Site::new(5), rates };
    let (y, _) = model.encoder().forward(Reading::Forward, tokens, &carry, Some(&noise), Compute::fp32()).unwrap();
    y.square().sum(Float).backward();
    model.encoder().embedding().grad()
}

#[test]
fn input_masks_are_the_same_at_every_step_and_differ_between_lanes() {
    // Lane 0 reads words 0 to 5, lane 1 words 10 to 15: a row of the gradient for each step of each lane.
    let tokens = Tensor::stack(&[Tensor::arange(6, (Int64, Cpu)), Tensor::arange(6, (Int64, Cpu)) + 10], 1);
    let dropped = input_gradient(&rates(|r| r.input = 0.5), &tokens).eq(0.0);
    let row = |word| dropped.get(word);
    for step in 1..6 {
        assert!(row(step).equal(&row(0)) && row(10 + step).equal(&row(10)), "step {step}");
    }
    assert!(!row(0).equal(&row(10)));
    let count = row(0).to_kind(Float).sum(Float).double_value(&[]);
    assert!((1.0..16.0).contains(&count), "{count} of 16 units dropped");
}

#[test]
fn embedding_dropout_drops_whole_words() {
    let tokens = Tensor::arange(48, (Int64, Cpu)).view([24, 2]);
    let dropped = input_gradient(&rates(|r| r.embedding = 0.5), &tokens).narrow(0, 0, 48).eq(0.0);
    let a_word = dropped.to_kind(Float).sum_dim_intlist(1i64, false, Float);
    let words = a_word.eq(16.0).to_kind(Float).sum(Float).double_value(&[]);
    assert!((8.0..40.0).contains(&words), "{words} of 48 words dropped");
    assert_eq!(words + a_word.eq(0.0).to_kind(Float).sum(Float).double_value(&[]), 48.0, "words are whole or gone");
}

#[test]
fn weight_dropout_is_the_same_over_the_whole_sequence() {
    let model = model();
    let rates = rates(|r| r.weight = 0.5);
    let carry = model.encoder().zero_carry(Reading::Forward, 4, Cpu).unwrap();
    let noise = Noise { site: Site::new(5), rates: &rates };
    let pass = |tokens: &Tensor, carry| {
        no_grad(|| model.encoder().forward(Reading::Forward, tokens, carry, Some(&noise), Compute::fp32())).unwrap()
    };
    let (whole, _) = pass(&tokens(), &carry);
    let (first, middle) = pass(&tokens().narrow(0, 0, 2), &carry);
    let (second, _) = pass(&tokens().narrow(0, 2, 4), &middle);
    assert!(Tensor::cat(&[first, second], 0).allclose(&whole, 1e-6, 1e-6, false));
    // A dropped weight has no gradient: the recurrent matrix of each layer shows the mask.
    let (y, _) = model.encoder().forward(Reading::Forward, &tokens(), &carry, Some(&noise), Compute::fp32()).unwrap();
    y.square().sum(Float).backward();
    for param in model.params().iter().filter(|param| param.name.contains("rnns")) {
        let zeros = param.tensor.grad().eq(0.0).to_kind(Float).mean(Float).double_value(&[]);
        let expect = if param.name.ends_with("weight_hh_l0") { 0.4..0.6 } else { 0.0..0.01 };
        assert!(expect.contains(&zeros), "{}: {zeros}", param.name);
    }
}
