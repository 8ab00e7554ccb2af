//! Scoring a text with a model: what `evaluate` prints, and `run` of the test split.

use std::ops::Range;

use anyhow::bail;
use grulm_cli::output::{Object, figures_to_json};
use grulm_corpus::{Special, TokenStream};
use grulm_kernels::{Compute, Packing};
use grulm_model::Reading;
use grulm_tasks::{Bundle, TextScore, sequence_nlls, token_nlls};
use serde_json::Value;

/// A scored text.
pub(crate) struct Scored {
    /// Named figures; those of a model of two directions end in `_forward` and `_backward`.
    pub(crate) figures: Vec<(String, f64)>,
    /// The negative log likelihood of every token, in nats and reading order.
    readings: Vec<(Reading, Vec<f32>)>,
}

/// Scores `stream`, a text of `bytes`. With one lane the state is carried through the whole text; weights of eight bits have
/// only one.
///
/// # Errors
/// When libtorch refuses, out of memory included.
pub(crate) fn score(
    bundle: &Bundle,
    stream: &TokenStream,
    bytes: u64,
    lanes: usize,
    packing: Packing,
) -> anyhow::Result<Scored> {
    let eos = bundle.tokenizer.special(Special::Eos);
    let readings = bundle.model.config().direction.readings();
    let mut scored = Scored { figures: Vec::new(), readings: Vec::new() };
    for &reading in readings {
        let nlls = match packing.precision() {
            Some(precision) => {
                let compute = Compute { precision, ..Compute::fp32() };
                token_nlls(&bundle.model, reading, stream, lanes, eos, compute)?
            }
            None => sequence_nlls(&bundle.model, reading, stream, eos, packing)?,
        };
        scored.figures.extend(TextScore::new(&nlls, bytes).figures(&suffix(readings, reading)));
        scored.readings.push((reading, nlls));
    }
    Ok(scored)
}

/// The figures of a text without a token: the names are those of any other.
pub(crate) fn figures_of_none(bundle: &Bundle) -> Vec<(String, f64)> {
    let readings = bundle.model.config().direction.readings();
    readings.iter().flat_map(|&reading| TextScore::new(&[], 0).figures(&suffix(readings, reading))).collect()
}

fn suffix(readings: &[Reading], reading: Reading) -> String {
    if readings.len() == 1 { String::new() } else { format!("_{}", reading.name()) }
}

impl Scored {
    /// The scores of each document of `tokens`: those that end in `eos`.
    ///
    /// # Errors
    /// When there are not as many as `documents`.
    pub(crate) fn documents(&self, tokens: &[u32], eos: u32, documents: u64) -> anyhow::Result<Vec<Object>> {
        let ranges = ranges(tokens, eos);
        if ranges.len() as u64 != documents {
            bail!("the text has <eos> within its {documents} documents, so they cannot be told apart for --per-line");
        }
        let all: Vec<_> = self.readings.iter().map(|(reading, _)| *reading).collect();
        let document = |(index, range): (usize, &Range<usize>)| {
            let mut object = Object::from_iter([("document".to_owned(), Value::from(index + 1))]);
            for (reading, nlls) in &self.readings {
                // Bits a byte would need the bytes of each document.
                let mut figures =
                    TextScore::new(&nlls[places(*reading, range, nlls.len())], 0).figures(&suffix(&all, *reading));
                figures.retain(|(name, _)| !name.starts_with("bits_per_byte"));
                object.extend(figures_to_json(&figures));
            }
            object
        };
        Ok(ranges.iter().enumerate().map(document).collect())
    }
}

/// The documents of a text, each with the `eos` at its end.
fn ranges(tokens: &[u32], eos: u32) -> Vec<Range<usize>> {
    let ends = tokens.iter().enumerate().filter(|&(_, &token)| token == eos).map(|(index, _)| index + 1);
    let mut start = 0;
    ends.map(|end| std::mem::replace(&mut start, end)..end).collect()
}

/// Where the tokens of a document stand in reading order, of `total`. A backward model predicts the words of a document from
/// its end, and then the `eos` before it.
fn places(reading: Reading, document: &Range<usize>, total: usize) -> Range<usize> {
    match reading {
        Reading::Forward => document.clone(),
        Reading::Backward => total - document.end..total - document.start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_in_both_directions() {
        let check = |tokens: &[u32], expect: &[Range<usize>]| assert_eq!(ranges(tokens, 9), expect);
        check(&[], &[]);
        check(&[1, 2, 9, 9, 3, 9], &[0..3, 3..4, 4..6]);
        assert_eq!(places(Reading::Forward, &(0..3), 6), 0..3);
        assert_eq!(places(Reading::Backward, &(0..3), 6), 3..6);
        assert_eq!(places(Reading::Backward, &(4..6), 6), 0..2);
    }
}
