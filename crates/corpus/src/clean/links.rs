//! URLs and e-mail addresses, found by linkify.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};

use super::alignment::Output;
use crate::{
    Replace,
    words::{is_unspaced, is_word_character},
};

/// Bytes of a text that are searched at once. The search looks from each "@" and ":" back to the last white space, so its
/// time on hostile text grows with the square of this.
const WINDOW: usize = 4096;

/// Removes or replaces URLs (with a scheme, or from "www." on) and e-mail addresses. `None`: nothing to do.
pub(super) fn replace<O: Output>(text: &str, urls: Replace, emails: Replace) -> Option<O> {
    if (urls == Replace::Keep && emails == Replace::Keep) || !may_hold_link(text) {
        return None;
    }
    let mut output: Option<O> = None;
    let mut copied = 0;
    for (range, is_email) in links(text, urls != Replace::Keep, emails != Replace::Keep) {
        let (replace, word) = if is_email { (emails, "EMAIL") } else { (urls, "URL") };
        let output = output.get_or_insert_default();
        output.keep(&text[copied..range.start]);
        output.put(range.len(), if replace == Replace::Word { word } else { "" });
        copied = range.end;
    }
    output.map(|mut output| {
        output.keep(&text[copied..]);
        output
    })
}

/// Whether the text has what every link has, so that most texts are not searched.
fn may_hold_link(text: &str) -> bool {
    text.contains('@') || text.contains("://") || www(text).is_some()
}

/// The links of a text in order, none inside another, and whether each is an e-mail address.
fn links(text: &str, urls: bool, emails: bool) -> Vec<(Range<usize>, bool)> {
    let kinds: Vec<_> = [(urls, LinkKind::Url), (emails, LinkKind::Email)]
        .into_iter()
        .filter(|kind| kind.0)
        .map(|kind| kind.1)
        .collect();
    let mut finder = LinkFinder::new();
    finder.kinds(&kinds);
    let mut hosts = LinkFinder::new();
    hosts.kinds(&[LinkKind::Url]).url_must_have_scheme(false);

    let mut links: Vec<(Range<usize>, bool)> = Vec::new();
    for (start, window) in windows(text) {
        links.extend(finder.links(window).filter_map(|link| {
            let is_email = *link.kind() == LinkKind::Email;
            let range = within_sentence(link.as_str(), is_email)?;
            let at = start + link.start();
            Some((at + range.start..at + range.end, is_email))
        }));
        let mut next = 0;
        while let Some(at) = www(&window[next..]).filter(|_| urls).map(|found| next + found) {
            next = at + "www.".len();
            let inside = window[..at].chars().next_back().is_some_and(|c| is_word_character(c) && !is_unspaced(c));
            let found = hosts.links(&window[at..]).next().filter(|link| link.start() == 0 && !inside);
            if let Some(end) = found.map(|link| url_length(link.as_str())).filter(|&end| end > "www.".len()) {
                links.push((start + at..start + at + end, false));
                next = at + end;
            }
        }
    }
    links.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    links.retain(|(range, _)| {
        let apart = range.start >= end;
        end = end.max(range.end);
        apart
    });
    links
}

/// Cuts a text into pieces with their positions: at white space, or wherever a run without any is too long.
fn windows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &text[start..];
        if rest.is_empty() {
            return None;
        }
        let most = (0..=WINDOW.min(rest.len())).rev().find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
        let blank = if most < rest.len() { rest[..most].rfind(char::is_whitespace).filter(|&at| at > 0) } else { None };
        let window = &rest[..blank.unwrap_or(most)];
        let at = start;
        start += window.len();
        Some((at, window))
    })
}

/// The position of "www." in any letter case.
fn www(text: &str) -> Option<usize> {
    text.as_bytes().windows(4).position(|bytes| bytes.eq_ignore_ascii_case(b"www."))
}

/// The part of a found link that is one where no white space sets it off from its sentence. `None`: nothing of it is.
fn within_sentence(link: &str, is_email: bool) -> Option<Range<usize>> {
    if is_email {
        let at = link.find('@')?;
        let start =
            link[..at].char_indices().rev().find(|&(_, c)| is_outside(c)).map_or(0, |(found, c)| found + c.len_utf8());
        let end = link[at..].find(is_outside).map_or(link.len(), |found| at + found);
        return (start < at && at + 1 < end).then_some(start..end);
    }
    let end = url_length(link);
    link.find("://").filter(|at| at + "://".len() < end).map(|_| 0..end)
}

/// A letter of a script without spaces or East Asian punctuation ends a URL.
fn url_length(link: &str) -> usize {
    link.find(is_outside).unwrap_or(link.len())
}

fn is_outside(c: char) -> bool {
    is_unspaced(c) || matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff65}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(urls: Replace, emails: Replace, text: &str, expect: &str) {
        let found: Option<String> = replace(text, urls, emails);
        assert_eq!(found.as_deref().unwrap_or(text), expect, "{text:?}");
        assert_eq!(found.is_none(), text == expect, "{text:?}: a copy where none is needed");
    }

    #[test]
    fn words_stand_for_links() {
        let both = |text, expect| check(Replace::Word, Replace::Word, text, expect);
        both("", "");
        both("see https://example.com/a?b=c#d.", "see URL.");
        both("(http://example.com)", "(URL)");
        both("WWW.Example.com/x, www.a.org", "URL, URL");
        both("mail joe.doe+x@example.co.uk now", "mail EMAIL now");
        both("mailto:joe@example.com", "mailto:EMAIL");
        both("http://user@example.com/", "URL");
        both("https://müller.de/straße ja", "URL ja");
    }

    #[test]
    fn scripts_without_spaces_end_a_url() {
        let both = |text, expect| check(Replace::Word, Replace::Word, text, expect);
        both("访问https://example.com/path看看", "访问URL看看");
        both("请看http://a.cn，谢谢", "请看URL，谢谢");
        both("邮箱：joe@example.com。", "邮箱：EMAIL。");
        both("邮箱joe@example.com", "邮箱EMAIL");
        both("请上www.example.com看", "请上URL看");
    }

    #[test]
    fn plain_text_stays() {
        for text in [
            "end.Then more",
            "a@b",
            "12:30",
            "C://",
            "foo @ bar",
            "www. is a prefix",
            "e.g. this",
            "://",
            "@",
            "http://",
        ] {
            check(Replace::Remove, Replace::Remove, text, text);
        }
    }

    #[test]
    fn long_texts_are_searched_in_windows() {
        let words = "word ".repeat(WINDOW);
        let both = |text: &str, expect: &str| check(Replace::Word, Replace::Word, text, expect);
        both(&format!("{words}http://x.com {words}a@b.org"), &format!("{words}URL {words}EMAIL"));
        for shift in 0..12 {
            let before = format!("{} ", "x".repeat(WINDOW - shift));
            both(&format!("{before}http://x.com"), &format!("{before}URL"));
        }
    }

    #[test]
    fn each_kind_by_its_own_switch() {
        let text = "a http://x.com b@y.org c";
        check(Replace::Keep, Replace::Keep, text, text);
        check(Replace::Remove, Replace::Keep, text, "a  b@y.org c");
        check(Replace::Keep, Replace::Remove, text, "a http://x.com  c");
        check(Replace::Word, Replace::Remove, text, "a URL  c");
    }
}
