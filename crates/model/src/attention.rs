//! Attention over texts that were read before.

use tch::{Kind, Tensor};

use crate::{
    Error, LayerNorm, Linear, Params,
    places::{outside, places},
};

/// Texts side by side that can be attended to.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What each token holds, a part for each head: `[B, A, S, M / A]`.
    values: Tensor,
    /// Places behind the end of a text: bool `[B, 1, 1, S]`.
    outside: Tensor,
}

impl Memory {
    /// Of texts of these lengths, read as `x` `[S, B, M]`; M is a multiple of `heads`.
    pub(crate) fn new(x: &Tensor, lengths: &[i64], heads: i64) -> Result<Self, Error> {
        let outside = outside(lengths, x.size3()?.0, x.device())?.f_unsqueeze(1)?.f_unsqueeze(1)?;
        Ok(Self { values: by_head(x, heads)?, outside })
    }

    /// Those of the texts at these places, int64.
    pub(crate) fn select(&self, texts: &Tensor) -> Result<Self, Error> {
        Ok(Self { values: self.values.f_index_select(0, texts)?, outside: self.outside.f_index_select(0, texts)? })
    }
}

/// `[S, B, M]` as `[B, A, S, M / A]`.
fn by_head(x: &Tensor, heads: i64) -> Result<Tensor, Error> {
    let (time, lanes, width) = x.size3()?;
    Ok(x.f_view([time, lanes, heads, width / heads])?.f_permute([1, 2, 0, 3])?.f_contiguous()?)
}

/// The mean over the tokens of each text of `x` `[S, B, M]`: `[B, M]`, f32.
pub(crate) fn mean_of_texts(x: &Tensor, lengths: &[i64]) -> Result<Tensor, Error> {
    let outside = outside(lengths, x.size3()?.0, x.device())?.f_transpose(0, 1)?.f_unsqueeze(2)?;
    let sum = x.f_masked_fill(&outside, 0.0)?.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
    let lengths = grulm_kernels::upload(lengths, x.device())?.f_to_kind(Kind::Float)?;
    Ok(sum.f_div(&lengths.f_unsqueeze(1)?)?)
}

/// Attention with several heads (Vaswani et al., arXiv 1706.03762) and scaled products of queries and keys, whose result is
/// combined with the query as Luong et al. (arXiv 1508.04025) do, and added to it. Since the layer that adds it begins with
/// weights of zero, a pretrained layer's outputs are at first what they were.
///
/// The scores of a head fall with the distance between a place of the text and the place that is written, the one after the
/// query's, as in ALiBi (Press et al., arXiv 2108.12409), but at a rate and a pace that are learned: most translations follow
/// their source, and this much of it need not be discovered. What a head finds is its part of the text's units as they are: with
/// a projection before, a toy language took much longer to learn.
#[derive(Debug)]
pub(crate) struct Attention {
    norm: LayerNorm,
    query: Linear,
    key: Linear,
    combine: Linear,
    output: Linear,
    /// What a head's scores lose a place of distance, `[A]`.
    slope: Tensor,
    /// Places of the text that go with one that is written, `[A]`.
    pace: Tensor,
    heads: i64,
}

impl Attention {
    /// Adds the weights `{prefix}.norm.weight`, `{prefix}.query.weight`, ... for queries of width H over texts of width M, which is
    /// a multiple of `heads`.
    pub(crate) fn new(
        params: &mut Params,
        prefix: &str,
        (width, memory): (i64, i64),
        heads: i64,
        group: usize,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("{prefix}.{part}");
        // Some heads begin near, others see far.
        let slopes: Vec<_> = (0..heads).map(|head| 2f32.powi(-1 - (head % 8) as i32)).collect();
        Ok(Self {
            norm: LayerNorm::new(params, &name("norm"), width, group)?,
            query: Linear::new(params, &name("query"), (width, memory), group)?,
            // A bias would add the same to all scores of a query.
            key: Linear::without_bias(params, &name("key"), (memory, memory), group)?,
            combine: Linear::new(params, &name("combine"), (width + memory, width), group)?,
            output: Linear::silent(params, &name("output"), (width, width), group)?,
            slope: params.add_values(name("slope"), &slopes, group)?,
            pace: params.add_ones(name("pace"), &[heads], group)?,
            heads,
        })
    }

    /// The keys of texts that were read as `x` `[S, B, M]`: `[B, A, S, M / A]`.
    pub(crate) fn keys(&self, x: &Tensor) -> Result<Tensor, Error> {
        by_head(&self.key.forward(x)?, self.heads)
    }

    /// `y` `[T, B * R, H]`, the outputs from place `first` on, of which R lanes in a row belong to each text, with what they find
    /// in the texts added to it. `drop` zeroes units of what is added.
    pub(crate) fn forward(
        &self,
        y: &Tensor,
        first: i64,
        memory: &Memory,
        keys: &Tensor,
        drop: impl Fn(Tensor) -> Result<Tensor, Error>,
    ) -> Result<Tensor, Error> {
        let (time, lanes, _) = y.size3()?;
        let (texts, heads, count, width) = keys.size4()?;
        let each = lanes / texts;
        let normed = self.norm.forward(y)?;
        let queries = self.query.forward(&normed)?.f_view([time, texts, each, heads, width])?;
        let queries = queries.f_permute([1, 3, 0, 2, 4])?.f_reshape([texts, heads, time * each, width])?;
        let scores = queries.f_matmul(&keys.f_transpose(2, 3)?)?.f_to_kind(Kind::Float)?;
        let scores = scores.f_mul_scalar(1.0 / (width as f64).sqrt())?;
        let far = self.distance(first, time, count)?.f_unsqueeze(2)?.f_expand([heads, time, each, count], false)?;
        let scores = scores.f_sub(&far.f_reshape([heads, time * each, count])?)?;
        let weights = scores.f_masked_fill(&memory.outside, f64::NEG_INFINITY)?.f_softmax(3, Kind::Float)?;
        let context = weights.f_matmul(&memory.values)?.f_view([texts, heads, time, each, width])?;
        let context = context.f_permute([2, 0, 3, 1, 4])?.f_reshape([time, lanes, heads * width])?;
        let both = Tensor::f_cat(&[normed, context.f_to_kind(Kind::Float)?], 2)?;
        let combined = drop(self.combine.forward(&both)?.f_tanh()?)?;
        Ok(y.f_add(&self.output.forward(&combined)?)?)
    }

    /// What scores lose by distance, `[A, T, S]`.
    fn distance(&self, first: i64, time: i64, count: i64) -> Result<Tensor, Error> {
        let device = self.slope.device();
        let [slope, pace] = [&self.slope, &self.pace].map(|by_head| by_head.f_view([self.heads, 1, 1]));
        // The query of place t has read the token there, and writes the next.
        let here = places(time, device)?.f_add_scalar(first + 1)?.f_view([1, time, 1])?;
        let there = places(count, device)?.f_view([1, 1, count])?;
        Ok(there.f_sub(&here.f_mul(&pace?)?)?.f_abs()?.f_mul(&slope?)?)
    }
}
