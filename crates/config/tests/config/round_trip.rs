//! What is written is read back as the same config.

use std::collections::BTreeMap;

use grulm_config::{Difference, Error, differences, to_toml};
use proptest::prelude::*;

use crate::sample::{Config, Corpus, Direction, Dropout, Model, Name, Run, Schedule, Sizes, Task, Train, parse};

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1e-3), Just(0.1), Just(0.0), Just(1e-300), 0.0..10.0]
}

fn task() -> impl Strategy<Value = Task> {
    prop_oneof![
        (any::<u32>(), any::<String>())
            .prop_map(|(labels, text)| Task::Classification { labels: labels as usize, text }),
        any::<u32>().prop_map(|beam| Task::Translation { beam: beam as usize }),
    ]
}

prop_compose! {
    fn train()(
        batch_size in 1_usize..=1024,
        learning_rate in number(),
        budget in any::<Option<String>>(),
        offset in any::<i32>(),
        init in "[a-z./]*".prop_map(Name),
        schedule in prop_oneof![Just(Schedule::Constant), number().prop_map(|floor| Schedule::Cosine { floor })],
    ) -> Train {
        Train { batch_size, learning_rate, budget, tie_weights: true, offset, init, schedule }
    }
}

prop_compose! {
    fn config()(
        run in (any::<String>(), any::<u64>()).prop_map(|(dir, seed)| Run { dir: dir.into(), seed }),
        corpus in (
            prop::collection::vec("\\PC+", 0..3),
            any::<Option<String>>(),
            prop::collection::btree_map(any::<String>(), number(), 0..3),
        ),
        model in (
            prop_oneof![Just(Direction::Forward), Just(Direction::Backward), Just(Direction::Both)],
            number(),
            prop::num::f32::NORMAL,
            prop_oneof![
                any::<u32>().prop_map(|size| Sizes::All(size as usize)),
                prop::collection::vec(0_usize..5000, 0..4).prop_map(Sizes::Each),
            ],
        ),
        train in train(),
        task in prop::option::of(task()),
    ) -> Config {
        let corpus = Corpus { train: corpus.0, language: corpus.1, weights: corpus.2 };
        let model = Model { direction: model.0, hidden: model.3, dropout: Dropout { hidden: model.1, scale: model.2 } };
        Config { run, corpus, model, train, task }
    }
}

proptest! {
    #[test]
    fn to_toml_then_parse_is_the_identity(config in config()) {
        let text = to_toml(&config).expect("TOML");
        let again = parse(&text, &[]).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again, &config, "{}", text);
        prop_assert_eq!(to_toml(&again).expect("TOML"), text);
        prop_assert!(differences(&config, &again).expect("TOML").is_empty());
    }
}

#[test]
fn every_default_is_written() {
    let text = to_toml(&Config::default()).expect("TOML");
    for line in ["seed = 0", "[model.dropout]", "learning_rate = 0.001", "schedule = \"constant\"", "train = []"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("budget"), "{text}");
}

#[test]
fn differences_name_keys_and_both_values() {
    let left = parse("", &["run.seed=1", "train.budget=60m", "corpus.train=['a']", "model.dropout.hidden=0.1"]);
    let right = parse(
        "",
        &["run.seed=2", "corpus.train=['a', 'b']", "model.dropout.hidden=0.1", "task.kind=translation", "task.beam=1"],
    );
    let found = differences(&left.expect("a config"), &right.expect("a config")).expect("TOML");
    let expect = [
        ("corpus.train", "[\"a\"]", "[\"a\", \"b\"]"),
        ("run.seed", "1", "2"),
        ("task.beam", "unset", "1"),
        ("task.kind", "unset", "\"translation\""),
        ("train.budget", "\"60m\"", "unset"),
    ];
    let expect: Vec<_> = expect
        .iter()
        .map(|&(key, left, right)| Difference { key: key.into(), left: left.into(), right: right.into() })
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let mut config = Config { corpus: Corpus { weights: BTreeMap::new(), ..Corpus::default() }, ..Config::default() };
    config.model.dropout.hidden = f64::INFINITY;
    let error = to_toml(&config).expect_err("an error");
    assert!(matches!(error, Error::Serialize(_)));
    assert_eq!(
        error.to_string(),
        "the config cannot be written as TOML: `model.dropout.hidden` = inf: allowed: a finite number"
    );
}
