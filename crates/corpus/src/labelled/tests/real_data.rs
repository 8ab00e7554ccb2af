//! Public label files as they come, where `data/` is there.

use std::collections::BTreeMap;

use super::*;
use crate::Encoding;
use crate::labelled::{Fields, Labels, open};

#[test]
fn label_files_have_their_rows_and_labels() {
    let check = |name: &str, expect: &[(&str, u64)]| {
        let Some(path) = data(name) else { return };
        let mut counts = BTreeMap::new();
        for row in open(&path, &Fields::default(), Labels::Required, Encoding::UTF_8).unwrap() {
            *counts.entry(row.unwrap().label.unwrap()).or_insert(0) += 1;
        }
        let expect: BTreeMap<_, _> = expect.iter().map(|&(label, count)| (label.to_owned(), count)).collect();
        assert_eq!(counts, expect, "{name}");
    };
    check("sentiment/sst2/train.jsonl.gz", &[("negative", 3_310), ("positive", 3_610)]);
    check("sentiment/imdb/valid.jsonl.gz", &[("neg", 500), ("pos", 500)]);
    check("sentiment/chnsenticorp/valid.jsonl.gz", &[("negative", 607), ("positive", 593)]);
    check("spam/sms/train.jsonl.gz", &[("ham", 3_379), ("spam", 523)]);
    check("spam/enron1/train.jsonl.gz", &[("ham", 2_571), ("spam", 1_050)]);
}
