//! HTML to text, by html5ever's tokenizer.
//!
//! A browser takes any `<` before a letter for a tag and what is never closed for markup up to the end, which would eat
//! plain text. So a `<` is passed to the tokenizer as markup only where [`Markup`] recognizes it; elsewhere it is text:
//! "I <3 you", "a < b", `<unk>`, `<joe@example.com>` stay.

use std::cell::{Cell, RefCell};

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind,
    },
};

use super::alignment::Output;
use markup::{Markup, RAW};

mod markup;

/// Bytes that go to the tokenizer in one piece (its strings hold 4 GiB at most).
const PIECE: usize = 1 << 20;

/// Removes tags, comments, declarations and the content of scripts and styles, and resolves entities. Tags of blocks
/// leave a line feed and table cells a space, so that words do not run together. `None`: nothing to do.
pub(super) fn strip<O: Output>(text: &str) -> Option<O> {
    if !text.contains(['<', '&']) {
        return None;
    }
    let options = TokenizerOpts { discard_bom: false, ..Default::default() };
    let mut pass = Pass {
        tokenizer: Tokenizer::new(Sink::default(), options),
        input: BufferQueue::default(),
        text,
        settled: 0,
        written: 0,
        output: O::default(),
    };
    let mut passed = 0;
    for at in markup::literals(text) {
        pass.feed(passed..at);
        pass.feed_as(at + 1, "&lt;");
        passed = at + 1;
    }
    pass.feed(passed..text.len());
    pass.tokenizer.end();
    pass.settle(text.len());
    pass.output.put(text.len() - pass.settled, "");
    (pass.output.text() != text).then_some(pass.output)
}

/// A text on its way through the tokenizer.
struct Pass<'t, O> {
    tokenizer: Tokenizer<Sink>,
    input: BufferQueue,
    text: &'t str,
    /// Bytes of the text that went to the output, or are known to be markup.
    settled: usize,
    /// Bytes of the sink's text that went to the output.
    written: usize,
    output: O,
}

impl<O: Output> Pass<'_, O> {
    /// Passes a part of the text on, as it is: character by character where it matters what each of them becomes.
    fn feed(&mut self, part: std::ops::Range<usize>) {
        let mut start = part.start;
        while start < part.end {
            let most = if O::EXACT { 1 } else { PIECE };
            let rest = &self.text[start..part.end];
            let first = rest.chars().next().map_or(1, char::len_utf8);
            let length = (first..=most.max(first).min(rest.len())).rev().find(|&end| rest.is_char_boundary(end));
            let end = start + length.unwrap_or(rest.len());
            self.feed_as(end, &self.text[start..end]);
            start = end;
        }
    }

    /// Passes `piece` on in place of the text up to `end`.
    fn feed_as(&mut self, end: usize, piece: &str) {
        self.input.push_back(StrTendril::from_slice(piece));
        // The sink asks for no script to be run, so the tokenizer always takes all of its input.
        let _ = self.tokenizer.feed(&self.input);
        self.settle(end);
    }

    /// Writes down what came out since the last time: it stands for the text up to `end`, whose end it may be.
    fn settle(&mut self, end: usize) {
        let sink = self.tokenizer.sink.text.borrow();
        let (from, out) = (&self.text[self.settled..end], &sink[self.written..]);
        if out.is_empty() {
            return;
        }
        // What is behind an entity may be what makes the tokenizer write it; the beginning of a tag is no part of it.
        let from = from.strip_suffix('<').filter(|_| !out.ends_with('<')).unwrap_or(from);
        let same = from.chars().rev().zip(out.chars().rev()).take_while(|(a, b)| a == b);
        let kept: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let (replaced, out) = (&from[..from.len() - kept], &out[..out.len() - kept]);
        // Tags before an entity are not what it stands for.
        let markup =
            replaced.rfind('&').filter(|_| !out.is_empty()).unwrap_or(if out.is_empty() { replaced.len() } else { 0 });
        self.output.put(markup, "");
        self.output.put(replaced.len() - markup, out);
        self.output.keep(&from[from.len() - kept..]);
        self.settled += from.len();
        self.written = sink.len();
    }
}

/// Collects the text.
#[derive(Default)]
struct Sink {
    text: RefCell<String>,
    /// Inside an element whose content is no text.
    raw: Cell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) if !self.raw.get() => self.text.borrow_mut().push_str(&text),
            Token::NullCharacterToken if !self.raw.get() => self.text.borrow_mut().push('\0'),
            Token::TagToken(tag) => return self.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    /// Has CDATA sections read as text (feeds hold them) rather than as comments.
    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        true
    }
}

impl Sink {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        if RAW.contains(&name) {
            self.raw.set(tag.kind == TagKind::StartTag);
            if tag.kind == TagKind::StartTag {
                return TokenSinkResult::RawData(RawKind::Rawtext);
            }
        }
        let mut text = self.text.borrow_mut();
        let ends_with = |c: fn(char) -> bool| text.chars().next_back().is_none_or(c);
        match Markup::separator(name) {
            Some('\n') if name == "br" || !ends_with(|c| c == '\n') => text.push('\n'),
            Some(' ') if !ends_with(char::is_whitespace) => text.push(' '),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found: Option<String> = strip(text);
        assert_eq!(found.as_deref().unwrap_or(text), expect, "{text:?}");
        assert_eq!(found.is_none(), text == expect, "{text:?}: a copy where none is needed");
    }

    #[test]
    fn tags() {
        check("", "");
        check("b<b>ol</b>d <i class=x>it</i>", "bold it");
        check("<p>one</p><p>two</p>", "one\ntwo\n");
        check("one<br /><br />two<BR>three", "one\n\ntwo\nthree");
        check("<ul><li>a<li>b</ul>c", "a\nb\nc");
        check("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b \nc\n");
        check(r#"<a title="x > y" href='<b>'>link</a>"#, "link");
        check("<o:p>word</o:p> <my-tag>own</my-tag>", "word own");
        check("<!DOCTYPE html><?xml version='1.0'?><html>x</html>", "x\n");
    }

    #[test]
    fn content_that_is_no_text() {
        check("a<!-- b <b> c -->d", "ad");
        check("a<script>if (x < y) { '<b>' }</script>b", "a\nb");
        check("a<STYLE>p { }</STYLE >b", "a\nb");
        check("a<script><!-- <script> --></script>b", "a\nb");
        check("<![CDATA[a < b]]> c", "a < b c");
    }

    #[test]
    fn entities() {
        check("a &amp; b &lt;b&gt; &eacute;&#x4f60;&#22909; &nbsp;", "a & b <b> é你好 \u{a0}");
        check("AT&T R&D & &; &unknown; &#xzz;", "AT&T R&D & &; &unknown; &#xzz;");
        check("&#0;&#x110000;&#xd800;", "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn plain_text_survives() {
        for text in [
            "a < b and c > d",
            "I <3 you",
            "<unk> said <eos>",
            "from <joe@example.com>",
            "see <https://example.com>",
            "a<b",
            "<",
            "</",
            "<>",
            "</>",
            "<!",
            "<!-- never closed",
            "<p never closed",
            "use <script> for code",
            "<b <i",
            "x <- y",
            "a<=b",
            "<a href=\"open",
            "<![CDATA[ open",
            "</ b>",
            "<你好>",
            "<? php",
            "\0<\0",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn hostile_input_ends_soon() {
        for unit in [
            "<",
            "&",
            "<a",
            "<a ='",
            "<a =\"",
            "<!--",
            "</script",
            "<script>",
            "<![CDATA[",
            "&#",
            "<p>",
            "&lt",
            "<a b=c ",
        ] {
            let text = unit.repeat(400_000 / unit.len());
            let _: Option<String> = strip(&text);
        }
        let long = "é".repeat(PIECE);
        check(&format!("{long}<b>{long}"), &format!("{long}{long}"));
    }
}
