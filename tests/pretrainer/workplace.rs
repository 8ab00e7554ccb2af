//! A small corpus and a tiny model.

use std::fs;

use crate::program::{Workplace, root};

impl Workplace {
    /// With a text, and the config `c.toml` of a tiny model.
    pub(crate) fn new() -> Self {
        let place = Self::empty();
        let text = fs::read_to_string(root().join("tests/data/corpus/village.txt")).unwrap();
        let end = text.char_indices().nth(20_000).map_or(text.len(), |(index, _)| index);
        place.write("text.txt", &text[..end]);
        place.write("c.toml", CONFIG);
        place
    }
}

const CONFIG: &str = r#"
[run]
dir = "model"
seed = 7
device = "cpu"
threads = 1

[corpus]
dir = "corpus"
train = ["text.txt"]
unit = "paragraph"
valid_fraction = 0.1
test_fraction = 0.1

[tokenizer]
vocab_size = 400

[model]
embedding = 16
hidden = 24

[train]
steps = 10
batch_size = 4
sequence_length = 16
schedule = "linear"
precision = "fp32"
log_every = 3
evaluate_every = 4
checkpoint_every = 4
"#;
