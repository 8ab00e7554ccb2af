//! What is left behind duplicate removal: how much training text, the text that the tokenizer is trained on, and samples of what went.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::rejects::{Reject, cut};
use super::spool::{Record, Spool};
use crate::dedup::Removal;
use crate::{Error, Input, Split};

/// Longest piece of a document that is drawn as a whole, in bytes.
const PIECE: usize = 1 << 16;

/// What is left.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Training documents.
    pub(super) documents: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Samples of documents that duplicate removal dropped.
    pub(super) duplicates: Vec<Reject>,
}

/// Calls `take` with every document, in order, until it says that this is enough.
fn each(spool: &Spool, mut take: impl FnMut(&Record<'_>) -> bool) -> Result<(), Error> {
    for block in spool.blocks()? {
        if !block?.records().all(|record| take(&record)) {
            break;
        }
    }
    Ok(())
}

/// Looks through the documents.
pub(super) fn survey(spool: &Spool, removal: &Removal, inputs: &[Input]) -> Result<Survey, Error> {
    let wanted: BTreeSet<u64> = removal.samples().flat_map(|(_, document, other)| [document, other]).collect();
    let mut found = BTreeMap::new();
    let mut survey = Survey::default();
    each(spool, |record| {
        if wanted.contains(&record.document) {
            let file = inputs.get(record.input as usize).map(|input| input.path.display().to_string());
            found.insert(record.document, (file.unwrap_or_default(), record.position, cut(record.text).to_owned()));
        }
        if record.split == Split::Train && !removal.contains(record.document) {
            survey.documents += 1;
            survey.bytes += record.text.len() as u64;
        }
        true
    })?;
    for (reason, document, other) in removal.samples() {
        if let (Some((file, position, text)), Some((other_file, other_position, _))) =
            (found.get(&document), found.get(&other))
        {
            survey.duplicates.push(Reject {
                rule: reason.name(),
                value: format!("repeats {other_file}:{other_position}"),
                file: file.clone(),
                position: *position,
                text: text.clone(),
            });
        }
    }
    Ok(survey)
}

/// The text that the tokenizer is trained on, in order: all training text of `bytes` bytes, or, where that is more than `limit`,
/// documents (pieces of long ones) that their hash draws, so that they come from everywhere.
pub(super) fn sample(spool: &Spool, removal: &Removal, bytes: u64, limit: u64) -> Result<Vec<String>, Error> {
    let share = limit as f64 / bytes as f64;
    let mut texts = Vec::new();
    let mut room = limit;
    each(spool, |record| {
        if record.split != Split::Train || removal.contains(record.document) {
            return true;
        }
        if bytes <= limit {
            texts.push(record.text.to_owned());
            return true;
        }
        for piece in pieces(record.text) {
            // The number of the document is the seed, so that a line that is repeated is drawn as often as it should be.
            let place = xxh3_64_with_seed(piece.as_bytes(), record.document) as f64 / u64::MAX as f64;
            if place < share {
                if piece.len() as u64 > room {
                    return false;
                }
                room -= piece.len() as u64;
                texts.push(piece.to_owned());
            }
        }
        true
    })?;
    Ok(texts)
}

/// Cuts a text into pieces of at most [`PIECE`] bytes, behind white space where there is some.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(if rest.len() <= PIECE { rest.len() } else { end_of_piece(rest) });
        rest = after;
        Some(piece)
    })
}

fn end_of_piece(text: &str) -> usize {
    let most = (0..=PIECE).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(text.len());
    match text[..most].char_indices().rev().find(|(_, c)| c.is_whitespace()) {
        Some((at, c)) if at > 0 => at + c.len_utf8(),
        _ => most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::spool::SpoolWriter;

    #[test]
    fn pieces_are_a_text_cut_at_spaces() {
        let check = |text: &str, expect: &[usize]| {
            let found: Vec<&str> = pieces(text).collect();
            assert_eq!(found.concat(), text);
            assert_eq!(found.iter().map(|piece| piece.len()).collect::<Vec<_>>(), expect);
        };
        check("", &[]);
        check("a b", &[3]);
        check(&"12345 ".repeat(20_000), &[65_532, 54_468]);
        check(&"é".repeat(50_000), &[65_536, 34_464]);
        check(&"红".repeat(30_000), &[65_535, 24_465]);
    }

    #[test]
    fn a_sample_is_bounded_and_from_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::create(&folder.path().join("spool")).unwrap();
        for i in 0..10_000 {
            writer.push(if i % 2 == 0 { Split::Train } else { Split::Test }, 0, i + 1, &format!("{i:010}")).unwrap();
        }
        let spool = writer.finish().unwrap();
        let removal = Removal::default();
        assert_eq!(survey(&spool, &removal, &[]).unwrap().bytes, 50_000);
        let all = sample(&spool, &removal, 50_000, 50_000).unwrap();
        assert_eq!(all.len(), 5_000);
        let some = sample(&spool, &removal, 50_000, 10_000).unwrap();
        assert!((900..=1000).contains(&some.len()), "{}", some.len());
        let late = some.iter().filter(|text| ***text >= *"0000005000").count();
        assert!((400..=600).contains(&late), "{late} of {} from the second half", some.len());
        assert!(some.iter().all(|text| text.parse::<u64>().unwrap() % 2 == 0));
    }
}
