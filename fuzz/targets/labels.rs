//! Files of labelled texts, pairs and questions; the first byte chooses the format.
#![no_main]

use grulm_corpus::{
    Encoding,
    labelled::{Fields, Labels, PairFields, open, open_pairs, open_questions},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let name = ["a.jsonl", "a.csv", "a.tsv", "a.json", "a.jsonl.gz", "a.csv.zst"][usize::from(kind >> 2) % 6];
    let (_folder, path) = grulm_fuzz::file(name, bytes);
    let encoding = Encoding::UTF_8;
    match kind & 3 {
        0 | 1 => {
            let fields = Fields {
                label: Some("label".into()),
                pair: (kind & 1 == 1).then(|| "pair".into()),
                ..Fields::default()
            };
            for row in open(&path, &fields, Labels::Required, encoding).into_iter().flatten() {
                let _ = row;
            }
        }
        2 => {
            for pair in open_pairs(&path, &PairFields::default(), encoding).into_iter().flatten() {
                let _ = pair;
            }
        }
        _ => {
            for question in open_questions(&path, Labels::Required, encoding).into_iter().flatten() {
                let Ok(question) = question else { return };
                for answer in question.answers.iter().flatten() {
                    assert!(question.context[answer.start..].starts_with(&answer.text));
                }
            }
        }
    }
});
