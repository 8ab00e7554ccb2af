//! White space: one space, or one or two line feeds.

use super::alignment::Output;

/// Folds each run of Unicode white space: into as many line feeds as it has line ends (LF, CR LF, CR), two at most, or
/// into one space where it has none; and trims both ends. `None`: nothing to do.
pub(super) fn fold<O: Output>(text: &str) -> Option<O> {
    if is_folded(text) {
        return None;
    }
    let mut output = O::default();
    let mut rest = text.trim_start();
    output.put(text.len() - rest.len(), "");
    rest = rest.trim_end();
    while let Some(at) = rest.find(char::is_whitespace) {
        let (before, from) = rest.split_at(at);
        let after = from.trim_start();
        let run = &from[..from.len() - after.len()];
        output.keep(before);
        let folded = match line_ends(run) {
            0 => " ",
            1 => "\n",
            _ => "\n\n",
        };
        if run == folded {
            output.keep(run);
        } else {
            output.put(run.len(), folded);
        }
        rest = after;
    }
    output.keep(rest);
    Some(output)
}

fn line_ends(run: &str) -> usize {
    let feeds = run.matches('\n').count();
    let returns = run.matches('\r').count();
    feeds + returns - run.matches("\r\n").count()
}

fn is_folded(text: &str) -> bool {
    // The two characters before; the start counts as white space that nothing may follow.
    let mut before = (' ', ' ');
    for c in text.chars() {
        let fits = match c {
            ' ' => !before.1.is_whitespace(),
            '\n' => !before.1.is_whitespace() || (before.1 == '\n' && !before.0.is_whitespace()),
            c => !c.is_whitespace(),
        };
        if !fits {
            return false;
        }
        before = (before.1, c);
    }
    text.is_empty() || !before.1.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found: Option<String> = fold(text);
        assert_eq!(found.as_deref().unwrap_or(text), expect, "{text:?}");
        assert_eq!(found.is_none(), text == expect, "{text:?}: a copy where none is needed");
    }

    #[test]
    fn folds() {
        check("", "");
        check(" ", "");
        check("\n", "");
        check("a b\nc\n\nd", "a b\nc\n\nd");
        check("  a \t b\u{a0}\u{3000}c ", "a b c");
        check("a\n\n\nb", "a\n\nb");
        check("a \n b", "a\nb");
        check("a\r\nb\rc\r\n\r\n\r\nd", "a\nb\nc\n\nd");
        check("a\u{2028}b\u{85}c\u{b}d", "a b c d");
        check("你好\u{3000}世界", "你好 世界");
        check("a\u{200b}b", "a\u{200b}b");
    }
}
