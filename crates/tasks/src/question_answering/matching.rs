//! Which words of a context stand in a question.

use std::{collections::HashSet, ops::Range};

use super::passage::Passage;

/// Numbers of a token's [`matches`].
pub(super) const MATCH_FEATURES: usize = 4;

/// Characters that two words must have in common at their beginning to count as akin.
const COMMON: usize = 4;

/// What each token in `range` of the context has to do with the words of the question, each number from 0 to 1: the share of its
/// words that stand there as they are; letter case aside; how much of them is the beginning of a word there (inflections of many
/// languages, without knowing one); and the second divided by how often the word comes in the context.
pub(super) fn matches(context: &Passage, range: Range<usize>, question: &Passage) -> Vec<[f32; MATCH_FEATURES]> {
    let exact: HashSet<u64> = question.words().iter().map(|word| word.exact).collect();
    let folded: HashSet<u64> = question.words().iter().map(|word| word.folded).collect();
    let long: Vec<&str> =
        question.words().iter().map(|word| question.lower(word)).filter(|word| word.len() >= COMMON).collect();
    let of_word = |word: usize| {
        let word = &context.words()[word];
        let same = folded.contains(&word.folded);
        let kin = if same { 1.0 } else { kinship(context.lower(word), &long) };
        let counts = |holds: bool| f32::from(u8::from(holds));
        [counts(exact.contains(&word.exact)), counts(same), kin, if same { word.rarity } else { 0.0 }]
    };
    // A word of several tokens is looked up once.
    let mut last: Option<(Range<usize>, [f32; MATCH_FEATURES])> = None;
    let mut of_token = |token: usize| {
        let words = context.words_of(token);
        if let Some((of, known)) = &last
            && *of == words
        {
            return *known;
        }
        let mut mean = [0.0; MATCH_FEATURES];
        for numbers in words.clone().map(of_word) {
            mean.iter_mut().zip(numbers).for_each(|(mean, number)| *mean += number / words.len() as f32);
        }
        last = Some((words, mean));
        mean
    };
    range.map(&mut of_token).collect()
}

/// The largest share of a word that is also the beginning of one of `others`, of the longer of the two.
fn kinship(word: &str, others: &[&str]) -> f32 {
    let kin = others.iter().filter_map(|other| {
        // Most words differ in their first byte.
        if word.as_bytes().first() != other.as_bytes().first() {
            return None;
        }
        let common = word.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        (common >= COMMON).then(|| common as f32 / word.chars().count().max(other.chars().count()) as f32)
    });
    kin.fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use grulm_corpus::{CleanConfig, Cleaner, Tokenizer, TokenizerConfig, TokenizerKind, Unit};

    use super::*;

    #[test]
    fn words_match_as_they_are_in_lower_case_and_by_their_beginnings() {
        let cleaner = Cleaner::new(&CleanConfig::default(), Unit::Line, "text", "utf-8").unwrap();
        let context = "The inventor, Ada, invented the Engine; 机器人";
        let config = TokenizerConfig { kind: TokenizerKind::Word, vocab_size: 100, ..Default::default() };
        let tokenizer = Tokenizer::train(&config, &[context.to_owned()]).unwrap();
        let passage = |text: &str| Passage::new(text.into(), &cleaner, &tokenizer).unwrap();
        let context = passage(context);
        let question = passage("Did the invention of ada need a Engine 器?");
        let found = matches(&context, 0..context.len(), &question);
        let expect = [
            [0.0, 1.0, 1.0, 0.5],                         // The
            [0.0, 0.0, 6.0 / 9.0, 0.0],                   // inventor,
            [0.0, 1.0, 1.0, 1.0],                         // Ada,
            [0.0, 0.0, 6.0 / 9.0, 0.0],                   // invented
            [1.0, 1.0, 1.0, 0.5],                         // the
            [1.0, 1.0, 1.0, 1.0],                         // Engine;
            [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], // 机器人
        ];
        for (token, (found, expect)) in found.iter().zip(expect).enumerate() {
            for (a, b) in found.iter().zip(expect) {
                assert!((a - b).abs() < 1e-6, "token {token}: {found:?}, not {expect:?}");
            }
        }
        assert_eq!(matches(&context, 2..4, &question), found[2..4]);
    }
}
