//! What `prepare` prints.

use grulm_cli::output;
use grulm_corpus::{Manifest, Split};

/// A table for people: documents, words, tokens and bytes of each split, then what was dropped and why.
pub(crate) fn text(manifest: &Manifest) -> String {
    let heads = ["split", "documents", "words", "tokens", "bytes"].map(str::to_owned).to_vec();
    let split = |split: Split| {
        let info = manifest.splits.get(&split)?;
        let counts = [info.documents, info.words, info.tokens, info.bytes].map(output::grouped);
        Some([vec![split.name().to_owned()], counts.to_vec()].concat())
    };
    let splits: Vec<_> = [heads].into_iter().chain(Split::ALL.into_iter().filter_map(split)).collect();
    let (read, vocabulary) = (output::grouped(manifest.documents_read), output::grouped(manifest.vocab_size as u64));
    let lost: Vec<_> = manifest.losses().into_iter().map(|(what, count)| vec![what, output::grouped(count)]).collect();
    let gap = if lost.is_empty() { "" } else { "\n" };
    format!(
        "{}{read} documents read, vocabulary of {vocabulary}\n{gap}{}",
        output::columns(&splits),
        output::columns(&lost)
    )
}
