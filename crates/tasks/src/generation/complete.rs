//! Completions of many prompts side by side.

use grulm_corpus::Special;
use grulm_kernels::{Compute, upload};
use grulm_model::{Reading, Sampler, Sampling};
use tch::{Kind, no_grad};

use super::Completer;
use crate::{Bundle, Error, Text};

/// What follows a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Whether the model ended it, not the limit.
    pub ended: bool,
}

/// One prompt on its way.
struct Lane {
    /// `<eos>`, the prompt, `<sep>`, and what was chosen.
    tokens: Vec<u32>,
    prompt: usize,
    ended: bool,
    sampler: Sampler,
}

impl Lane {
    fn is_done(&self, limit: usize) -> bool {
        self.ended || self.tokens.len() - self.prompt >= limit
    }
}

/// Completes prompts, in order, side by side: each with `limit` tokens at most. A prompt's place in the list and
/// `sampling.seed` decide what is drawn for it.
///
/// # Errors
/// When a setting is out of range, the tokenizer refuses, or memory runs out.
pub fn complete(
    bundle: &Bundle<Completer>,
    prompts: &[String],
    limit: usize,
    sampling: &Sampling,
    compute: Compute,
) -> Result<Vec<Completion>, Error> {
    sampling.validate()?;
    let Bundle { tokenizer, cleaner, .. } = bundle;
    let (model, device) = (&bundle.model.model, bundle.model.model.device());
    let eos = tokenizer.special(Special::Eos);
    let never = [Special::Pad, Special::Unk, Special::Bos, Special::Sep, Special::Mask].map(|s| tokenizer.special(s));
    let vocabulary = usize::try_from(model.vocab_size()).unwrap_or(0);
    let lane = |(index, prompt): (usize, &String)| {
        // What would be an empty completion, without its final <eos>.
        let (mut tokens, _) = Text { text: prompt.clone(), pair: Some(String::new()) }.encode(cleaner, tokenizer)?;
        tokens.pop();
        let own = Sampling { seed: sampling.seed.wrapping_add(index as u64), ..sampling.clone() };
        Ok(Lane { prompt: tokens.len(), tokens, ended: false, sampler: Sampler::new(own, vocabulary) })
    };
    let mut lanes = prompts.iter().enumerate().map(lane).collect::<Result<Vec<_>, Error>>()?;
    let mut carry = model.encoder().zero_carry(Reading::Forward, lanes.len() as i64, device)?;
    let mut at = 0;
    while lanes.iter().any(|lane| !lane.is_done(limit)) {
        // A lane that is done goes on reading its last token, and nothing of it is taken.
        let token = |lane: &Lane| i64::from(*lane.tokens.get(at).or(lane.tokens.last()).unwrap_or(&eos));
        let inputs: Vec<_> = lanes.iter().map(token).collect();
        let inputs = upload(&inputs, device)?.f_view([1, -1])?;
        let (logits, after) = no_grad(|| model.logits(Reading::Forward, &inputs, &carry, compute))?;
        carry = after;
        at += 1;
        let chooses = |lane: &Lane| lane.tokens.len() == at && !lane.is_done(limit);
        if !lanes.iter().any(chooses) {
            continue;
        }
        let logits = Vec::<Vec<f32>>::try_from(logits.f_squeeze_dim(0)?.f_to_kind(Kind::Float)?)?;
        for (lane, mut logits) in lanes.iter_mut().zip(logits) {
            if lane.tokens.len() != at || lane.is_done(limit) {
                continue;
            }
            for &id in &never {
                if let Some(logit) = logits.get_mut(id as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
            let id = lane.sampler.choose(&mut logits, &lane.tokens[1..], at as u64);
            if id == eos {
                lane.ended = true;
            } else {
                lane.tokens.push(id);
            }
        }
    }
    let completion = |lane: Lane| {
        let text = tokenizer.decode(&lane.tokens[lane.prompt..])?;
        Ok(Completion { text, ended: lane.ended })
    };
    lanes.into_iter().map(completion).collect()
}
