//! Public label files as they come, where `data/` is there.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::Encoding;
use crate::labelled::{Fields, Labels, PairFields, Pairs, open, open_pairs, open_parallel, open_questions};

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

#[test]
fn translations_have_their_pairs() {
    let check = |pairs: Pairs, expect: usize| {
        let filled = pairs.map(Result::unwrap).filter(|pair| !pair.source.is_empty() && !pair.target.is_empty());
        assert_eq!(filled.count(), expect);
    };
    for (name, rows) in [("tatoeba-eng-cmn/train", 20_272), ("mafand-eng-yor/valid", 1_544)] {
        let Some(path) = data(&format!("translation/{name}.jsonl.gz")) else { return };
        check(open_pairs(&path, &PairFields::default(), Encoding::UTF_8).unwrap(), rows);
    }
    for (part, lines) in [("train", 29_000), ("valid", 1_014), ("test_2016_flickr", 1_000)] {
        let [en, de, fr] =
            ["en", "de", "fr"].map(|language| data(&format!("translation/multi30k/{part}.{language}.gz")));
        let (Some(en), Some(de), Some(fr)) = (en, de, fr) else { return };
        check(open_parallel(&en, &de, Encoding::UTF_8).unwrap(), lines);
        check(open_parallel(&de, &fr, Encoding::UTF_8).unwrap(), lines);
    }
}

#[test]
fn questions_have_their_answers_where_they_say() {
    let check = |name: &str, questions: usize, contexts: Option<usize>, answers: Option<usize>| {
        let Some(path) = data(name) else { return };
        let (mut found, mut found_contexts, mut found_answers) = (0, HashSet::new(), 0);
        for question in open_questions(&path, Labels::Required, Encoding::UTF_8).unwrap() {
            let question = question.unwrap();
            found += 1;
            found_answers += question.answers.unwrap().len();
            found_contexts.insert(question.context);
        }
        assert_eq!(found, questions, "{name}");
        contexts.inspect(|&expect| assert_eq!(found_contexts.len(), expect, "{name}"));
        answers.inspect(|&expect| assert_eq!(found_answers, expect, "{name}"));
    };
    check("qa/squad11/dev_40articles.jsonl.gz", 9_199, None, Some(30_118));
    check("qa/policyqa/dev.jsonl.gz", 3_809, Some(574), Some(6_044));
    check("qa/cmrc2018/dev.jsonl.gz", 3_219, Some(848), Some(9_464));
    check("qa/jaquad/dev_shard_0.jsonl.gz", 1_029, None, None);
    check("qa/xquad/xquad.zh.jsonl.gz", 1_016, None, None);
}
