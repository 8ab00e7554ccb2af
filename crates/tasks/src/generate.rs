//! Text generation, a token at a time.

use grulm_corpus::{Special, StreamDecoder};
use grulm_kernels::Packing;
use grulm_model::{Sampler, Sampling};

use crate::{Error, bundle::Bundle, reader::Reader};

/// Writes on from a prompt: an iterator over pieces of text, which ends at `<eos>` or at the limit.
pub struct Generation<'a> {
    bundle: &'a Bundle,
    sampler: Sampler,
    reader: Reader<'a>,
    /// Until the text has ended.
    decoder: Option<StreamDecoder<'a>>,
    /// Initial `<eos>`, prompt, and what was generated.
    tokens: Vec<u32>,
    /// Tokens of `tokens` that the model has read.
    read: usize,
    prompt: usize,
    limit: usize,
    ended: bool,
}

impl<'a> Generation<'a> {
    /// Begins after `prompt`, which is cleaned as the corpus was and may be empty or of any length. On a CPU the weights are
    /// copied and packed as `packing` says, so that nothing but the text takes memory from then on.
    ///
    /// # Errors
    /// When the model has no forward half, or lies on another device and `packing` is for CPUs alone; when a setting is out of
    /// range, or the prompt cannot be encoded.
    pub fn new(
        bundle: &'a Bundle,
        prompt: &str,
        limit: usize,
        sampling: Sampling,
        packing: Packing,
    ) -> Result<Self, Error> {
        sampling.validate().map_err(grulm_model::Error::from)?;
        let mut tokens = vec![bundle.tokenizer.special(Special::Eos)];
        bundle.tokenizer.encode(&bundle.cleaner.clean(prompt), &mut tokens)?;
        let reader = Reader::new(&bundle.model, packing)?;
        let vocabulary = usize::try_from(bundle.model.vocab_size()).unwrap_or(0);
        let sampler = Sampler::new(sampling, vocabulary);
        let mut decoder = bundle.tokenizer.decoder();
        for &id in &tokens[1..] {
            // The decoder must know the prompt, to know whether a space stands before the first generated word.
            drop(decoder.push(id));
        }
        let prompt = tokens.len();
        let decoder = Some(decoder);
        Ok(Self { bundle, sampler, reader, decoder, tokens, read: 0, prompt, limit, ended: false })
    }

    /// Tokens generated so far, without the final `<eos>`.
    #[must_use]
    pub fn generated(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Whether the text ended with `<eos>`, not at the limit.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    fn next_piece(&mut self) -> Result<Option<String>, Error> {
        while !self.ended && self.generated() < self.limit {
            let logits = self.reader.read(&self.tokens[self.read..])?;
            self.read = self.tokens.len();
            for special in [Special::Pad, Special::Unk, Special::Bos, Special::Sep, Special::Mask] {
                if let Some(logit) = logits.get_mut(self.bundle.tokenizer.special(special) as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
            let id = self.sampler.choose(logits, &self.tokens[1..], self.tokens.len() as u64);
            if id == self.bundle.tokenizer.special(Special::Eos) {
                self.ended = true;
                break;
            }
            self.tokens.push(id);
            if let Some(piece) = self.decoder.as_mut().and_then(|decoder| decoder.push(id)) {
                return Ok(Some(piece));
            }
        }
        // The limit may have cut a character in two.
        Ok(self.decoder.take().and_then(StreamDecoder::finish))
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

impl std::fmt::Debug for Generation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sampler, tokens, prompt, limit, ended, .. } = self;
        let mut fields = f.debug_struct("Generation");
        fields.field("sampling", sampler.sampling()).field("tokens", tokens).field("prompt", prompt);
        fields.field("limit", limit).field("ended", ended).finish_non_exhaustive()
    }
}
