//! The GRU layer: the one place through which `model` reaches it.

use tch::{Kind, Tensor};

use crate::{Compute, Error, Kernels, Precision, bridge, native::Table};

/// The weights of one layer and direction, as in `torch.nn.GRU`: gates in the order r, z, n, the reset gate applied
/// after the recurrent product.
#[derive(Debug)]
pub struct GruWeights<'a> {
    /// `[3H, I]`.
    pub weight_ih: &'a Tensor,
    /// `[3H, H]`.
    pub weight_hh: &'a Tensor,
    /// `[3H]`.
    pub bias_ih: &'a Tensor,
    /// `[3H]`.
    pub bias_hh: &'a Tensor,
}

const OPERANDS: [&str; 6] = ["x", "h", "weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// One GRU layer (Cho et al., arXiv 1406.1078; the variant of cuDNN and PyTorch) over a sequence.
///
/// `x` is `[T, B, I]`, `h` the f32 state before it, `[B, H]`. Returns the outputs `[T, B, H]` and the f32 state after the
/// last step `[B, H]`.
///
/// On a CUDA device this is cuDNN's layer: in f32, and in TF32 (the range of f32, 10 bits behind the point) where the precision
/// is bf16, whatever autocast says. With [`Kernels::Libtorch`] it is libtorch's, and the precision acts through
/// [`autocast`](crate::autocast). Otherwise it has a backward pass of its own, can be differentiated once, and the
/// precision is the type of its products, whatever autocast says. The backward pass of this crate's own kernels writes over
/// what the forward pass kept, so that it can be run once.
///
/// # Errors
/// When the shapes do not fit, a size is 0, an operand is not f32 (`x`: f32 or bf16) or they lie on several devices.
pub fn gru(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>, compute: Compute) -> Result<(Tensor, Tensor), Error> {
    check_operands(x, h, weights)?;
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    if compute.kernels == Kernels::Libtorch && !x.device().is_cuda() {
        let weights = [weight_ih, weight_hh, bias_ih, bias_hh];
        let (y, last) = x
            .f_gru(&h.unsqueeze(0), &weights, true, 1, 0.0, false, false, false)
            .map_err(|error| Error(format!("libtorch: {error}")))?;
        // Autocast makes the state bf16 as well; what is carried from window to window stays f32.
        return Ok((y, last.squeeze_dim(0).to_kind(Kind::Float)));
    }
    layer(x, h, weights, compute.precision, compute.table(x.device()))
}

/// On a CUDA device, moves the weights of a layer into one buffer, of which they become parts: what cuDNN computes from.
/// Otherwise it would copy them there in every call. Elsewhere this does nothing.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub fn flatten(weights: &GruWeights<'_>) -> Result<(), Error> {
    const GRU: i64 = 3;
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    if let (true, &[_, input], &[_, hidden]) =
        (weight_ih.device().is_cuda(), weight_ih.size().as_slice(), weight_hh.size().as_slice())
    {
        let all = [weight_ih, weight_hh, bias_ih, bias_hh];
        let flat = || Tensor::f_internal_cudnn_rnn_flatten_weight(&all, 4, input, GRU, hidden, 0, 1, false, false);
        let _ = tch::no_grad(flat).map_err(|error| Error(format!("gru: {error}")))?;
    }
    Ok(())
}

/// The layer outside of autocast: cuDNN's on a CUDA device, elsewhere the kernels of `table` or the one over libtorch's products.
/// The operands fit.
fn layer(
    x: &Tensor,
    h: &Tensor,
    weights: &GruWeights<'_>,
    precision: Precision,
    table: Option<&'static Table>,
) -> Result<(Tensor, Tensor), Error> {
    let GruWeights { weight_ih, weight_hh, bias_ih, bias_hh } = *weights;
    let bf16 = precision == Precision::Bf16;
    let operands = [x, h, weight_ih, weight_hh, bias_ih, bias_hh].map(Tensor::as_ptr);
    let [x_, h_, w_ih, w_hh, b_ih, b_hh] = operands;
    let (mut y, mut last) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the operands are live tensors borrowed for this call; on success the bridge stores two new tensors, which
    // we own from then on, and `check` has turned a failure into an error before they are looked at.
    unsafe {
        bridge::check(match table {
            Some(table) => {
                bridge::grulm_native_gru(x_, h_, w_ih, w_hh, b_ih, b_hh, bf16, table, &raw mut y, &raw mut last)
            }
            None if x.device().is_cuda() => {
                bridge::grulm_cudnn_gru(x_, h_, w_ih, w_hh, b_ih, b_hh, bf16, &raw mut y, &raw mut last)
            }
            None => bridge::grulm_gru(x_, h_, w_ih, w_hh, b_ih, b_hh, bf16, &raw mut y, &raw mut last),
        })?;
        if y.is_null() || last.is_null() {
            return Err(Error("gru: no memory for the message of an error".into()));
        }
        Ok((Tensor::from_ptr(y), Tensor::from_ptr(last)))
    }
}

/// The bridge narrows and views without looking, so the operands are checked here.
fn check_operands(x: &Tensor, h: &Tensor, weights: &GruWeights<'_>) -> Result<(), Error> {
    let weights = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh];
    for (name, tensor) in OPERANDS.into_iter().zip([x, h].into_iter().chain(weights)) {
        crate::check_defined("gru", name, tensor)?;
        // Autocast may have made the input of a layer bf16; state and weights are f32 always.
        let allowed: &[Kind] = if name == "x" { &[Kind::Float, Kind::BFloat16] } else { &[Kind::Float] };
        let kind = tensor.f_kind().map_err(|error| Error(format!("gru: {name}: {error}")))?;
        if !allowed.contains(&kind) || tensor.device() != x.device() {
            return Err(Error(format!(
                "gru: {name} is {kind:?} on {:?}; expected {allowed:?} on {:?}, as x is",
                tensor.device(),
                x.device()
            )));
        }
    }
    let (x, h, found) = (x.size(), h.size(), weights.map(Tensor::size));
    let (&[time, batch, input], &[rows, hidden]) = (x.as_slice(), h.as_slice()) else {
        return Err(Error(format!("gru: input {x:?} and state {h:?}; expected [T, B, I] and [B, H]")));
    };
    let expected = [vec![3 * hidden, input], vec![3 * hidden, hidden], vec![3 * hidden], vec![3 * hidden]];
    if [time, batch, input, hidden].contains(&0) || rows != batch || found != expected {
        return Err(Error(format!(
            "gru: input {x:?}, state {h:?} and weights {found:?} do not fit; expected weights {expected:?}, no size 0"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;

    /// Outputs and gradients with the kernels of `table`.
    fn run(sizes: (i64, i64, i64, i64), precision: Precision, table: Option<&'static Table>) -> Vec<Tensor> {
        let (time, batch, input, hidden) = sizes;
        let shapes: [&[i64]; 6] = [
            &[time, batch, input],
            &[batch, hidden],
            &[3 * hidden, input],
            &[3 * hidden, hidden],
            &[3 * hidden],
            &[3 * hidden],
        ];
        let mut salt = 0.0;
        let operands = shapes.map(|shape| {
            salt += 1.0;
            let index = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Cpu));
            let values = ((index * 12.9898 + salt).sin() * 43_758.545_3).frac().view(shape);
            let scale = if salt < 3.0 { 1.0 } else { 1.0 / (hidden.max(input) as f64).sqrt() };
            (values * scale).to_kind(Kind::Float).set_requires_grad(true)
        });
        let [x, h, weight_ih, weight_hh, bias_ih, bias_hh] = &operands;
        let (y, last) = layer(x, h, &GruWeights { weight_ih, weight_hh, bias_ih, bias_hh }, precision, table).unwrap();
        (y.square().sum(Kind::Float) + last.sum(Kind::Float)).backward();
        [y.detach(), last.detach()].into_iter().chain(operands.iter().map(Tensor::grad)).collect()
    }

    /// However many threads share the units, more than there are cores, or one that does it all because libtorch's threads
    /// are at work already.
    #[test]
    fn the_same_bits_whatever_the_number_of_threads() {
        let sizes = (4, 5, 37, 150);
        for precision in [Precision::Fp32, Precision::Bf16] {
            for (name, table) in crate::native::tables(precision) {
                let numbers = || {
                    let found = run(sizes, precision, Some(table));
                    found.iter().map(|t| Vec::<f32>::try_from(t.reshape(-1)).unwrap()).collect::<Vec<_>>()
                };
                let expected = numbers();
                let check = |threads: &str| {
                    assert!(numbers() == expected, "{name} {precision:?}, {threads} threads");
                };
                // A test has a thread of its own, and the number is that thread's.
                let before = tch::get_num_threads();
                for threads in [1, 2, 3, 5] {
                    tch::set_num_threads(threads);
                    check(&threads.to_string());
                }
                tch::set_num_threads(before);
                crate::native::parallel(2, &|own: std::ops::Range<usize>| own.for_each(|_| check("nested")));
            }
        }
    }

    /// The shapes of every instruction set, those that this processor lacks emulated: more panels than one and depths than a
    /// block, and parts of each.
    #[test]
    fn every_instruction_set_agrees_with_the_portable_layer() {
        for sizes in [(1, 1, 1, 1), (3, 20, 37, 50), (2, 9, 5, 49), (4, 17, 60, 101), (2, 20, 30, 410)] {
            for (precision, tolerance) in [(Precision::Fp32, 1e-5), (Precision::Bf16, 2e-2)] {
                let expected = run(sizes, precision, None);
                for (name, table) in crate::native::tables(precision) {
                    for (index, (found, expected)) in
                        run(sizes, precision, Some(table)).iter().zip(&expected).enumerate()
                    {
                        let norm = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]).sqrt();
                        let error =
                            norm(&(found - expected)) / norm(expected).max(0.1 * (expected.numel() as f64).sqrt());
                        assert!(error <= tolerance, "{name} {precision:?} {sizes:?}, result {index}: {error}");
                    }
                }
            }
        }
    }
}
