//! How alike the tokens of two texts are, and what one text finds in the other by it.

use tch::{Kind, Tensor};

use crate::{Error, Linear, Params};

/// Scores `f(U a)^T D f(U b)` of pairs of tokens, `f` being the rectifier and `D` diagonal (Huang et al., arXiv 1711.07341):
/// symmetric, so that it is learned which units say that two tokens have to do with each other.
#[derive(Debug)]
pub(crate) struct Similarity {
    projection: Linear,
    /// The diagonal, `[W]`.
    weight: Tensor,
}

impl Similarity {
    /// Adds `{name}.projection.weight`, ..., and `{name}.weight`, for tokens of width I that are compared in W units.
    pub(crate) fn new(
        params: &mut Params,
        name: &str,
        (input, width): (i64, i64),
        group: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            projection: Linear::new(params, &format!("{name}.projection"), (input, width), group)?,
            weight: params.add_ones(format!("{name}.weight"), &[width], group)?,
        })
    }

    /// What is compared of tokens `x` `[T, B, I]`: `[T, B, W]`.
    pub(crate) fn keys(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(self.projection.forward(x)?.f_relu()?)
    }

    /// The scores `[B, T, S]`, f32, of tokens with the keys `a` `[T, B, W]` and `b` `[S, B, W]`.
    pub(crate) fn scores(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, Error> {
        products(&a.f_mul(&self.weight)?, b)
    }
}

/// The products `[B, T, S]`, f32, of all tokens of `a` `[T, B, W]` with all of `b` `[S, B, W]`.
pub(crate) fn products(a: &Tensor, b: &Tensor) -> Result<Tensor, Error> {
    Ok(a.f_transpose(0, 1)?.f_bmm(&b.f_permute([1, 2, 0])?)?.f_to_kind(Kind::Float)?)
}

/// What each of T tokens finds among the `values` `[S, B, D]` by its `scores` `[B, T, S]`: their mean, weighted by a softmax over
/// those that are not `outside` (bool `[B, 1, S]` or `[B, T, S]`); `[T, B, D]`.
pub(crate) fn found(scores: &Tensor, outside: &Tensor, values: &Tensor) -> Result<Tensor, Error> {
    let weights = scores.f_masked_fill(outside, f64::NEG_INFINITY)?.f_softmax(2, Kind::Float)?;
    let found = weights.f_bmm(&values.f_transpose(0, 1)?)?;
    Ok(found.f_to_kind(Kind::Float)?.f_transpose(0, 1)?)
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;
    use crate::Site;

    fn numbers(x: &Tensor) -> Vec<f64> {
        Vec::try_from(x.to_kind(Kind::Double).reshape(-1)).unwrap()
    }

    /// Against plain loops in double precision.
    #[test]
    fn scores_and_what_is_found_by_them() {
        let (t, s, batch, width, units, depth) = (3, 4, 2, 5, 6, 2);
        let mut params = Params::new(3, Cpu);
        let similarity = Similarity::new(&mut params, "similar", (width, units), 0).unwrap();
        let draw = |seed, shape: &[i64]| Site::new(seed).uniform_tensor(shape, 1.0, Cpu).unwrap();
        tch::no_grad(|| similarity.weight.shallow_clone().copy_(&draw(1, &[units])));
        let (a, b, values) = (draw(2, &[t, batch, width]), draw(3, &[s, batch, width]), draw(4, &[s, batch, depth]));
        let lengths = [s, s - 2];
        let outside = Tensor::from_slice(&[false, false, false, false, false, false, true, true]).view([batch, 1, s]);
        let keys = |x: &Tensor| similarity.keys(x).unwrap();
        let scores = similarity.scores(&keys(&a), &keys(&b)).unwrap();
        let result = found(&scores, &outside, &values).unwrap();
        assert_eq!((scores.size(), result.size()), (vec![batch, t, s], vec![t, batch, depth]));

        let weights: Vec<Vec<f64>> = params.iter().map(|param| numbers(&param.tensor.detach())).collect();
        let [matrix, bias, diagonal] = weights.as_slice() else { panic!("{} weights", weights.len()) };
        let key = |x: &[f64], unit: usize| {
            let row = &matrix[unit * width as usize..][..width as usize];
            (bias[unit] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).max(0.0)
        };
        for lane in 0..batch {
            for i in 0..t {
                let score = |j: i64| {
                    let (x, y) = (numbers(&a.get(i).get(lane)), numbers(&b.get(j).get(lane)));
                    (0..units as usize).map(|u| key(&x, u) * diagonal[u] * key(&y, u)).sum::<f64>()
                };
                let own: Vec<f64> = (0..s).map(score).collect();
                for (j, own) in own.iter().enumerate() {
                    assert!((scores.double_value(&[lane, i, j as i64]) - own).abs() < 1e-5);
                }
                let powers: Vec<f64> = own[..lengths[lane as usize] as usize].iter().map(|x| x.exp()).collect();
                let sum: f64 = powers.iter().sum();
                for d in 0..depth {
                    let value = |j: usize| values.double_value(&[j as i64, lane, d]);
                    let mean: f64 = powers.iter().enumerate().map(|(j, p)| p / sum * value(j)).sum();
                    assert!((result.double_value(&[i, lane, d]) - mean).abs() < 1e-5);
                }
            }
        }
    }
}
