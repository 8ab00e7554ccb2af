//! What each kind does, and what a config may say.

use grulm_corpus::{Error, Special, Tokenizer, TokenizerConfig, TokenizerKind};

use crate::{KINDS, encode, refusal, text, tokens, train};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn specials_have_the_first_ids() {
    for (kind, name) in KINDS {
        let tokenizer = train(kind, 700, &text::sample());
        for (id, special) in Special::ALL.into_iter().enumerate() {
            assert_eq!(tokenizer.special(special), id as u32, "{name}");
            assert_eq!(tokenizer.token(id as u32).as_deref(), Some(special.text()), "{name}");
            assert_eq!(tokenizer.decode(&[id as u32]).unwrap(), "", "{name}");
        }
        assert!(tokenizer.vocab_size() <= 700, "{name}: {}", tokenizer.vocab_size());
        assert!(encode(&tokenizer, "").is_empty(), "{name}");
        assert_eq!(tokenizer.token(tokenizer.vocab_size() as u32), None, "{name}");
        assert!(tokenizer.decode(&[tokenizer.vocab_size() as u32]).is_err(), "{name}");
    }
}

#[test]
fn typed_specials_are_text() {
    let corpus = [text::sample(), texts(&["<pad> <unk> <bos> <eos> <sep> <mask> <eos> <eos> <eos>"; 50])].concat();
    for (kind, name) in KINDS {
        let tokenizer = train(kind, 700, &corpus);
        for special in Special::ALL {
            let ids = encode(&tokenizer, &format!("the {} {0}{0}", special.text()));
            let meant = ids.iter().filter(|&&id| id < 6 && id != tokenizer.special(Special::Unk)).count();
            assert_eq!(meant, 0, "{name}: {special:?} in {ids:?}");
        }
    }
}

#[test]
fn specials_in_text_are_meant() {
    let corpus = texts(&["the <unk> river", "the river <unk>", "<unk> 's"]);
    for (kind, name) in KINDS {
        let config =
            TokenizerConfig { kind, vocab_size: 300, specials_in_text: vec!["<unk>".into()], ..Default::default() };
        let tokenizer = Tokenizer::train(&config, &corpus).unwrap();
        let unknowns = |text: &str| encode(&tokenizer, text).iter().filter(|&&id| id == 1).count();
        assert_eq!(unknowns("<unk> river <unk>"), 2, "{name}");
        assert_eq!(unknowns("the river"), 0, "{name}");
        if matches!(kind, TokenizerKind::ByteBpe | TokenizerKind::Byte) {
            assert_eq!(unknowns("a<unk>b <eos>"), 0, "{name}");
        }
        assert_eq!(tokenizer.decode(&encode(&tokenizer, "the <unk> river")).unwrap(), "the <unk> river", "{name}");
    }
}

#[test]
fn words_stand_between_white_space() {
    let corpus = texts(&["b a a, a\tc\nb", "a <eos> <eos> <eos> <eos>"]);
    let tokenizer = train(TokenizerKind::Word, 100, &corpus);
    let vocabulary: Vec<String> = (6..tokenizer.vocab_size() as u32).map(|id| tokenizer.token(id).unwrap()).collect();
    assert_eq!(vocabulary, ["a", "b", "a,", "c"]);
    assert_eq!(tokens(&tokenizer, " a,  c x <eos>\u{3000}b"), ["a,", "c", "<unk>", "<unk>", "b"]);
    assert_eq!(tokenizer.decode(&encode(&tokenizer, " a,  c\nb")).unwrap(), "a, c b");

    assert_eq!(train(TokenizerKind::Word, 8, &corpus).vocab_size(), 8);
    let config = TokenizerConfig { kind: TokenizerKind::Word, min_frequency: 2, ..Default::default() };
    assert_eq!(Tokenizer::train(&config, &corpus).unwrap().vocab_size(), 8);
}

#[test]
fn characters_go_by_frequency() {
    let corpus = texts(&["banana ban"]);
    let tokenizer = train(TokenizerKind::Char, 9, &corpus);
    assert_eq!(tokens(&tokenizer, "bananas"), ["b", "a", "n", "a", "n", "a", "<unk>"]);
    assert_eq!(tokens(&tokenizer, "n a"), ["n", "<unk>", "a"]);
}

#[test]
fn subwords_are_learned_in_every_script() {
    for kind in [TokenizerKind::ByteBpe, TokenizerKind::Bpe, TokenizerKind::Unigram] {
        let tokenizer = train(kind, 700, &text::sample());
        for (text, characters) in [("the village", 11), ("河水慢慢流过村庄", 8), (" हिन्दी", 7)] {
            let ids = encode(&tokenizer, text);
            assert!(ids.len() < characters, "{kind:?}: {text} is {:?}", tokens(&tokenizer, text));
        }
    }
}

#[test]
fn rare_characters_and_pieces_are_left_out() {
    let corpus = texts(&["red red red red blue", "red 龘"]);
    for kind in [TokenizerKind::Bpe, TokenizerKind::Unigram] {
        let config = TokenizerConfig { kind, min_frequency: 2, ..Default::default() };
        let tokenizer = Tokenizer::train(&config, &corpus).unwrap();
        assert_eq!(tokens(&tokenizer, "龘"), ["<unk>"], "{kind:?}");
        assert!((0..tokenizer.vocab_size() as u32).all(|id| !tokenizer.token(id).unwrap().contains("bl")), "{kind:?}");
        assert_eq!(tokens(&tokenizer, "red"), ["red"], "{kind:?}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let check = |config: TokenizerConfig, key: &str, allowed: &str| {
        let error = refusal(&config, &texts(&["abcdefgh"]));
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(allowed), "{message}");
    };
    let small = |kind, vocab_size| TokenizerConfig { kind, vocab_size, ..Default::default() };
    check(small(TokenizerKind::ByteBpe, 261), "tokenizer.vocab_size", "at least 262");
    check(small(TokenizerKind::Byte, 0), "tokenizer.vocab_size", "at least 262");
    check(small(TokenizerKind::Bpe, 13), "tokenizer.vocab_size", "at least 14");
    check(small(TokenizerKind::Unigram, 13), "tokenizer.vocab_size", "at least 14");
    check(small(TokenizerKind::Word, 6), "tokenizer.vocab_size", "at least 7");
    check(small(TokenizerKind::Char, 6), "tokenizer.vocab_size", "at least 7");
    let specials_in_text = vec!["<unk>".into(), "<EOS>".into()];
    check(TokenizerConfig { specials_in_text, ..Default::default() }, "tokenizer.specials_in_text", "<mask>");
}

#[test]
fn no_text_leaves_the_alphabet() {
    for (kind, name) in KINDS {
        let tokenizer = train(kind, 300, &texts(&["", ""]));
        let bytes = matches!(kind, TokenizerKind::ByteBpe | TokenizerKind::Byte);
        assert_eq!(tokenizer.vocab_size(), if bytes { 262 } else { 6 }, "{name}");
        assert!(bytes || encode(&tokenizer, "a b").iter().all(|&id| id == 1), "{name}");
    }
}
