//! A layer that reads texts side by side from both ends.

use grulm_kernels::Compute;
use tch::{Device, Kind, Tensor};

use crate::{Error, Params, gru::GruLayer};

/// Turns texts of different lengths around, each within its own length, so that a backward reading begins at the last token of
/// a text and not at what fills it up. Done twice, everything is back where it was.
#[derive(Debug)]
pub struct Turn {
    /// For each place of `[T * B]` the one whose row comes there; int64.
    rows: Tensor,
}

impl Turn {
    /// For texts of these lengths in a batch of `time` steps.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(lengths: &[i64], time: i64, device: Device) -> Result<Self, Error> {
        let lanes = lengths.len() as i64;
        let row = |t: i64, (lane, &length): (usize, &i64)| {
            let from = if t < length { length - 1 - t } else { t };
            from * lanes + lane as i64
        };
        let rows: Vec<i64> = (0..time).flat_map(|t| lengths.iter().enumerate().map(move |own| row(t, own))).collect();
        Ok(Self { rows: grulm_kernels::upload(&rows, device)? })
    }

    /// `x` `[T, B, H]` with every text turned around.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (time, lanes, width) = x.size3()?;
        Ok(x.f_reshape([time * lanes, width])?.f_index_select(0, &self.rows)?.f_view([time, lanes, width])?)
    }
}

/// A GRU layer in each direction over the same input (Schuster and Paliwal 1997), not pretrained.
#[derive(Debug)]
pub struct Bidirectional {
    forward: GruLayer,
    backward: GruLayer,
}

impl Bidirectional {
    /// Adds `{prefix}.forward.weight_ih_l0`, ..., `{prefix}.backward.bias_hh_l0` for inputs of width I and `hidden` units a
    /// direction.
    ///
    /// # Errors
    /// When there is no memory for them, or libtorch refuses to lay them out for a GPU.
    pub fn new(params: &mut Params, prefix: &str, (input, hidden): (i64, i64), group: usize) -> Result<Self, Error> {
        let mut layer = |name: &str| GruLayer::new(params, &format!("{prefix}.{name}"), (input, hidden), group);
        Ok(Self { forward: layer("forward")?, backward: layer("backward")? })
    }

    /// Reads `x` `[T, B, I]`; returns `[T, B, 2H]`, at each token what was read before and after it. What stands behind the end
    /// of a text is of no use.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, turn: &Turn, compute: Compute) -> Result<Tensor, Error> {
        let (_, lanes, _) = x.size3()?;
        let zero = |layer: &GruLayer| Tensor::zeros([lanes, layer.hidden()], (Kind::Float, x.device()));
        let (forward, _) = self.forward.forward(x, &zero(&self.forward), None, compute)?;
        let (backward, _) = self.backward.forward(&turn.apply(x)?, &zero(&self.backward), None, compute)?;
        Ok(Tensor::f_cat(&[forward, turn.apply(&backward)?], 2)?)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;
    use crate::Site;

    #[test]
    fn texts_are_turned_around_within_their_lengths() {
        let x = Tensor::arange(8, (Kind::Float, Cpu)).view([4, 2, 1]);
        let turn = Turn::new(&[4, 2], 4, Cpu).unwrap();
        let turned = turn.apply(&x).unwrap();
        assert_eq!(Vec::<f32>::try_from(turned.view(-1)).unwrap(), [6., 3., 4., 1., 2., 5., 0., 7.]);
        assert!(turn.apply(&turned).unwrap().equal(&x));
    }

    /// A text reads the same alone as beside a longer one.
    #[test]
    fn what_fills_up_a_text_is_not_read() {
        let mut params = Params::new(1, Cpu);
        let layer = Bidirectional::new(&mut params, "top", (3, 4), 0).unwrap();
        let x = Site::new(2).uniform_tensor(&[5, 2, 3], 1.0, Cpu).unwrap();
        let read = |x: &Tensor, lengths: &[i64]| {
            let turn = Turn::new(lengths, x.size3().unwrap().0, Cpu).unwrap();
            layer.forward(x, &turn, Compute::fp32()).unwrap()
        };
        let both = read(&x, &[5, 3]);
        assert_eq!(both.size(), [5, 2, 8]);
        let alone = read(&x.narrow(1, 1, 1).narrow(0, 0, 3), &[3]);
        assert!(both.narrow(1, 1, 1).narrow(0, 0, 3).allclose(&alone, 1e-6, 1e-6, false));
        // The first token knows the last one, and the other way round.
        let changed = x.copy();
        let _ = changed.get(4).get(0).fill_(9.0);
        let other = read(&changed, &[5, 3]);
        assert!(!other.get(0).get(0).allclose(&both.get(0).get(0), 1e-6, 1e-6, false));
        assert!(other.narrow(1, 1, 1).allclose(&both.narrow(1, 1, 1), 1e-6, 1e-6, false));
    }
}
