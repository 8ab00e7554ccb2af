//! Ids that the Python package gives with the same `tokenizer.json`.
//!
//! `GRULM_TOKENIZER_FOLDER=/tmp/golden cargo test -p grulm-corpus --test tokenizer -- --ignored` writes the files. Then,
//! with tokenizers 0.23.3:
//!
//! ```python
//! from tokenizers import Tokenizer
//! for kind in ["byte_bpe", "bpe", "unigram", "word", "char", "byte"]:
//!     tokenizer = Tokenizer.from_file(f"/tmp/golden/{kind}.json")
//!     print(kind, [tokenizer.encode(text).ids for text in TEXTS])
//! ```

use grulm_corpus::{Tokenizer, TokenizerConfig, TokenizerKind};

use crate::{KINDS, encode, text};

const TEXTS: [&str; 4] = [
    "the river turned, nobody's  12 lamps",
    "河水慢慢流过村庄。\n夜里没有灯火",
    "a naïve <unk> हिन्दी, a<unk>b.<unk>",
    "",
];

/// What the files above hold. In Python, too, `<unk>` is found in the text, where no word touches it.
pub(crate) fn trained(kind: TokenizerKind) -> Tokenizer {
    let config =
        TokenizerConfig { kind, vocab_size: 600, specials_in_text: vec!["<unk>".into()], ..Default::default() };
    Tokenizer::train(&config, &text::sample()).unwrap()
}

/// For each kind of [`KINDS`], the ids of each text.
const IDS: [[&[u32]; TEXTS.len()]; KINDS.len()] = [
    [
        &[381, 293, 304, 17, 342, 335, 226, 433, 351, 88],
        &[269, 271, 409, 319, 204, 299, 483],
        &[70, 359, 226, 1, 375, 17, 325, 33, 90, 83, 80, 35, 71, 19, 1],
        &[],
    ],
    [
        &[158, 97, 104, 1, 131, 124, 53, 196, 136, 36],
        &[513, 175, 54, 7, 99, 238],
        &[22, 143, 53, 1, 152, 1, 118, 20, 38, 32, 1, 21, 23, 9, 1],
        &[],
    ],
    [
        &[23, 7, 8, 1, 18, 16, 39, 88, 19, 560],
        &[25, 26, 72, 12, 145, 113, 32],
        &[31, 20, 39, 1, 21, 1, 13, 488, 561, 229, 1, 489, 552, 11, 1],
        &[],
    ],
    [&[6, 7, 1, 14, 1, 1], &[1, 1], &[11, 16, 1, 1, 1, 1], &[]],
    [
        &[
            10, 22, 7, 6, 8, 21, 19, 7, 8, 6, 10, 28, 8, 20, 7, 14, 1, 6, 20, 13, 36, 13, 14, 25, 41, 16, 6, 6, 39, 49,
            6, 9, 12, 44, 45, 16,
        ],
        &[18, 17, 11, 11, 23, 24, 27, 26, 38, 75, 29, 30, 32, 31, 35, 34],
        &[12, 6, 20, 12, 50, 19, 7, 6, 1, 6, 58, 59, 57, 61, 56, 60, 1, 6, 12, 78, 28, 20, 1, 79, 36, 37, 1],
        &[],
    ],
    [
        &[
            89, 77, 74, 226, 87, 78, 91, 74, 87, 226, 89, 90, 87, 83, 74, 73, 17, 226, 83, 84, 71, 84, 73, 94, 12, 88,
            226, 226, 22, 23, 226, 81, 70, 82, 85, 88,
        ],
        &[
            168, 116, 117, 168, 114, 118, 168, 233, 101, 168, 233, 101, 168, 119, 229, 170, 129, 235, 168, 257, 245,
            167, 124, 232, 165, 228, 230, 204, 167, 103, 256, 171, 235, 240, 168, 116, 100, 168, 256, 237, 169, 229,
            113, 169, 229, 110,
        ],
        &[
            70, 226, 83, 70, 133, 113, 91, 74, 226, 1, 226, 162, 103, 123, 162, 103, 129, 162, 103, 107, 162, 104, 241,
            162, 103, 105, 162, 104, 228, 17, 226, 70, 33, 90, 83, 80, 35, 71, 19, 1,
        ],
        &[],
    ],
];

#[test]
fn ids_are_those_of_python() {
    for ((kind, name), expect) in KINDS.into_iter().zip(IDS) {
        let tokenizer = trained(kind);
        for (text, expect) in TEXTS.into_iter().zip(expect) {
            assert_eq!(encode(&tokenizer, text), expect, "{name}: {text}");
        }
    }
}
