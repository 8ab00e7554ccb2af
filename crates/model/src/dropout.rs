//! Dropout locked in time.

use tch::Tensor;

use crate::{DropoutConfig, Error, Site};

/// The noise of one training pass: where its masks come from, and the rates. Evaluation has none.
#[derive(Debug, Clone, Copy)]
pub struct Noise<'a> {
    /// The pass.
    pub site: Site,
    /// The rates.
    pub rates: &'a DropoutConfig,
}

impl Noise<'_> {
    /// Drops whole units of `x` `[T, B, H]`, the same ones at every time step; without noise, or at a rate of 0, `x` as it is.
    /// `purpose` tells the masks of a pass from one another.
    ///
    /// # Errors
    /// When `x` has other dimensions, or the rate is not in `0..1`.
    pub fn locked(
        noise: Option<&Self>,
        purpose: &str,
        rate: impl Fn(&DropoutConfig) -> f64,
        x: Tensor,
    ) -> Result<Tensor, Error> {
        let Some(Noise { site, rates }) = noise else { return Ok(x) };
        let rate = rate(rates);
        if rate == 0.0 {
            return Ok(x);
        }
        let (_, batch, width) = x.size3()?;
        let mask = site.named(purpose).dropout_mask(&[1, batch, width], rate, x.device())?;
        Ok(x.f_mul(&mask)?)
    }
}
