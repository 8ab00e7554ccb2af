//! Penalties on what the last layer puts out.

use tch::{Kind, Tensor};

use crate::Error;

/// Penalties on the outputs of the last layer, for training alone: activation and temporal activation regularization (Merity
/// et al., arXiv 1708.01009).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutputPenalties {
    /// Times the mean square of the outputs after dropout.
    pub activation: f64,
    /// Times the mean square of the difference between the outputs before dropout of one time step and the next.
    pub temporal: f64,
}

impl OutputPenalties {
    /// Their sum for outputs `[T, B, H]` before and after dropout, 0-dim, with its gradient; `None` where there are none.
    pub(crate) fn of(&self, before: &Tensor, after: &Tensor) -> Result<Option<Tensor>, Error> {
        let mean_square = |x: &Tensor| x.f_to_kind(Kind::Float)?.f_square()?.f_mean(Kind::Float);
        let steps = before.size3()?.0 - 1;
        let activation = match self.activation {
            0.0 => None,
            weight => Some(mean_square(after)?.f_mul_scalar(weight)?),
        };
        let temporal = match self.temporal {
            weight if weight > 0.0 && steps > 0 => {
                let change = before.f_narrow(0, 1, steps)?.f_sub(&before.f_narrow(0, 0, steps)?)?;
                Some(mean_square(&change)?.f_mul_scalar(weight)?)
            }
            _ => None,
        };
        Ok(match (activation, temporal) {
            (Some(activation), Some(temporal)) => Some(activation.f_add(&temporal)?),
            (one, other) => one.or(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // h = torch.tensor([[[1., 2.]], [[0., 4.]], [[2., 0.]]]); dropped = h * torch.tensor([2., 0.])
    // 2 * dropped.pow(2).mean(), 3 * (h[1:] - h[:-1]).pow(2).mean()
    #[test]
    fn penalties_are_those_of_awd_lstm() {
        let h = Tensor::from_slice(&[1f32, 2.0, 0.0, 4.0, 2.0, 0.0]).view([3, 1, 2]);
        let dropped = &h * Tensor::from_slice(&[2f32, 0.0]);
        let check = |activation, temporal, expect: Option<f64>| {
            let found = OutputPenalties { activation, temporal }.of(&h, &dropped).unwrap();
            assert_eq!(found.map(|sum| sum.double_value(&[])), expect);
        };
        check(0.0, 0.0, None);
        check(2.0, 0.0, Some(2.0 * 20.0 / 6.0).map(|x: f64| f64::from(x as f32)));
        check(0.0, 3.0, Some(3.0 * 25.0 / 4.0));
        check(1.5, 3.0, Some(23.75));
        let one_step = OutputPenalties { activation: 0.0, temporal: 1.0 }.of(&h.narrow(0, 0, 1), &h.narrow(0, 0, 1));
        assert!(one_step.unwrap().is_none());
    }
}
