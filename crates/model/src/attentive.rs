//! A stack of layers that writes one text while it attends to another.

use grulm_kernels::Compute;
use tch::Tensor;

use crate::{
    Carry, Error, Linear, ModelConfig, Noise, Params,
    attention::{Attention, Memory, mean_of_texts},
    stack::GruStack,
};

/// GRU layers that read forward, with attention after each of them, as in Bahdanau et al. (arXiv 1409.0473) but from all time
/// steps at once: what a layer finds goes to the layer above, or to the softmax. Untrained attention adds nothing, and an
/// untrained start is the state before any text: with a language model's weights it is that model until it learns.
#[derive(Debug)]
pub struct AttentiveStack {
    stack: GruStack,
    attentions: Vec<Attention>,
    /// From the mean of a text to the state that each layer starts from.
    starts: Vec<Linear>,
    heads: i64,
}

/// Texts side by side, made ready to be attended to.
#[derive(Debug)]
pub struct Source {
    memory: Memory,
    /// Of each layer's attention.
    keys: Vec<Tensor>,
    /// The state that writing starts from.
    start: Progress,
}

/// How far the writing of texts has come.
#[derive(Debug)]
pub struct Progress {
    /// `[N, H_l]` a layer.
    carry: Carry,
    /// Tokens read so far.
    place: i64,
}

impl Progress {
    /// That of the lanes at these places, int64, which may come more than once.
    ///
    /// # Errors
    /// When there is none at one of them.
    pub fn select(&self, lanes: &Tensor) -> Result<Self, Error> {
        Ok(Self { carry: self.carry.select(lanes)?, place: self.place })
    }

    /// The same handles.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self { carry: self.carry.shallow_clone(), place: self.place }
    }
}

impl Source {
    /// Where the writing of each starts.
    #[must_use]
    pub fn start(&self) -> &Progress {
        &self.start
    }

    /// The texts at these places, int64.
    ///
    /// # Errors
    /// When there is none at one of them.
    pub fn select(&self, texts: &Tensor) -> Result<Self, Error> {
        let keys = self.keys.iter().map(|keys| Ok(keys.f_index_select(0, texts)?)).collect::<Result<_, Error>>()?;
        Ok(Self { memory: self.memory.select(texts)?, keys, start: self.start.select(texts)? })
    }
}

impl AttentiveStack {
    /// Adds the weights `{prefix}.forward.rnns.0.weight_ih_l0`, ..., of the sizes and groups of a language model of `config`, and
    /// of group `group` `{prefix}.attention.0.query.weight`, ..., `{prefix}.start.0.weight`, .... The texts attended to have
    /// width `memory`, a multiple of `heads`.
    ///
    /// # Errors
    /// When there is no memory for them, or libtorch refuses to lay them out for a GPU.
    pub fn new(
        params: &mut Params,
        prefix: &str,
        config: &ModelConfig,
        (memory, heads): (i64, i64),
        group: usize,
    ) -> Result<Self, Error> {
        let stack = GruStack::new(params, &format!("{prefix}.forward"), config)?;
        let widths: Vec<_> = stack.layers().iter().map(|layer| layer.hidden()).collect();
        let attentions = widths.iter().enumerate().map(|(l, &width)| {
            Attention::new(params, &format!("{prefix}.attention.{l}"), (width, memory), heads, group)
        });
        let attentions = attentions.collect::<Result<_, Error>>()?;
        let starts = widths
            .iter()
            .enumerate()
            .map(|(l, &width)| Linear::silent(params, &format!("{prefix}.start.{l}"), (memory, width), group));
        let starts = starts.collect::<Result<_, Error>>()?;
        Ok(Self { stack, attentions, starts, heads })
    }

    /// Makes texts of these lengths, read as `x` `[S, B, M]`, ready.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn source(&self, x: &Tensor, lengths: &[i64]) -> Result<Source, Error> {
        let mean = mean_of_texts(x, lengths)?;
        let start = |layer: &Linear| Ok(layer.forward(&mean)?.f_tanh()?.f_to_kind(tch::Kind::Float)?);
        Ok(Source {
            memory: Memory::new(x, lengths, self.heads)?,
            keys: self.attentions.iter().map(|attention| attention.keys(x)).collect::<Result<_, Error>>()?,
            start: Progress { carry: Carry(self.starts.iter().map(start).collect::<Result<_, Error>>()?), place: 0 },
        })
    }

    /// Reads `x` `[T, B * R, E]`, embedded; R lanes in a row attend to each text of `source`. Returns what the softmax reads,
    /// `[T, B * R, H]`, and how far the writing has come. With `noise`, input, hidden and weight dropout apply, and units of what
    /// attention adds are dropped at the rate `dropout`.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn forward(
        &self,
        x: Tensor,
        progress: &Progress,
        source: &Source,
        noise: Option<&Noise<'_>>,
        dropout: f64,
        compute: Compute,
    ) -> Result<(Tensor, Progress), Error> {
        let (place, time) = (progress.place, x.size3()?.0);
        let (y, carry) = self.stack.forward(x, &progress.carry, noise, compute, |l, y| {
            let drop = |x| Noise::locked(noise, &format!("attention {l}"), |_| dropout, x);
            self.attentions[l].forward(&y, place, &source.memory, &source.keys[l], drop)
        })?;
        Ok((y, Progress { carry, place: place + time }))
    }
}
