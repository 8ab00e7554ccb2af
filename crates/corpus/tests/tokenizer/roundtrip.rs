//! Text to ids and back, and the library beside it.

use std::sync::LazyLock;

use grulm_corpus::{Special, Tokenizer, TokenizerConfig, TokenizerKind};
use proptest::prelude::*;
use tokenizers::Tokenizer as Library;

use crate::{KINDS, encode, text};

struct Both {
    kind: TokenizerKind,
    name: &'static str,
    in_text: bool,
    ours: Tokenizer,
    library: Library,
}

/// Every kind, without and with `<unk>` and `<sep>` in its text, opened here and by the library.
static TRAINED: LazyLock<Vec<Both>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let both = |((kind, name), in_text): ((TokenizerKind, &'static str), bool)| {
        let specials_in_text = if in_text { vec!["<unk>".into(), "<sep>".into()] } else { Vec::new() };
        let config = TokenizerConfig { kind, vocab_size: 700, specials_in_text, ..Default::default() };
        Tokenizer::train(&config, &text::sample()).unwrap().save(&path).unwrap();
        let mut library = Library::from_file(&path).unwrap();
        library.set_encode_special_tokens(true);
        Both { kind, name, in_text, ours: Tokenizer::open(&path).unwrap(), library }
    };
    KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]).map(both).collect()
});

/// Text of words, specials, spaces of every sort, marks, and characters that training did not see.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "the", " river", "nobody's", " 12", "河水", "慢慢流过", "हिन्दी", "😀", "<unk>", "<eos>", "<sep>", " <unk> ",
            " ", "  ", "\n", "\r\n", "\t", "\u{a0}", "\u{3000}", "\u{85}", "▁", "▁▁", "e\u{301}", "\0", "ß", "Ġ", ".", "...", "龘",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What splits text here gives the ids that `tokenizer.json` gives elsewhere.
    #[test]
    fn ids_are_those_of_the_library(text in any_text()) {
        for Both { name, in_text, ours, library, .. } in TRAINED.iter() {
            let mut expect = library.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
            // A vocabulary of words finds specials in the text.
            let allowed: &[u32] = if *in_text { &[1, 4] } else { &[1] };
            expect.iter_mut().filter(|id| **id < 6 && !allowed.contains(id)).for_each(|id| *id = 1);
            prop_assert_eq!(encode(ours, &text), expect, "{} {}", name, in_text);
        }
    }

    #[test]
    fn text_comes_back(text in any_text()) {
        for Both { kind, name, ours, in_text, .. } in TRAINED.iter() {
            let ids = encode(ours, &text);
            let back = ours.decode(&ids).unwrap();
            let whole = match kind {
                TokenizerKind::ByteBpe | TokenizerKind::Byte => true,
                TokenizerKind::Char => !ids.contains(&ours.special(Special::Unk)),
                TokenizerKind::Bpe | TokenizerKind::Unigram => !ids.contains(&1) && !text.contains('▁'),
                TokenizerKind::Word => false,
            };
            if whole {
                prop_assert_eq!(&back, &text, "{} {}", name, in_text);
            }
        }
    }

    /// Every token stands for a part of the text, in order, and only white space is left out.
    #[test]
    fn spans_are_parts_of_the_text(text in any_text()) {
        for Both { kind, name, ours, .. } in TRAINED.iter() {
            let spans = ours.encode_spans(&text).unwrap();
            prop_assert_eq!(spans.iter().map(|(id, _)| *id).collect::<Vec<_>>(), encode(ours, &text), "{}", name);
            let (mut start, mut end) = (0, 0);
            for (id, span) in spans {
                let part = text.get(span.clone()).unwrap_or("part of a character");
                prop_assert_eq!(part.trim(), part, "{} {:?}", name, span);
                prop_assert!(span.start >= start && span.end >= end, "{} {:?} behind {}..{}", name, span, start, end);
                if span.start > end {
                    prop_assert!(text[end..span.start].trim().is_empty(), "{} before {:?}", name, span);
                }
                let whole = !matches!(kind, TokenizerKind::ByteBpe | TokenizerKind::Byte) && id != 1;
                if whole && !text.contains('▁') {
                    let token = ours.decode(&[id]).unwrap();
                    prop_assert_eq!(token.trim(), part, "{}", name);
                }
                (start, end) = (span.start, span.end);
            }
            prop_assert!(text[end..].trim().is_empty(), "{} behind {}", name, end);
        }
    }

    /// Any ids, those of half a character too.
    #[test]
    fn a_stream_is_the_whole(draws in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        for Both { name, ours, library, .. } in TRAINED.iter() {
            let ids: Vec<u32> = draws.iter().map(|draw| draw.index(ours.vocab_size()) as u32).collect();
            let mut stream = ours.decoder();
            let mut text: String = ids.iter().filter_map(|&id| stream.push(id)).collect();
            text.extend(stream.finish());
            prop_assert_eq!(&text, &ours.decode(&ids).unwrap(), "{}", name);
            prop_assert_eq!(text, library.decode(&ids, true).unwrap(), "{}", name);
        }
    }
}

#[test]
fn a_stream_never_splits_a_character() {
    let tokenizer = crate::train(TokenizerKind::Byte, 262, &[]);
    let mut stream = tokenizer.decoder();
    let pushed: Vec<Option<String>> = encode(&tokenizer, "é😀a").into_iter().map(|id| stream.push(id)).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(pushed, [None, some("é"), None, None, None, some("😀"), some("a")]);

    let mut stream = tokenizer.decoder();
    assert_eq!(stream.push(tokenizer.special(Special::Eos)), None);
    assert_eq!(stream.push(u32::MAX), None);
    assert_eq!(stream.push(encode(&tokenizer, "é")[0]), None);
    assert_eq!(stream.finish(), some("\u{fffd}"));
}

#[test]
fn a_long_line_takes_a_moment() {
    let begun = std::time::Instant::now();
    let texts = [text::sample(), vec!["a".repeat(400_000), "红楼梦".repeat(100_000), " ".repeat(400_000)]].concat();
    for (kind, name) in KINDS {
        let tokenizer = crate::train(kind, 700, &texts);
        for long in &texts[texts.len() - 3..] {
            let ids = encode(&tokenizer, long);
            if kind != TokenizerKind::Word {
                assert_eq!(&tokenizer.decode(&ids).unwrap(), long, "{name}");
            }
        }
    }
    // Seconds, in a build without optimisation on a busy machine; quadratic time would be hours.
    assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
}
