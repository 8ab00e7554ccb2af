//! Rules for single lines.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::Rule;
use crate::{FilterConfig, words::words};

/// C4's notices (arXiv 1910.10683, section 2.2): lines with one are removed.
static NOTICE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("(?i-u)javascript|terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies")
        .ok()
});

/// C4's placeholder: a document with it is dropped.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("(?i-u)lorem ipsum").ok());

/// Removes the lines that break a rule, with the blank lines that this leaves at the ends or in a row. Gives the text and
/// how many lines with text were removed, or the rule that leaves nothing of it.
pub(super) fn keep<'t>(text: &'t str, rules: &FilterConfig) -> Result<(Cow<'t, str>, usize), (Rule, String)> {
    if rules.boilerplate == Some(true) {
        check_boilerplate(text)?;
    }
    if !removes_lines(rules) || !text.split('\n').any(|line| broken(line, rules).is_some()) {
        return Ok((Cow::Borrowed(text), 0));
    }
    let (mut removed, mut last) = (0, None);
    let mut kept = String::with_capacity(text.len());
    for line in text.split('\n') {
        let rule = broken(line, rules);
        let blank = line.trim().is_empty();
        last = rule.or(last);
        removed += usize::from(rule.is_some());
        if rule.is_none() && !(blank && (kept.is_empty() || kept.ends_with("\n\n"))) {
            kept.push_str(if blank { "" } else { line });
            kept.push('\n');
        }
    }
    kept.truncate(kept.trim_end_matches('\n').len());
    match last {
        Some(rule) if kept.is_empty() => Err((rule, format!("all {removed} lines"))),
        _ => Ok((Cow::Owned(kept), removed)),
    }
}

fn removes_lines(rules: &FilterConfig) -> bool {
    rules.boilerplate == Some(true)
        || rules.terminal_punctuation == Some(true)
        || rules.min_line_words.is_some_and(|min| min > 0)
}

fn check_boilerplate(text: &str) -> Result<(), (Rule, String)> {
    if let Some(brace) = text.find(['{', '}']) {
        return Err((Rule::Boilerplate, text[brace..=brace].to_owned()));
    }
    match PLACEHOLDER.as_ref().and_then(|regex| regex.find(text)) {
        Some(found) => Err((Rule::Boilerplate, found.as_str().to_owned())),
        None => Ok(()),
    }
}

/// The rule that a line breaks. Blank lines part paragraphs and break none.
fn broken(line: &str, rules: &FilterConfig) -> Option<Rule> {
    if line.trim().is_empty() {
        return None;
    }
    if rules.boilerplate == Some(true) && NOTICE.as_ref().is_some_and(|regex| regex.is_match(line)) {
        return Some(Rule::Boilerplate);
    }
    if rules.terminal_punctuation == Some(true) && !ends_sentence(line) {
        return Some(Rule::TerminalPunctuation);
    }
    match rules.min_line_words {
        Some(min) if words(line).take(min).count() < min => Some(Rule::MinLineWords),
        _ => None,
    }
}

/// Whether a line ends in a terminal punctuation mark or, as in C4, a closing quotation mark; brackets behind one aside.
fn ends_sentence(line: &str) -> bool {
    let line = line.trim_end();
    let is_end = |c: char| is_terminal(c) || matches!(c, '"' | '”' | '»' | '」' | '』' | '’' | '\'');
    line.ends_with(is_end) || line.trim_end_matches([')', ']', '）', '】']).ends_with(is_terminal)
}

/// The marks that end a sentence in the scripts in use today (Unicode's `Sentence_Terminal`), and the ellipsis.
fn is_terminal(c: char) -> bool {
    matches!(
        c,
        '.' | '!' | '?' | '…' | '‼' | '‽' | '⁇' | '⁈' | '⁉' | '։' | '؝'..='؟' | '۔' | '܀'..='܂' | '।' | '॥' | '၊' | '။' | '።' | '፧'
            | '፨' | '។' | '៕' | '᠃' | '᠉' | '᪨'..='᪫' | '᭚' | '᭛' | '᱾' | '᱿' | '。' | '｡' | '．' | '！' | '？' | '꓿' | '꘎' | '꘏' | '꩝'..='꩟'
            | '༎' | '།'
    )
}

/// The share of lines with text that `test` is true of.
pub(super) fn share(text: &str, test: fn(&str) -> bool) -> f64 {
    let (mut found, mut all) = (0, 0);
    for line in text.split('\n').map(str::trim).filter(|line| !line.is_empty()) {
        all += 1;
        found += usize::from(test(line));
    }
    super::counts::ratio(found, all)
}

pub(super) fn starts_with_bullet(line: &str) -> bool {
    line.starts_with(['•', '‣', '◦', '●', '○', '▪', '▫', '■', '□', '▶', '►', '·', '*', '-', '–'])
}

pub(super) fn ends_with_ellipsis(line: &str) -> bool {
    line.ends_with("...") || line.ends_with('…')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_sentences() {
        for line in ["a.", "a!", "a?\"", "“a”", "(a.)", "a。", "a！）", "a؟", "a।", "a…", "a.  ", "a።", "a။", "a۔"]
        {
            assert!(ends_sentence(line), "{line:?}");
        }
        for line in ["a", "a,", "a:", "(a)", "", ")", "a-", "a、", "a،"] {
            assert!(!ends_sentence(line), "{line:?}");
        }
    }

    #[test]
    fn patterns_compile() {
        assert!(NOTICE.is_some() && PLACEHOLDER.is_some());
    }
}
