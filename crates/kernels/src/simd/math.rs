//! Functions of vectors.

use super::Simd;

/// `p` and `2^n` of `e^v = 2^n * (1 + p)`, `v` held within -87 and 88. NaN stays NaN.
///
/// `n` is the integer next to `v / ln 2`, and `p` a polynomial for `e^r - 1` of what remains (the coefficients are those of a
/// minimax fit on `-ln 2 / 2 ..= ln 2 / 2`, as in Cephes' `expf`).
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
unsafe fn exp_parts<S: Simd>(v: S::V) -> (S::V, S::V) {
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // SAFETY: the caller's.
    unsafe {
        // The bound first: of two operands of which one is NaN, these instructions give the second.
        let v = S::max(S::splat(-87.0), S::min(S::splat(88.0), v));
        let n = S::round(S::mul(v, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-LN2_LOW), S::fma(n, S::splat(-LN2_HIGH), v));
        let mut p = S::splat(POLYNOMIAL[0]);
        for c in &POLYNOMIAL[1..] {
            p = S::fma(p, r, S::splat(*c));
        }
        (S::fma(p, S::mul(r, r), r), S::exp2i(n))
    }
}

/// e to the power of `v`, to two units in the last place; below -87 it is next to zero, above 88 it stops growing. NaN stays
/// NaN.
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(v: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let (p, power) = exp_parts::<S>(v);
        S::mul(S::add(p, S::splat(1.0)), power)
    }
}

/// 1 / (1 + e^-v).
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(v: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), v))))
    }
}

/// The hyperbolic tangent, to a relative error of 3e-7: `m / (m + 2)` with `m = e^2v - 1 = 2^n * p + (2^n - 1)`, where no 1 is
/// added that takes the digits of small arguments.
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(v: S::V) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        let (p, power) = exp_parts::<S>(S::add(v, v));
        let m = S::fma(p, power, S::sub(power, S::splat(1.0)));
        S::div(m, S::add(m, S::splat(2.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Job, with_each};

    struct Apply<'a> {
        values: &'a [f32],
        found: *mut [f32; 3],
    }

    impl Job for Apply<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(&self) {
            for (i, &x) in self.values.iter().enumerate() {
                let mut lanes = [[0f32; 16]; 3];
                // SAFETY: as many triples as values stand behind `found`; the test asked for the instruction set.
                unsafe {
                    let v = S::splat(x);
                    S::store(lanes[0].as_mut_ptr(), exp::<S>(v));
                    S::store(lanes[1].as_mut_ptr(), sigmoid::<S>(v));
                    S::store(lanes[2].as_mut_ptr(), tanh::<S>(v));
                    *self.found.add(i) = lanes.map(|lanes| lanes[0]);
                }
            }
        }
    }

    fn check<S: Simd>() {
        let values = (-8800..=8800).map(|i| i as f32 / 100.0).chain([0.0, 1e4, -1e4]);
        let small = (-40..0).flat_map(|e| [1.0, 1.5, -1.9].map(|x: f32| x * 2f32.powi(e)));
        let values: Vec<f32> = values.chain(small).collect();
        let mut found = vec![[0f32; 3]; values.len()];
        // SAFETY: the caller asked for the instruction set.
        unsafe { S::execute(&Apply { values: &values, found: found.as_mut_ptr() }) };
        for (&x, [exp, sigmoid, tanh]) in values.iter().zip(found) {
            let exact = f64::from(x.clamp(-87.0, 88.0)).exp();
            assert!((f64::from(exp) / exact - 1.0).abs() < 3e-7, "exp {x}: {exp}");
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid) - exact).abs() < 2e-7, "sigmoid {x}: {sigmoid}");
            let exact = f64::from(x).tanh();
            assert!((f64::from(tanh) - exact).abs() <= 3e-7 * exact.abs(), "tanh {x}: {tanh}");
        }
        let mut nan = [[0f32; 3]];
        // SAFETY: as above.
        unsafe { S::execute(&Apply { values: &[f32::NAN], found: nan.as_mut_ptr() }) };
        assert!(nan[0].iter().all(|x| x.is_nan()), "{nan:?}");
    }

    #[test]
    fn functions_agree_with_double_precision() {
        with_each!(check);
    }
}
