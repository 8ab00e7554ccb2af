//! Answers beside gold answers: exact match and F1, as SQuAD counts them.

use std::collections::HashMap;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::words::words;

/// What is compared in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Words, as in SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250, and the script that goes with it): lower case, without
    /// ASCII punctuation and the articles "a", "an" and "the", between white space.
    Words,
    /// Characters of Chinese and Japanese, and words of what is in between, as in MLQA (arXiv 1910.07475): lower case, without
    /// punctuation of any script. F1 counts those that two answers have in common wherever they stand, as in SQuAD; the script
    /// of CMRC 2018 (arXiv 1810.07366) counts their longest common substring, which is never more.
    Characters,
}

impl Units {
    /// Characters, where a third or more of all letters and digits in `answers` are Chinese or Japanese; words elsewhere.
    pub fn of<'a>(answers: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut letters, mut ideographs) = (0u64, 0u64);
        for char in answers.into_iter().flat_map(str::chars) {
            letters += u64::from(is_alphanumeric(char));
            ideographs += u64::from(is_ideograph(char));
        }
        if ideographs > 0 && ideographs * 3 >= letters { Self::Characters } else { Self::Words }
    }

    /// What `answer` is made of.
    fn split(self, answer: &str) -> Vec<String> {
        let lower = answer.to_lowercase();
        match self {
            Self::Words => {
                let kept: String = lower.chars().filter(|char| !char.is_ascii_punctuation()).collect();
                words(&without_articles(&kept)).map(str::to_owned).collect()
            }
            Self::Characters => {
                let mut apart = String::with_capacity(2 * lower.len());
                for char in lower.chars().filter(|&char| !is_punctuation(char)) {
                    if is_ideograph(char) {
                        apart.extend([' ', char, ' ']);
                    } else {
                        apart.push(char);
                    }
                }
                words(&apart).map(str::to_owned).collect()
            }
        }
    }
}

/// Puts a space in place of every article between word boundaries.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut word = String::new();
    for char in text.chars().chain(['\n']) {
        // A word is what `\w` of Python's regular expressions matches.
        if is_alphanumeric(char) || char == '_' {
            word.push(char);
            continue;
        }
        kept.push_str(if matches!(word.as_str(), "a" | "an" | "the") { " " } else { &word });
        kept.push(char);
        word.clear();
    }
    kept
}

/// How good answers are, on average.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerScore {
    units: Units,
    questions: u64,
    exact: u64,
    f1: f64,
}

impl AnswerScore {
    /// No questions yet.
    #[must_use]
    pub fn new(units: Units) -> Self {
        Self { units, questions: 0, exact: 0, f1: 0.0 }
    }

    /// Counts the answer to a question by the gold answer that it is closest to. A question without gold answers is
    /// unanswerable, and an empty answer right (SQuAD 2.0, arXiv 1806.03822).
    pub fn add<'a>(&mut self, answer: &str, gold: impl IntoIterator<Item = &'a str>) {
        let answer = self.units.split(answer);
        let mut gold = gold.into_iter().map(|gold| self.units.split(gold)).peekable();
        let (mut exact, mut best) = (false, 0f64);
        if gold.peek().is_none() {
            exact = answer.is_empty();
            best = f64::from(u8::from(exact));
        }
        for gold in gold {
            exact |= gold == answer;
            best = best.max(f1(&answer, &gold));
        }
        self.questions += 1;
        self.exact += u64::from(exact);
        self.f1 += best;
    }

    /// Number of questions.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// Share of answers that are a gold answer, after normalisation, in percent; 0 of none.
    #[must_use]
    pub fn exact_match(&self) -> f64 {
        100.0 * self.exact as f64 / self.questions.max(1) as f64
    }

    /// Mean F1 over the units that answer and gold answer share, in percent; 0 of none.
    #[must_use]
    pub fn f1(&self) -> f64 {
        100.0 * self.f1 / self.questions.max(1) as f64
    }
}

/// F1 of `answer` against `gold`: of nothing against nothing it is 1.
fn f1(answer: &[String], gold: &[String]) -> f64 {
    if answer.is_empty() || gold.is_empty() {
        return f64::from(u8::from(answer.len() == gold.len()));
    }
    let mut left = HashMap::new();
    gold.iter().for_each(|unit| *left.entry(unit).or_insert(0u64) += 1);
    let mut shared = 0u64;
    for unit in answer {
        if let Some(count) = left.get_mut(unit).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    2.0 * shared as f64 / (answer.len() + gold.len()) as f64
}

fn is_alphanumeric(char: char) -> bool {
    matches!(char.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

fn is_punctuation(char: char) -> bool {
    char.is_ascii_punctuation() || char.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Whether a character of Chinese or Japanese stands for itself: Han characters and kana.
fn is_ideograph(char: char) -> bool {
    matches!(char,
        '\u{3005}'..='\u{3007}' // iteration mark, closing mark, zero
        | '\u{3041}'..='\u{3096}' // hiragana
        | '\u{309D}'..='\u{309F}'
        | '\u{30A1}'..='\u{30FA}' // katakana
        | '\u{30FC}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' // Han, extension A
        | '\u{4E00}'..='\u{9FFF}' // Han
        | '\u{F900}'..='\u{FAFF}' // Han for compatibility
        | '\u{FF66}'..='\u{FF9D}' // katakana of half width
        | '\u{20000}'..='\u{3FFFD}' // Han, further extensions
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(units: Units, answer: &str, gold: &[&str], exact: bool, f1: f64) {
        let mut score = AnswerScore::new(units);
        score.add(answer, gold.iter().copied());
        let expect = (if exact { 100.0 } else { 0.0 }, f1);
        assert!(score.exact_match() == expect.0 && (score.f1() - f1).abs() < 1e-9, "{score:?} instead of {expect:?}");
    }

    #[test]
    fn words_are_those_of_squad() {
        // The functions of SQuAD's evaluate-v2.0.py, over the best gold answer:
        // [100 * max(compute_exact(g, a) for g in gold), 100 * max(compute_f1(g, a) for g in gold)]
        let check = |answer: &str, gold: &[&str], exact, f1| check(Units::Words, answer, gold, exact, f1);
        check("The Denver Broncos!", &["Denver Broncos"], true, 100.0);
        check("an apple a day", &["the apple, day", "apple"], true, 100.0);
        check("Bronco's", &["broncos", "Bronco s"], true, 100.0);
        check("well-known THE-an", &["wellknown thean"], true, 100.0);
        check("the\u{2013}war, a “b”", &["war b", "\u{2013}war “b”"], true, 100.0);
        check("x x y", &["x y y z"], false, 57.14285714285715);
        check("", &["something"], false, 0.0);
        check("The", &["a"], true, 100.0);
        check("ÉCOLE İstanbul ΣΑΣ", &["école i̇stanbul σας"], true, 100.0);
        check("2008年", &["the 2008年"], true, 100.0);
        check("a\u{A0}b\u{1C}c", &["b c"], true, 100.0);
        check("1.5 %", &["15", "1.5%"], true, 100.0);
        check("a_the", &["athe"], true, 100.0);
        check("", &[], true, 100.0);
        check("the", &[], true, 100.0);
        check("something", &[], false, 0.0);
    }

    #[test]
    fn characters() {
        let check = |answer: &str, gold: &[&str], exact, f1| check(Units::Characters, answer, gold, exact, f1);
        check("《红楼梦》。", &["红楼梦"], true, 100.0);
        check("曹雪芹著", &["曹雪芹"], false, 100.0 * 6.0 / 7.0);
        check("1999 年 5月", &["1999年5月"], true, 100.0);
        check("NBA 球队", &["nba球员"], false, 100.0 * 4.0 / 6.0);
        check("東京タワー", &["とうきょう", "東京タワーです"], false, 100.0 * 10.0 / 12.0);
        check("", &["東京"], false, 0.0);
        check("", &[], true, 100.0);
    }

    #[test]
    fn units_follow_the_answers() {
        assert_eq!(Units::of(["Denver Broncos", "北京"]), Units::Words);
        assert_eq!(Units::of(["1999年", "曹雪芹", "NBA"]), Units::Characters);
        assert_eq!(Units::of(["ひらがな"]), Units::Characters);
        assert_eq!(Units::of(["서울", "Ἀθῆναι"]), Units::Words);
        assert_eq!(Units::of(["", "?!"]), Units::Words);
        assert_eq!(Units::of([]), Units::Words);
    }

    #[test]
    fn scores_are_means() {
        let mut score = AnswerScore::new(Units::Words);
        assert_eq!((score.exact_match(), score.f1(), score.questions()), (0.0, 0.0, 0));
        score.add("The Broncos", ["broncos"]);
        score.add("Denver", ["Denver Broncos", "Santa Clara"]);
        assert_eq!((score.exact_match(), score.questions()), (50.0, 2));
        assert!((score.f1() - (100.0 + 200.0 / 3.0) / 2.0).abs() < 1e-9);
    }
}
