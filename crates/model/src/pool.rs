//! Fixed-size summaries of texts of different lengths.

use grulm_config::Invalid;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::{Error, ModelConfig};

/// Which layers' outputs a summary is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PooledLayers {
    /// The last one's.
    #[default]
    Last,
    /// Every GRU layer's, and the embedded tokens: what the words are, beside what they came to mean.
    All,
}

impl PooledLayers {
    /// Width of a summary in all directions of a model of these sizes, F.
    #[must_use]
    pub fn width(self, config: &ModelConfig) -> i64 {
        let readings = config.direction.readings().len() as i64;
        match self {
            Self::Last => readings * PARTS * config.encoder_width(),
            Self::All => {
                let outputs: i64 = (0..config.layers).map(|layer| config.widths(layer).1).sum();
                readings * PARTS * outputs + EMBEDDED_PARTS * config.embedding
            }
        }
    }
}

/// The last output, the largest, the mean.
const PARTS: i64 = 3;
/// The largest and the mean: the last token is `<eos>` in every text.
const EMBEDDED_PARTS: i64 = 2;

/// Concat pooling (Howard and Ruder, arXiv 1801.06146) over windows of texts that are read side by side: of each text the
/// last output, the largest, and the mean of all, in `[B, 3H]`. What follows the end of a text does not count.
#[derive(Debug)]
pub struct Pool {
    /// Tokens of each text, int64 `[B]`.
    lengths: Tensor,
    /// Tokens read so far.
    read: i64,
    /// `[B, H]` each, once a window was read.
    state: Option<[Tensor; 3]>,
}

impl Pool {
    /// For texts of these lengths, int64 `[B]`, each at least 1.
    #[must_use]
    pub fn new(lengths: Tensor) -> Self {
        Self { lengths, read: 0, state: None }
    }

    /// Takes in the outputs `y` `[T, A, H]` of the next window of the first A texts; the others have ended before.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn add(&mut self, y: &Tensor) -> Result<(), Error> {
        let (time, active, width) = y.size3()?;
        let y = y.f_to_kind(Kind::Float)?;
        let left = self.lengths.f_narrow(0, 0, active)?.f_sub_scalar(self.read)?;
        let inside = Tensor::f_arange(time, (Kind::Int64, y.device()))?.f_unsqueeze(1)?.f_lt_tensor(&left)?;
        let outside = inside.f_logical_not()?.f_unsqueeze(2)?;
        let largest = y.f_masked_fill(&outside, f64::NEG_INFINITY)?.f_amax([0i64].as_slice(), false)?;
        let sum = y.f_masked_fill(&outside, 0.0)?.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
        let at =
            left.f_sub_scalar(1)?.f_clamp(0, time - 1)?.f_view([1, active, 1])?.f_expand([1, active, width], false)?;
        let last = y.f_gather(0, &at, false)?.f_squeeze_dim(0)?;
        self.read += time;
        self.state = Some(match self.state.take() {
            None => [last, largest, sum],
            Some([last_before, largest_before, sum_before]) => {
                let goes_on = left.f_gt(0)?.f_unsqueeze(1)?;
                let own = |before: &Tensor| before.f_narrow(0, 0, active);
                let with_ended = |now: Tensor, before: &Tensor| {
                    let ended = before.f_narrow(0, active, before.size2()?.0 - active)?;
                    Tensor::f_cat(&[now, ended], 0)
                };
                [
                    with_ended(last.f_where_self(&goes_on, &own(&last_before)?)?, &last_before)?,
                    with_ended(largest.f_maximum(&own(&largest_before)?)?, &largest_before)?,
                    with_ended(sum.f_add(&own(&sum_before)?)?, &sum_before)?,
                ]
            }
        });
        Ok(())
    }

    /// The summaries `[B, 3H]`: last output, largest, mean.
    ///
    /// # Errors
    /// When no window was read.
    pub fn finish(self) -> Result<Tensor, Error> {
        let [last, largest, mean] = self.parts()?;
        Ok(Tensor::f_cat(&[last, largest, mean], 1)?)
    }

    /// The summaries without the last output, `[B, 2H]`: largest, mean.
    ///
    /// # Errors
    /// When no window was read.
    pub fn finish_without_order(self) -> Result<Tensor, Error> {
        let [_, largest, mean] = self.parts()?;
        Ok(Tensor::f_cat(&[largest, mean], 1)?)
    }

    fn parts(self) -> Result<[Tensor; 3], Error> {
        let [last, largest, sum] = self.state.ok_or_else(|| Invalid::new("the number of windows", 0, "1 or more"))?;
        let mean = sum.f_div(&self.lengths.f_to_kind(Kind::Float)?.f_unsqueeze(1)?)?;
        Ok([last, largest, mean])
    }
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;

    /// However the time is cut into windows, and whatever stands after the end of a text.
    #[test]
    fn summaries_of_texts_of_different_lengths() {
        let (time, batch, width) = (7, 3, 2);
        let y = crate::Site::new(3).uniform_tensor(&[time, batch, width], 1.0, Cpu).unwrap().set_requires_grad(true);
        let lengths = [7i64, 4, 1];
        let expected: Vec<Tensor> = lengths
            .iter()
            .enumerate()
            .map(|(b, &length)| {
                let own = y.select(1, b as i64).narrow(0, 0, length);
                let (last, mean) = (own.get(length - 1), own.mean_dim([0i64].as_slice(), false, Kind::Float));
                Tensor::cat(&[last, own.amax([0i64].as_slice(), false), mean], 0)
            })
            .collect();
        let expected = Tensor::stack(&expected, 0);
        for window in [1, 2, 3, 7, 10] {
            let mut pool = Pool::new(Tensor::from_slice(&lengths));
            let mut at = 0;
            while at < time {
                let end = time.min(at + window);
                // The longest stand first.
                let active = lengths.iter().filter(|&&length| length > at).count() as i64;
                pool.add(&y.narrow(0, at, end - at).narrow(1, 0, active)).unwrap();
                at = end;
            }
            let found = pool.finish().unwrap();
            assert!(found.allclose(&expected, 1e-6, 1e-6, false), "windows of {window}: {found:?}");
        }
        let mut pool = Pool::new(Tensor::from_slice(&lengths));
        pool.add(&y).unwrap();
        pool.finish().unwrap().sum(Kind::Float).backward();
        assert_eq!(y.grad().get(5).get(1).abs().sum(Kind::Float).double_value(&[]), 0.0, "after the end of a text");
        assert!(y.grad().get(3).get(1).abs().sum(Kind::Float).double_value(&[]) > 0.0);
        assert!(Pool::new(Tensor::from_slice(&lengths)).finish().is_err());
    }
}
