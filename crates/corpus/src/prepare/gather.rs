//! The first pass: documents are read, cleaned, filtered and written to the spool, and their keys are spilled.

use std::borrow::Cow;
use std::path::Path;

use indicatif::ProgressBar;

use super::ordered::ordered;
use super::plan::Plan;
use super::reading::{Batch, batches};
use super::rejects::{Reject, Rejects, cut};
use super::spool::{Spool, SpoolWriter};
use crate::dedup::{Entry, Folded, MinHash, Spill, Spilled, text_key};
use crate::split::by_hash;
use crate::tokenized::keeps_blank;
use crate::{Error, Split, Verdict};

/// What the first pass leaves.
pub(super) struct Gathered {
    /// The documents.
    pub(super) spool: Spool,
    /// Keys of whole texts, where they are needed.
    pub(super) texts: Option<Spilled>,
    /// Keys of MinHash bands, where they are needed.
    pub(super) bands: Option<Spilled>,
    /// What filters dropped.
    pub(super) rejects: Rejects,
    /// Documents read.
    pub(super) documents_read: u64,
    /// Lines that filters removed.
    pub(super) removed_lines: u64,
    /// Undecodable characters.
    pub(super) replaced: u64,
}

/// A batch behind cleaning and filters.
struct Cleaned {
    input: usize,
    kept: Vec<Kept>,
    rejects: Rejects,
    documents_read: u64,
    removed_lines: u64,
    read: u64,
    replaced: u64,
}

struct Kept {
    position: u64,
    text: String,
    /// Of the whole text; `None` where it is blank.
    key: Option<u128>,
    bands: Vec<u128>,
}

/// Runs the first pass; temporary files go to `work`.
pub(super) fn gather(plan: &Plan<'_>, work: &Path, progress: &ProgressBar) -> Result<Gathered, Error> {
    let dedup = &plan.corpus.dedup;
    let minhash = dedup.near.then(|| MinHash::new(dedup.jaccard, dedup.permutations));
    let mut writer = Writer {
        plan,
        spool: SpoolWriter::create(&work.join("documents"))?,
        texts: (dedup.exact || dedup.held_out).then(|| Spill::create(work, "texts")).transpose()?,
        bands: dedup.near.then(|| Spill::create(work, "bands")).transpose()?,
        last: (0, Split::Train),
    };
    let (mut rejects, mut documents_read, mut removed_lines, mut replaced) = (Rejects::default(), 0, 0, 0);
    std::thread::scope(|scope| {
        let batches = batches(scope, &plan.inputs, &plan.options).map(|batch| batch.map(|batch| (batch.bytes, batch)));
        ordered(
            &plan.pool,
            batches,
            |batch| clean(plan, minhash.as_ref(), batch),
            |cleaned| {
                writer.take(&cleaned)?;
                progress.inc(cleaned.read);
                rejects.append(cleaned.rejects);
                documents_read += cleaned.documents_read;
                removed_lines += cleaned.removed_lines;
                replaced += cleaned.replaced;
                Ok(())
            },
        )
    })?;
    Ok(Gathered {
        spool: writer.spool.finish()?,
        texts: writer.texts.map(Spill::finish).transpose()?,
        bands: writer.bands.map(Spill::finish).transpose()?,
        rejects,
        documents_read,
        removed_lines,
        replaced,
    })
}

fn clean(plan: &Plan<'_>, minhash: Option<&MinHash>, batch: Batch) -> Result<Cleaned, Error> {
    let input = &plan.inputs[batch.input];
    let filtered = plan.given(batch.input).is_none() && !plan.filter.is_empty();
    let keeps_blank = keeps_blank(plan.corpus.unit, input.format);
    let minhash = minhash.filter(|_| plan.is_compared(batch.input));
    let mut cleaned = Cleaned {
        input: batch.input,
        kept: Vec::with_capacity(batch.documents.len()),
        rejects: Rejects::default(),
        documents_read: batch.documents.len() as u64,
        removed_lines: 0,
        read: batch.read,
        replaced: batch.replaced,
    };
    let mut folded = Folded::default();
    for document in batch.documents {
        let reject = |rule, value, text: &str| Reject {
            rule,
            value,
            file: input.path.display().to_string(),
            position: document.position,
            text: cut(text).to_owned(),
        };
        let text = plan.cleaner.clean(&document.text);
        let verdict = if filtered {
            plan.filter.apply(&text)
        } else {
            Verdict::Keep { text: Cow::Borrowed(&*text), removed_lines: 0 }
        };
        let text = match verdict {
            Verdict::Drop { rule, value } => {
                cleaned.rejects.add(rule.name(), || reject(rule.name(), value, &text));
                continue;
            }
            Verdict::Keep { text, removed_lines } => {
                cleaned.removed_lines += removed_lines as u64;
                text
            }
        };
        let folded = folded.fold(&text);
        if folded.is_empty() && !keeps_blank {
            cleaned.rejects.add("empty", || reject("empty", "no text after cleaning".into(), &document.text));
            continue;
        }
        cleaned.kept.push(Kept {
            position: document.position,
            key: (!folded.is_empty()).then(|| text_key(folded)),
            bands: minhash.map_or_else(Vec::new, |minhash| minhash.keys(folded)),
            text: text.into_owned(),
        });
    }
    Ok(cleaned)
}

/// Takes cleaned batches in order.
struct Writer<'a> {
    plan: &'a Plan<'a>,
    spool: SpoolWriter,
    texts: Option<Spill>,
    bands: Option<Spill>,
    /// The input and split of the last document.
    last: (usize, Split),
}

impl Writer<'_> {
    fn take(&mut self, cleaned: &Cleaned) -> Result<(), Error> {
        let given = self.plan.given(cleaned.input);
        for kept in &cleaned.kept {
            let split = given.unwrap_or_else(|| self.split(cleaned.input, kept.key));
            self.last = (cleaned.input, split);
            let document = self.spool.push(split, cleaned.input as u32, kept.position, &kept.text)?;
            if !self.plan.is_compared(cleaned.input) {
                continue;
            }
            let entry = |key| Entry { key, document, held_out: split != Split::Train, fixed: given.is_some() };
            if let (Some(texts), Some(key)) = (&mut self.texts, kept.key) {
                texts.push(entry(key))?;
            }
            if let Some(bands) = &mut self.bands {
                kept.bands.iter().try_for_each(|&key| bands.push(entry(key)))?;
            }
        }
        Ok(())
    }

    /// A blank line goes with the line before it: all blank lines have the same hash and would go to one split.
    fn split(&self, input: usize, key: Option<u128>) -> Split {
        match key {
            Some(key) => by_hash(key, self.plan.corpus.valid_fraction, self.plan.corpus.test_fraction),
            None if self.last.0 == input => self.last.1,
            None => Split::Train,
        }
    }
}
