//! Layers without a state: linear maps and layer normalisation.

use tch::{Kind, Tensor};

use crate::{Error, Params};

/// `x W^T + b`, the weights under the names of `torch.nn.Linear`.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Adds `{name}.weight` `[O, I]`, drawn from U(-b, b) with b = sqrt(6 / (I + O)) (Glorot and Bengio 2010), and `{name}.bias`
    /// `[O]`, zero.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn new(params: &mut Params, name: &str, sizes: (i64, i64), group: usize) -> Result<Self, Error> {
        let Self { weight, .. } = Self::without_bias(params, name, sizes, group)?;
        Ok(Self { weight, bias: Some(bias(params, name, sizes.1, group)?) })
    }

    /// The same, drawn from U(-1 / sqrt(I), 1 / sqrt(I)), as `torch.nn.Linear` does.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn narrow(params: &mut Params, name: &str, (input, output): (i64, i64), group: usize) -> Result<Self, Error> {
        let bound = 1.0 / (input as f64).sqrt();
        let weight = params.add(format!("{name}.weight"), &[output, input], bound, group)?;
        Ok(Self { weight, bias: Some(bias(params, name, output, group)?) })
    }

    /// The same without a bias.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn without_bias(
        params: &mut Params,
        name: &str,
        (input, output): (i64, i64),
        group: usize,
    ) -> Result<Self, Error> {
        let bound = (6.0 / (input + output) as f64).sqrt();
        Ok(Self { weight: params.add(format!("{name}.weight"), &[output, input], bound, group)?, bias: None })
    }

    /// The same with weights of zero: whatever its result is added to stays what it is until the layer has learned.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn silent(params: &mut Params, name: &str, (input, output): (i64, i64), group: usize) -> Result<Self, Error> {
        let weight = params.add(format!("{name}.weight"), &[output, input], 0.0, group)?;
        Ok(Self { weight, bias: Some(bias(params, name, output, group)?) })
    }

    /// From `[.., I]` to `[.., O]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }
}

fn bias(params: &mut Params, name: &str, width: i64, group: usize) -> Result<Tensor, Error> {
    params.add(format!("{name}.bias"), &[width], 0.0, group)
}

/// Layer normalisation (Ba et al., arXiv 1607.06450), in f32.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    width: i64,
}

impl LayerNorm {
    /// Added to the variance.
    const EPSILON: f64 = 1e-5;

    /// Adds `{name}.weight`, ones, and `{name}.bias`, zeros, both `[width]`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn new(params: &mut Params, name: &str, width: i64, group: usize) -> Result<Self, Error> {
        let weight = params.add_ones(format!("{name}.weight"), &[width], group)?;
        Ok(Self { weight, bias: params.add(format!("{name}.bias"), &[width], 0.0, group)?, width })
    }

    /// Normalises the last dimension of `[.., width]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let x = x.f_to_kind(Kind::Float)?;
        Ok(x.f_layer_norm([self.width], Some(&self.weight), Some(&self.bias), Self::EPSILON, false)?)
    }
}
