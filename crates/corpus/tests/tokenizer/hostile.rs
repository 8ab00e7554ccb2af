//! Files that are no tokenizers, or other ones.

use std::path::Path;

use grulm_corpus::{Error, Special, Tokenizer, TokenizerKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{encode, text, train};

fn open(bytes: &[u8]) -> Result<Tokenizer, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, bytes).unwrap();
    Tokenizer::open(&path)
}

fn saved(kind: TokenizerKind) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    train(kind, 400, &text::sample()[..40]).save(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    std::fs::read(&path).unwrap()
}

/// A tokenizer that was not trained here: BERT's pre-tokenizer, other ids, a length limit.
fn foreign() -> Value {
    let words = ["[CLS]", "<mask>", "<sep>", "<eos>", "<bos>", "<unk>", "<pad>", "the", "river", ",", "<", "eos", ">"];
    let vocab: serde_json::Map<String, Value> =
        words.iter().zip(0..).map(|(word, id)| ((*word).into(), id.into())).collect();
    let added = |id: usize| {
        let content = words[id];
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 6, "pad_type_id": 0, "pad_token": "<pad>"},
        "added_tokens": (0..7).map(added).collect::<Vec<_>>(),
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

#[test]
fn one_from_elsewhere_works() {
    let tokenizer = open(foreign().to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 13);
    assert_eq!(Special::ALL.map(|special| tokenizer.special(special)), [6, 5, 4, 3, 2, 1]);
    let ids = encode(&tokenizer, "The river, the <eos> sea");
    assert_eq!(ids, [7, 8, 9, 7, 10, 11, 12, 5], "neither cut nor filled up, and no special");
    let ids = [4, 7, 8, 9, 7, 3];
    assert_eq!(tokenizer.decode(&ids).unwrap(), "the river, the");
    let mut stream = tokenizer.decoder();
    let mut streamed: String = ids.iter().filter_map(|&id| stream.push(id)).collect();
    streamed.extend(stream.finish());
    assert_eq!(streamed, "the river, the");
}

#[test]
fn files_are_refused_with_a_reason() {
    let edited = |pointer: &str, value: Value| {
        let mut json: Value = serde_json::from_slice(&saved(TokenizerKind::Bpe)).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        json.to_string().into_bytes()
    };
    let check = |bytes: &[u8], reason: &str| {
        let error = open(bytes).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(reason) && message.contains("tokenizer.json"), "{message}");
    };
    check(b"", "no JSON");
    check(b"\xff\xfe{", "no JSON");
    check(b"[[[[", "no JSON");
    check("[".repeat(100_000).as_bytes(), "no JSON");
    check(b"null", "");
    check(b"{}", "");
    check(&saved(TokenizerKind::Word)[..900], "no JSON");
    check(&edited("/model/dropout", json!(0.1)), "dropout");
    check(&edited("/model/continuing_subword_prefix", json!("a long prefix")), "continuing_subword_prefix");
    check(&edited("/pre_tokenizer/pretokenizers/1/length", json!(0)), "FixedLength");
    check(&edited("/model/vocab", json!({"a": 0})), "out of vocabulary");
    check(&edited("/model", json!({"type": "WordLevel", "vocab": {"a": 4_000_000_000_u32}, "unk_token": "a"})), "id");
    check(&edited("/model", json!({"type": "WordLevel", "vocab": {"a": 0, "b": 0}, "unk_token": "a"})), "id");
    let mut without = foreign();
    without["added_tokens"] = json!([]);
    without["model"]["vocab"] = json!({"<pad>": 0, "<unk>": 1, "<bos>": 2});
    check(without.to_string().as_bytes(), "no token <eos>");
}

#[test]
fn a_missing_file_is_named() {
    let error = Tokenizer::open(Path::new("no/such/tokenizer.json")).unwrap_err();
    assert!(error.to_string().starts_with("no/such/tokenizer.json"), "{error}");
    let tokenizer = train(TokenizerKind::Byte, 262, &[]);
    assert!(matches!(tokenizer.save(Path::new("no/such/tokenizer.json")), Err(Error::Io { .. })));
}

#[test]
fn a_file_keeps_its_bytes() {
    for (kind, name) in crate::KINDS {
        let bytes = saved(kind);
        let opened = open(&bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.json");
        opened.save(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}");
        assert_eq!(opened.hash(), Tokenizer::open(&path).unwrap().hash(), "{name}");
        assert_eq!(opened.hash().len(), 64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A few bytes of a file changed: it opens and works, or it is refused.
    #[test]
    fn damage_does_not_panic(
        kind in prop::sample::select(vec![TokenizerKind::Bpe, TokenizerKind::Unigram, TokenizerKind::Word]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789{}[]\",:tfn\\\xff".to_vec())), 1..4),
    ) {
        let mut bytes = match kind {
            TokenizerKind::Bpe => BPE.clone(),
            TokenizerKind::Unigram => UNIGRAM.clone(),
            _ => WORD.clone(),
        };
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(tokenizer) = open(&bytes) {
            let mut ids = Vec::new();
            if tokenizer.encode("the river 河水 <eos>", &mut ids).is_ok() {
                prop_assert!(tokenizer.decode(&ids).is_ok());
            }
        }
    }
}

static BPE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| saved(TokenizerKind::Bpe));
static UNIGRAM: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| saved(TokenizerKind::Unigram));
static WORD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| saved(TokenizerKind::Word));
