//! Texts side by side.

use std::ops::Range;

use grulm_kernels::{Compute, autocast, upload};
use grulm_model::{Encoder, Error, Noise, Pool, PooledLayers, Reading};
use tch::{Device, Kind, Tensor, no_grad};

/// Texts of a batch, the longest first.
#[derive(Debug)]
pub struct TextBatch {
    texts: Vec<Vec<i64>>,
}

impl TextBatch {
    /// Puts texts, none of them empty, side by side. They come back in the order in which they are given, which must be that
    /// of falling length.
    #[must_use]
    pub fn new(texts: Vec<Vec<i64>>) -> Self {
        debug_assert!(texts.windows(2).all(|pair| pair[0].len() >= pair[1].len()));
        Self { texts }
    }

    /// The number of texts, B.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Length of the longest text, T.
    pub(crate) fn longest(&self) -> i64 {
        self.texts.first().map_or(0, Vec::len) as i64
    }

    /// Tokens of each text.
    pub(crate) fn lengths(&self) -> Vec<i64> {
        self.texts.iter().map(|text| text.len() as i64).collect()
    }

    /// The tokens from `start` to `end` of those texts that are longer than `start`, `[end - start, active]`, in reading order.
    /// Those that end earlier are filled up.
    pub(crate) fn window(&self, reading: Reading, start: i64, end: i64, device: Device) -> Result<Tensor, Error> {
        let active = self.texts.iter().take_while(|text| text.len() as i64 > start).count();
        side_by_side(&self.texts[..active], reading, start..end, device)
    }

    /// What the window from `start` to `end` of the first `active` texts, forward, is to predict, of the tokens from `from[b]` on
    /// of each text: the places in `[T * A]` after which they come, and the tokens.
    pub(crate) fn targets(&self, start: i64, end: i64, active: i64, from: &[usize]) -> (Vec<i64>, Vec<i64>) {
        let (start, end, active) = (start as usize, end as usize, active as usize);
        let texts = self.texts[..active].iter().zip(from).enumerate();
        texts
            .flat_map(|(column, (text, &from))| {
                let places = from.max(start + 1)..text.len().min(end + 1);
                places.map(move |at| (((at - 1 - start) * active + column) as i64, text[at]))
            })
            .unzip()
    }

    /// Summaries of the texts as `encoder` reads them in each direction of `readings`, `[B, F]`, side by side. A text of any
    /// length is read to its end, in windows of `window` tokens with the state carried; gradients flow through the last one,
    /// as in ULMFiT's BPTT for text classification (arXiv 1801.06146): that of the shortest text, and all that comes later, but
    /// through two windows at most.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, or memory runs out.
    pub fn summaries(
        &self,
        encoder: &Encoder,
        (readings, layers): (&[Reading], PooledLayers),
        noise: Option<&Noise<'_>>,
        window: i64,
        compute: Compute,
        device: Device,
    ) -> Result<Tensor, Error> {
        let mut summaries = Vec::new();
        for (index, &reading) in readings.iter().enumerate() {
            let noise = noise.map(|noise| Noise { site: noise.site.at(index as u64), ..*noise });
            let mut pools = self.pools(encoder, reading, layers, noise.as_ref(), window, compute, device)?;
            if layers == PooledLayers::All {
                let embedded = pools.remove(0);
                // Every direction embeds the same tokens.
                if index == 0 {
                    summaries.push(embedded.finish_without_order()?);
                }
            }
            for pool in pools {
                summaries.push(pool.finish()?);
            }
        }
        Ok(Tensor::f_cat(&summaries, 1)?.f_to_kind(Kind::Float)?)
    }

    /// What a direction's pass over the texts gives, a pool a layer; of all layers the embedding comes first.
    #[allow(clippy::too_many_arguments, reason = "the pass is named by all of them")]
    fn pools(
        &self,
        encoder: &Encoder,
        reading: Reading,
        layers: PooledLayers,
        noise: Option<&Noise<'_>>,
        window: i64,
        compute: Compute,
        device: Device,
    ) -> Result<Vec<Pool>, Error> {
        let time = self.longest();
        let shortest = self.texts.last().map_or(0, Vec::len) as i64;
        let learned = (time - 2 * window).max(shortest - window).max(0);
        let lengths = upload(&self.lengths(), device)?;
        let mut pools: Vec<Pool> = Vec::new();
        let mut carry = encoder.zero_carry(reading, self.len() as i64, device)?;
        let mut start = 0;
        while start < time {
            let end = if start < learned { learned.min(start + window) } else { time };
            let tokens = self.window(reading, start, end, device)?;
            let before = carry.first(tokens.size2()?.1)?;
            let read = || match layers {
                PooledLayers::All => encoder.layers(reading, &tokens, &before, noise, compute),
                PooledLayers::Last => {
                    let (y, after) = encoder.forward(reading, &tokens, &before, noise, compute)?;
                    Ok((vec![y], after))
                }
            };
            let pass = || autocast(compute.precision, device, read);
            let (outputs, after) = if start < learned { no_grad(pass) } else { pass() }??;
            pools.resize_with(outputs.len(), || Pool::new(lengths.shallow_clone()));
            for (pool, y) in pools.iter_mut().zip(&outputs) {
                pool.add(y)?;
            }
            carry = after;
            start = end;
        }
        Ok(pools)
    }
}

/// The tokens in `steps` of texts of any lengths, `[T, B]`, each in reading order. Those that end earlier are filled up.
pub(crate) fn side_by_side(
    texts: &[Vec<i64>],
    reading: Reading,
    steps: Range<i64>,
    device: Device,
) -> Result<Tensor, Error> {
    let (start, end) = (steps.start as usize, steps.end as usize);
    let mut window = vec![0i64; texts.len() * (end - start)];
    for (column, text) in texts.iter().enumerate() {
        for (row, at) in (start..text.len().min(end)).enumerate() {
            let place = match reading {
                Reading::Forward => at,
                Reading::Backward => text.len() - 1 - at,
            };
            window[row * texts.len() + column] = text[place];
        }
    }
    Ok(upload(&window, device)?.f_view([(end - start) as i64, texts.len() as i64])?)
}
