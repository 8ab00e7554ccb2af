//! Prints the logits of a model folder (`model.json` and `model.safetensors`) after each of some tokens, in fp32, as JSON:
//! what `scripts/check_pytorch.py` compares with PyTorch.
//!
//!     cargo run -p grulm-model --example logits -- MODEL 5 17 42 > logits.json

use std::{collections::BTreeMap, error::Error, path::PathBuf};

use grulm_kernels::Compute;
use grulm_model::LanguageModel;
use tch::{Device, Kind, Tensor, no_grad};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: logits MODEL TOKEN...")?);
    let tokens = arguments.map(|id| Ok(id.to_str().ok_or("a token is a number")?.parse()?));
    let tokens = tokens.collect::<Result<Vec<i64>, Box<dyn Error>>>()?;
    let model = LanguageModel::open(&folder, Device::Cpu)?;
    let mut logits = BTreeMap::new();
    for &reading in model.config().direction.readings() {
        let carry = model.encoder().zero_carry(reading, 1, Device::Cpu)?;
        let window = Tensor::from_slice(&tokens).view([-1, 1]);
        let (found, _) = no_grad(|| model.logits(reading, &window, &carry, Compute::fp32()))?;
        let rows = Vec::<Vec<f32>>::try_from(found.squeeze_dim(1).to_kind(Kind::Float))?;
        logits.insert(reading.name(), rows);
    }
    let answer = serde_json::json!({ "tokens": tokens, "logits": logits });
    serde_json::to_writer(std::io::stdout().lock(), &answer)?;
    Ok(())
}
