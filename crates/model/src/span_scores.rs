//! Pointers to where a part of a text begins and ends.

use tch::{Kind, Tensor};

use crate::{Error, Linear, Params, places::places, similarity::products};

/// Scores the places of a text as the start of a span by what a question says (the bilinear form of Chen et al., arXiv
/// 1704.00051), and as its end also by how well it goes with the start.
#[derive(Debug)]
pub(crate) struct SpanPointers {
    start: Linear,
    end: Linear,
    head: Linear,
    tail: Linear,
}

impl SpanPointers {
    /// Adds `{prefix}.start.weight`, ... for tokens and questions of width D; starts and ends are compared in W units.
    pub(crate) fn new(
        params: &mut Params,
        prefix: &str,
        (width, units): (i64, i64),
        group: usize,
    ) -> Result<Self, Error> {
        let mut linear = |part: &str, output| Linear::new(params, &format!("{prefix}.{part}"), (width, output), group);
        Ok(Self {
            start: linear("start", width)?,
            end: linear("end", width)?,
            head: linear("head", units)?,
            tail: linear("tail", units)?,
        })
    }

    /// Scores the tokens `x` `[T, R, D]` of texts of these lengths for questions `[R, D]`. The first and the last token of a text
    /// are its borders: no span begins or ends there.
    pub(crate) fn scores(&self, x: &Tensor, question: &Tensor, lengths: &[i64]) -> Result<SpanScores, Error> {
        let (time, rows, _) = x.size3()?;
        let lengths = grulm_kernels::upload(lengths, x.device())?.f_view([rows, 1])?;
        let place = places(time, x.device())?;
        let outside = place.f_lt(1)?.f_logical_or(&place.f_ge_tensor(&lengths.f_sub_scalar(1)?)?)?;
        let score = |by: &Linear| -> Result<Tensor, Error> {
            Ok(products(x, &by.forward(question)?.f_unsqueeze(0)?)?.f_squeeze_dim(2)?)
        };
        Ok(SpanScores {
            starts: score(&self.start)?,
            ends: score(&self.end)?,
            heads: self.head.forward(x)?,
            tails: self.tail.forward(x)?,
            outside,
        })
    }
}

/// In place of negative infinity, which would make gradients that are no numbers where there is nothing else.
const LOWEST: f64 = -1e30;

/// Scores of all spans of texts side by side, in logits. A span's score is that of its start plus the log probability of its
/// end, given the start, among the ends from there on.
#[derive(Debug)]
pub struct SpanScores {
    /// Of each place as a start, `[R, T]`.
    starts: Tensor,
    /// Of each place as an end, whatever the start, `[R, T]`.
    ends: Tensor,
    /// What is asked of an end, by the start, `[T, R, W]`.
    heads: Tensor,
    /// What an end offers, `[T, R, W]`.
    tails: Tensor,
    /// Places at which no span begins or ends, bool `[R, T]`.
    outside: Tensor,
}

/// The best spans of each text.
#[derive(Debug)]
pub struct BestSpans {
    /// Their scores, `[R, K]`, falling; negative infinity where there are fewer.
    pub scores: Tensor,
    /// Their first tokens, int64 `[R, K]`.
    pub starts: Tensor,
    /// Their last tokens, int64 `[R, K]`.
    pub ends: Tensor,
}

impl SpanScores {
    /// The score of there being no such span: that of the first token, which is no part of the text; `[R]`.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn none(&self) -> Result<Tensor, Error> {
        Ok(self.starts.f_select(1, 0)?)
    }

    /// The logarithm of the sum over all spans of the exponentials of their scores, `[R]`; where there is none, below any other.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn total(&self) -> Result<Tensor, Error> {
        Ok(self.starts.f_masked_fill(&self.outside, LOWEST)?.f_logsumexp([1i64].as_slice(), false)?)
    }

    /// The scores `[M]` of the spans from `starts` to `ends` in the texts `rows`, all int64 `[M]`.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn of(&self, rows: &Tensor, starts: &Tensor, ends: &Tensor) -> Result<Tensor, Error> {
        let (count, time) = (rows.size1()?, self.starts.size2()?.1);
        // As places in what all rows hold.
        let at = |places: &Tensor| rows.f_mul_scalar(time)?.f_add(places);
        let start = self.starts.f_reshape(-1)?.f_index_select(0, &at(starts)?)?;
        let (lanes, width) = (self.heads.size3()?.1, self.heads.size3()?.2);
        let heads = self.heads.f_reshape([time * lanes, width])?;
        let heads = heads.f_index_select(0, &starts.f_mul_scalar(lanes)?.f_add(rows)?)?.f_unsqueeze(0)?;
        let by_start = products(&self.tails.f_index_select(1, rows)?, &heads)?.f_squeeze_dim(2)?;
        let logits = self.ends.f_index_select(0, rows)?.f_add(&by_start.f_mul_scalar(self.scale()?)?)?;
        let early = places(time, rows.device())?.f_lt_tensor(&starts.f_view([count, 1])?)?;
        let barred = self.outside.f_index_select(0, rows)?.f_logical_or(&early)?;
        let ends_given = logits.f_masked_fill(&barred, LOWEST)?.f_log_softmax(1, Kind::Float)?;
        let end = ends_given.f_gather(1, &ends.f_view([count, 1])?, false)?.f_squeeze_dim(1)?;
        Ok(start.f_add(&end)?)
    }

    /// The `count` best spans of at most `longest` tokens of each text.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn best(&self, count: i64, longest: i64) -> Result<BestSpans, Error> {
        let (rows, time) = self.starts.size2()?;
        let by_start = products(&self.heads, &self.tails)?.f_mul_scalar(self.scale()?)?;
        let logits = by_start.f_add(&self.ends.f_unsqueeze(1)?)?;
        let place = places(time, logits.device())?;
        let (start, end) = (place.f_unsqueeze(1)?, place.f_unsqueeze(0)?);
        let barred = self.outside.f_unsqueeze(1)?.f_logical_or(&end.f_lt_tensor(&start)?)?;
        let ends_given = logits.f_masked_fill(&barred, LOWEST)?.f_log_softmax(2, Kind::Float)?;
        let long = end.f_sub(&start)?.f_ge(longest)?;
        let barred = barred.f_logical_or(&long)?.f_logical_or(&self.outside.f_unsqueeze(2)?)?;
        let spans = ends_given.f_add(&self.starts.f_unsqueeze(2)?)?.f_masked_fill(&barred, f64::NEG_INFINITY)?;
        let (scores, best) = spans.f_view([rows, time * time])?.f_topk(count.min(time * time), 1, true, true)?;
        let starts = best.f_divide_scalar_mode(time, "floor")?;
        let ends = best.f_sub(&starts.f_mul_scalar(time)?)?;
        Ok(BestSpans { scores, starts, ends })
    }

    /// What keeps the products of heads and tails from growing with their width.
    fn scale(&self) -> Result<f64, Error> {
        Ok(1.0 / (self.heads.size3()?.2 as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use tch::Device::Cpu;

    use super::*;
    use crate::Site;

    fn table(x: &Tensor) -> Vec<Vec<f64>> {
        Vec::try_from(x.to_kind(Kind::Double)).unwrap()
    }

    /// Every span of every text, by plain loops in double precision.
    fn brute(scores: &SpanScores, lengths: &[i64], row: usize) -> Vec<(usize, usize, f64)> {
        let (starts, ends) = (table(&scores.starts), table(&scores.ends));
        let of_row = |x: &Tensor| table(&x.select(1, row as i64));
        let (heads, tails) = (of_row(&scores.heads), of_row(&scores.tails));
        let last = lengths[row] as usize - 1;
        let mut spans = Vec::new();
        for start in 1..last {
            let logit = |end: usize| {
                let product: f64 = heads[start].iter().zip(&tails[end]).map(|(a, b)| a * b).sum();
                ends[row][end] + product / (heads[start].len() as f64).sqrt()
            };
            let sum: f64 = (start..last).map(|end| logit(end).exp()).sum();
            spans.extend((start..last).map(|end| (start, end, starts[row][start] + logit(end) - sum.ln())));
        }
        spans
    }

    #[test]
    fn spans_are_scored_and_found_as_by_trying_them_all() {
        let mut params = Params::new(5, Cpu);
        let pointers = SpanPointers::new(&mut params, "pointers", (6, 4), 0).unwrap();
        for (time, lengths) in [(9, vec![9, 4, 3]), (3, vec![3]), (5, vec![2, 5])] {
            let rows = lengths.len() as i64;
            let x = Site::new(1).uniform_tensor(&[time, rows, 6], 4.0, Cpu).unwrap();
            let question = Site::new(2).uniform_tensor(&[rows, 6], 4.0, Cpu).unwrap();
            let scores = tch::no_grad(|| pointers.scores(&x, &question, &lengths)).unwrap();
            let total = Vec::<f64>::try_from(scores.total().unwrap().to_kind(Kind::Double)).unwrap();
            for longest in [1, 2, 100] {
                let best = scores.best(7, longest).unwrap();
                let (found, starts, ends) = (table(&best.scores), table(&best.starts), table(&best.ends));
                for row in 0..lengths.len() {
                    let mut all = brute(&scores, &lengths, row);
                    let sum: f64 = all.iter().map(|span| span.2.exp()).sum();
                    assert!(all.is_empty() && total[row] < -1e29 || (total[row] - sum.ln()).abs() < 1e-4);
                    for &(start, end, score) in &all {
                        let at = |place: usize| Tensor::from_slice(&[place as i64]);
                        let one = scores.of(&at(row), &at(start), &at(end)).unwrap().double_value(&[0]);
                        assert!((one - score).abs() < 1e-4, "{start} to {end}: {one}, not {score}");
                    }
                    all.retain(|span| (span.1 - span.0) < longest as usize);
                    all.sort_by(|a, b| b.2.total_cmp(&a.2));
                    for (k, &score) in found[row].iter().enumerate() {
                        match all.get(k) {
                            None => assert_eq!(score, f64::NEG_INFINITY, "more spans than there are"),
                            Some(&(start, end, expect)) => {
                                assert!((score - expect).abs() < 1e-4);
                                assert_eq!((starts[row][k], ends[row][k]), (start as f64, end as f64));
                            }
                        }
                    }
                }
            }
        }
    }
}
