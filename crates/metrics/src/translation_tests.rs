//! BLEU and chrF against sacreBLEU's figures.

use proptest::prelude::*;

use crate::{Bleu, BleuTokenizer, ChrF};

const TOKENIZERS: [BleuTokenizer; 4] =
    [BleuTokenizer::V13a, BleuTokenizer::Intl, BleuTokenizer::Zh, BleuTokenizer::Char];

fn scores(sentences: &[(&str, &str)]) -> ([f64; 4], f64) {
    let bleu = TOKENIZERS.map(|tokenizer| {
        let mut bleu = Bleu::new(tokenizer);
        sentences.iter().for_each(|(hypothesis, reference)| bleu.add(hypothesis, reference));
        bleu.score()
    });
    let mut chrf = ChrF::new();
    sentences.iter().for_each(|(hypothesis, reference)| chrf.add(hypothesis, reference));
    (bleu, chrf.score())
}

#[test]
fn the_figures_are_those_of_sacrebleu() {
    // from sacrebleu.metrics import BLEU, CHRF  # 2.6.0
    // [BLEU(tokenize=t).corpus_score(h, [r]).score for t in ["13a", "intl", "zh", "char"]]
    // CHRF().corpus_score(h, [r]).score
    let check = |sentences: &[(&str, &str)], bleu: [f64; 4], chrf: f64| {
        let found = scores(sentences);
        let close = |found: f64, expect: f64| (found - expect).abs() < 1e-5;
        let all = found.0.iter().zip(bleu).all(|(&found, expect)| close(found, expect));
        assert!(all && close(found.1, chrf), "{found:?} instead of {:?}: {sentences:?}", (bleu, chrf));
    };
    check(
        &[
            ("Zwei Männer sitzen am Tisch.", "Zwei junge Männer sitzen an einem Tisch."),
            ("Ein Hund läuft über die grüne Wiese, und bellt!", "Ein brauner Hund läuft bellend über die grüne Wiese."),
            ("Die Frau (mit Hut) zahlt 1.250,50 € für 3-5 Äpfel.", "Eine Frau mit Hut zahlt 1.250,50 € für 3-5 Äpfel."),
            ("Er sagt: \"Nein\" - das war's.", "Er sagte: „Nein“ – das war's."),
        ],
        [38.15733, 38.482102, 38.482102, 68.948569],
        63.345713,
    );
    check(
        &[("the cat is here now", "the dog was here"), ("a b", "a c d e")],
        [10.595914, 10.595914, 10.595914, 34.688812],
        28.321901,
    );
    check(&[("a cat", "a cat")], [0.0, 0.0, 0.0, 100.0], 100.0);
    check(
        &[
            ("", "nothing here"),
            ("the quick brown fox jumps over the lazy dog", "the quick brown fox jumped over the lazy dog"),
            (" \t", ""),
        ],
        [47.799954, 47.799954, 47.799954, 65.542554],
        72.097083,
    );
    check(&[("", "a reference of five words")], [0.0; 4], 0.0);
    check(&[("a hypothesis of five words", "")], [0.0; 4], 0.0);
    check(&[("x y z", "a b c d")], [0.0; 4], 0.0);
    check(&[], [0.0; 4], 0.0);
    check(
        &[
            ("&quot;A&amp;B&quot; &lt;b&gt; 5-\n6 <skipped>x.\u{1C}y\u{2028}z", "\"A&B\" <b> 56 x. y z"),
            ("price: $5.00/kg, i.e. 10%...", "price: $5.00/kg, i.e., 10% ..."),
        ],
        [90.510554, 40.022596, 40.022596, 39.47175],
        55.786685,
    );
    check(
        &[
            ("我爱北京天安门，2008年去过！", "我很爱北京天安门，2008年去过一次！"),
            ("他说“hello, world”……𠀀", "她说：“Hello, world”…𠀀"),
        ],
        [0.0, 29.031926, 56.985424, 71.555241],
        69.254060,
    );
    check(&[("Ein Haus.", "Ein Haus."), ("the same five words here", "the same five words here")], [100.0; 4], 100.0);
    check(
        &[("naïve café — 3½ £ → 😀👍🏽 e\u{301}", "naive café – 3½ € → 😀👍 é"), ("αβγ·δ «x»", "αβγ δ «x»")],
        [6.463798, 27.331628, 6.463798, 40.715922],
        37.083105,
    );
}

#[test]
fn the_signatures_are_those_of_sacrebleu() {
    let bleu = Bleu::new(BleuTokenizer::default()).signature();
    assert_eq!(bleu, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
    assert_eq!(ChrF::new().signature(), "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
}

proptest! {
    #[test]
    fn scores_are_percentages(
        sentences in prop::collection::vec(("[a-c .,&1-3-]{0,12}", "[a-c .,&1-3-]{0,12}"), 0..5),
        odd in any::<String>(),
    ) {
        let mut pairs: Vec<_> = sentences.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        pairs.push((&odd, &odd));
        let (bleu, chrf) = scores(&pairs);
        for score in bleu.into_iter().chain([chrf]) {
            prop_assert!((0.0..=100.0 + 1e-9).contains(&score), "{score}");
        }
    }
}
