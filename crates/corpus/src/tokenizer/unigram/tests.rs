use super::*;

fn words(list: &[(&str, u64)]) -> Words {
    let mut words = Words::default();
    list.iter().for_each(|(word, count)| words.push(word.chars(), *count));
    words
}

fn texts(pieces: &[Piece]) -> Vec<&str> {
    pieces.iter().map(|(piece, _)| piece.as_str()).collect()
}

#[test]
fn digamma_is_that_of_scipy() {
    // >>> from scipy.special import digamma; digamma([0.5, 1, 10, 1e6])
    for (x, expect) in
        [(0.5, -1.9635100260214235), (1.0, -0.5772156649015329), (10.0, 2.251752589066721), (1e6, 13.815510057964191)]
    {
        assert!((digamma(x) - expect).abs() < 1e-9, "digamma({x}) = {}", digamma(x));
    }
}

#[test]
fn words_that_repeat_become_pieces() {
    let words = words(&[("hello", 50), ("help", 40), ("world", 30), ("x", 1)]);
    let pieces = train(&words, 14, 1);
    assert!(pieces.len() <= 14, "{pieces:?}");
    for whole in ["hello", "help", "world"] {
        assert!(texts(&pieces).contains(&whole), "{whole}: {pieces:?}");
    }
    for c in "helopwrdx".chars() {
        assert!(texts(&pieces).contains(&String::from(c).as_str()), "{c}: {pieces:?}");
    }
    assert!(pieces.iter().all(|(_, score)| score.is_finite() && *score < 0.0), "{pieces:?}");
}

#[test]
fn size_bounds_the_pieces() {
    let words = words(&[("abcabc", 9), ("bcabca", 8), ("cabcab", 7), ("abc", 20)]);
    for size in 3..12 {
        let pieces = train(&words, size, 1);
        assert!(pieces.len() <= size && pieces.len() >= 3, "{size}: {pieces:?}");
    }
}

/// Expected counts by enumeration of every segmentation of "aab" with pieces a, b, aa, ab.
#[test]
fn expectation_is_that_over_all_segmentations() {
    let piece = |text: &str, p: f64| (text.chars().collect::<Vec<_>>(), p.ln());
    let lexicon = Lexicon::new(vec![piece("a", 0.4), piece("b", 0.3), piece("aa", 0.2), piece("ab", 0.1)]);
    let expected = expect(&lexicon, &words(&[("aab", 2)]));
    let (single, left, right) = (0.4 * 0.4 * 0.3, 0.2 * 0.3, 0.4 * 0.1);
    let z = single + left + right;
    let by_hand = [2.0 * (2.0 * single + right), 2.0 * (single + left), 2.0 * left, 2.0 * right];
    for (found, by_hand) in expected.iter().zip(by_hand) {
        assert!((found - by_hand / z).abs() < 1e-12, "{expected:?}");
    }
}

/// A pre-token of the rarest characters has a probability far below the smallest f64.
#[test]
fn rare_characters_do_not_underflow() {
    let rare: String = ('\u{4e00}'..).take(32).collect();
    let pieces = train(&words(&[("common", 1 << 33), (&rare, 1)]), 60, 1);
    assert!(pieces.iter().all(|(_, score)| score.is_finite()), "{pieces:?}");
}

#[test]
fn no_words_give_no_pieces() {
    assert_eq!(train(&Words::default(), 10, 1), []);
}
