//! Which `<` start markup.

/// Elements whose content is no text.
pub(super) const RAW: [&str; 5] = ["iframe", "noembed", "noframes", "script", "style"];

/// Elements of HTML, old and new, and of the SVG and MathML that pages embed; sorted.
#[rustfmt::skip]
const ELEMENTS: [&str; 154] = [
    "a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b", "base", "basefont", "bdi",
    "bdo", "bgsound", "big", "blink", "blockquote", "body", "br", "button", "canvas", "caption", "center", "circle",
    "cite", "code", "col", "colgroup", "data", "datalist", "dd", "defs", "del", "desc", "details", "dfn", "dialog",
    "dir", "div", "dl", "dt", "ellipse", "em", "embed", "fieldset", "figcaption", "figure", "font", "footer", "form",
    "frame", "frameset", "g", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "i",
    "iframe", "image", "img", "input", "ins", "isindex", "kbd", "label", "legend", "li", "line", "link", "main",
    "map", "mark", "marquee", "math", "menu", "menuitem", "meta", "meter", "mfrac", "mi", "mn", "mo", "mrow", "msub",
    "msup", "nav", "nobr", "noembed", "noframes", "noscript", "object", "ol", "optgroup", "option", "output", "p",
    "param", "path", "picture", "polygon", "polyline", "pre", "progress", "q", "rect", "rp", "rt", "ruby", "s",
    "samp", "script", "search", "section", "select", "slot", "small", "source", "span", "strike", "strong", "style",
    "sub", "summary", "sup", "svg", "table", "tbody", "td", "template", "textarea", "tfoot", "th", "thead", "time",
    "title", "tr", "track", "tt", "u", "ul", "use", "var", "video", "wbr", "xmp",
];

/// Elements that stand on lines of their own; sorted.
#[rustfmt::skip]
const BLOCKS: [&str; 57] = [
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "dir",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3", "h4", "h5",
    "h6", "head", "header", "hgroup", "hr", "html", "iframe", "legend", "li", "main", "menu", "nav", "noscript", "ol",
    "optgroup", "option", "p", "pre", "script", "search", "section", "select", "style", "summary", "table", "tbody",
    "tfoot", "thead", "title", "tr", "ul",
];

/// What a `<` starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup<'t> {
    /// A start tag.
    Start(&'t str),
    /// An end tag.
    End(&'t str),
    /// A comment, document type or processing instruction.
    Declaration,
    /// A CDATA section with this many bytes.
    Cdata(usize),
}

impl<'t> Markup<'t> {
    /// The white space that stands for a tag of this (lower-case) name.
    pub(super) fn separator(name: &str) -> Option<char> {
        match name {
            "td" | "th" => Some(' '),
            _ => BLOCKS.binary_search(&name).is_ok().then_some('\n'),
        }
    }

    /// Reads the markup at byte `at`, a `<`. `None`: it is text.
    fn read(text: &'t str, at: usize, last: &LastEnds) -> Option<Self> {
        let inner = &text[at + 1..];
        if inner.starts_with("!--") {
            // "<!-->" is a whole comment.
            return last.comment.filter(|&end| end >= at + 2).map(|_| Self::Declaration);
        }
        if inner.starts_with("![CDATA[") {
            last.cdata.filter(|&end| end > at)?;
            return text[at..].find("]]>").map(Self::Cdata);
        }
        if starts_with_ignoring_case(inner, "!doctype") || starts_with_ignoring_case(inner, "?xml") {
            return last.tag.filter(|&end| end > at).map(|_| Self::Declaration);
        }
        last.tag.filter(|&end| end > at)?;
        let (end_tag, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let length = inner.find(|c: char| c == '/' || c == '>' || c.is_ascii_whitespace())?;
        let (name, attributes) = inner.split_at(length);
        (is_element(name) && closes(attributes)).then_some(if end_tag { Self::End(name) } else { Self::Start(name) })
    }
}

/// Where the last end of each kind of markup stands: what starts after it is never closed. Looked up once, since a search
/// from each `<` would take quadratic time.
struct LastEnds {
    comment: Option<usize>,
    cdata: Option<usize>,
    tag: Option<usize>,
}

/// The positions of each `<` that is text, in order.
pub(super) fn literals(text: &str) -> Vec<usize> {
    let last = LastEnds { comment: text.rfind("-->"), cdata: text.rfind("]]>"), tag: text.rfind('>') };
    let mut literals = Vec::new();
    let mut raw_starts = Vec::new();
    let mut last_raw_ends = [None; RAW.len()];
    let mut next = 0;
    while let Some(at) = text[next..].find('<').map(|found| next + found) {
        next = at + 1;
        match Markup::read(text, at, &last) {
            None => literals.push(at),
            // No entity is resolved in there, so nothing may be escaped.
            Some(Markup::Cdata(length)) => next = at + length,
            Some(Markup::Start(name)) => raw_starts.extend(raw(name).map(|index| (at, index))),
            Some(Markup::End(name)) => {
                if let Some(index) = raw(name) {
                    last_raw_ends[index] = Some(at);
                }
            }
            Some(Markup::Declaration) => {}
        }
    }
    // A script that never ends would swallow the rest.
    literals.extend(
        raw_starts.iter().filter(|&&(at, index)| last_raw_ends[index].is_none_or(|end| end < at)).map(|&(at, _)| at),
    );
    literals.sort_unstable();
    literals
}

fn raw(name: &str) -> Option<usize> {
    RAW.iter().position(|raw| raw.eq_ignore_ascii_case(name))
}

/// Whether a name is an element's: of HTML, of its own making (`my-tag`) or of a namespace (`o:p`).
fn is_element(name: &str) -> bool {
    let order = |known: &&str| known.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()));
    ELEMENTS.binary_search_by(order).is_ok()
        || name.split_once(['-', ':']).is_some_and(|(before, after)| {
            before.starts_with(|c: char| c.is_ascii_alphabetic())
                && before.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && after.ends_with(|c: char| c.is_ascii_alphanumeric())
                && after.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Whether a tag ends (`>`) before another one starts (`<`), quoted values aside.
fn closes(attributes: &str) -> bool {
    let mut quote = None;
    // After "=" and white space a quotation mark opens a value.
    let mut value_starts = false;
    for byte in attributes.bytes() {
        match (quote, byte) {
            (Some(open), _) => {
                if byte == open {
                    quote = None;
                }
            }
            (None, b'>') => return true,
            (None, b'<') => return false,
            (None, b'"' | b'\'') if value_starts => (quote, value_starts) = (Some(byte), false),
            (None, b'=') => value_starts = true,
            (None, byte) => value_starts &= byte.is_ascii_whitespace(),
        }
    }
    false
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(ELEMENTS.is_sorted() && BLOCKS.is_sorted());
    }

    #[test]
    fn recognizes_elements() {
        for name in ["a", "DIV", "h1", "o:p", "my-tag", "x-y-z", "wbr"] {
            assert!(is_element(name), "{name}");
        }
        for name in ["", "unk", "http:", "joe@example.com", "mailto:a@b.c", "-x", "x-", "3", "你好"] {
            assert!(!is_element(name), "{name}");
        }
    }
}
