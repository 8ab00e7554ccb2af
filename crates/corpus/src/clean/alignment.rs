//! What cleaning made of which part of a text.

use std::{borrow::Cow, ops::Range};

/// What a step of the cleaning writes: its input, in order, as parts that stay and parts that something else stands for.
pub(super) trait Output: Default {
    /// Whether it wants to know exactly which part is replaced by what.
    const EXACT: bool;

    /// The next part of the input, which is `text`, stays.
    fn keep(&mut self, text: &str);

    /// `text` stands for the next `length` bytes of the input.
    fn put(&mut self, length: usize, text: &str);

    /// What was written so far.
    fn text(&self) -> &str;
}

impl Output for String {
    const EXACT: bool = false;

    fn keep(&mut self, text: &str) {
        self.push_str(text);
    }

    fn put(&mut self, _: usize, text: &str) {
        self.push_str(text);
    }

    fn text(&self) -> &str {
        self
    }
}

/// A text on its way through the steps.
pub(super) trait Text {
    /// What a step writes.
    type Output: Output;

    /// The text as it is now.
    fn text(&self) -> &str;

    /// Goes on with what a step made of it.
    fn take(&mut self, output: Self::Output);
}

impl Text for Cow<'_, str> {
    type Output = String;

    fn text(&self) -> &str {
        self
    }

    fn take(&mut self, output: String) {
        *self = Cow::Owned(output);
    }
}

/// A cleaned text, and which part of the source each part of it comes from.
///
/// ```
/// use grulm_corpus::{CleanConfig, Cleaner, Unit};
///
/// let config = CleanConfig { strip_html: true, ..Default::default() };
/// let cleaner = Cleaner::new(&config, Unit::Line, "text", "utf-8")?;
/// let source = "the  <b>Caf&eacute;</b> by R&amp;D";
/// let clean = cleaner.clean_aligned(source);
/// assert_eq!(clean.text(), "the Café by R&D");
/// let at = clean.text().find("Café").ok_or("not there")?;
/// assert_eq!(&source[clean.source(at..at + "Café".len())], "Caf&eacute;");
/// let at = source.find("R&amp;D").ok_or("not there")?;
/// assert_eq!(&clean.text()[clean.clean(at..source.len())], "R&D");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alignment {
    text: String,
    /// In order, one behind the other in the text; none of them empty there.
    parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// The bytes of the text.
    clean: Range<usize>,
    /// The bytes of the source that they stand for.
    source: Range<usize>,
    /// It is the source's part, unchanged.
    kept: bool,
}

impl Part {
    /// What `clean`, a part of this one, stands for.
    fn source(&self, clean: Range<usize>) -> Range<usize> {
        if !self.kept {
            return self.source.clone();
        }
        let at = |place: usize| self.source.start + (place - self.clean.start);
        at(clean.start)..at(clean.end)
    }
}

impl Alignment {
    pub(super) fn new(source: &str) -> Self {
        let mut whole = Self::default();
        whole.push(source, 0..source.len(), true);
        whole
    }

    /// The cleaned text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the source that the bytes `range` of the text stand for: whole characters, if `range` is. An empty range
    /// comes from an empty one.
    #[must_use]
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let first = self.parts.partition_point(|part| part.clean.end <= range.start);
        let Some(part) = self.parts.get(first) else {
            let end = self.parts.last().map_or(0, |part| part.source.end);
            return end..end;
        };
        let start = part.source(range.start..part.clean.end).start;
        if range.is_empty() {
            return start..start;
        }
        let last = self.parts.partition_point(|part| part.clean.end < range.end).min(self.parts.len() - 1);
        let part = &self.parts[last];
        start..part.source(part.clean.start..range.end.min(part.clean.end)).end
    }

    /// The bytes of the text that stand for the bytes `range` of the source or for some of them; empty where cleaning left
    /// nothing.
    #[must_use]
    pub fn clean(&self, range: Range<usize>) -> Range<usize> {
        let first = self.parts.partition_point(|part| part.source.end <= range.start);
        let behind = self.parts.partition_point(|part| part.source.start < range.end);
        if first >= behind {
            let at = self.parts.get(first).map_or(self.text.len(), |part| part.clean.start);
            return at..at;
        }
        let (first, last) = (&self.parts[first], &self.parts[behind - 1]);
        let start = first.clean.start + if first.kept { range.start.saturating_sub(first.source.start) } else { 0 };
        let cut = if last.kept { last.source.end.saturating_sub(range.end) } else { 0 };
        start..last.clean.end - cut
    }

    /// Adds what stands for `source`.
    fn push(&mut self, text: &str, source: Range<usize>, kept: bool) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(text);
        match self.parts.last_mut() {
            Some(last) if last.kept && kept && last.source.end == source.start => {
                last.clean.end = self.text.len();
                last.source.end = source.end;
            }
            _ => self.parts.push(Part { clean: start..self.text.len(), source, kept }),
        }
    }
}

impl Text for Alignment {
    type Output = Edits;

    fn text(&self) -> &str {
        &self.text
    }

    fn take(&mut self, Edits { made, .. }: Edits) {
        let mut after = Self { text: String::with_capacity(made.text.len()), parts: Vec::new() };
        for edit in &made.parts {
            let text = &made.text[edit.clean.clone()];
            if !edit.kept {
                after.push(text, self.source(edit.source.clone()), false);
                continue;
            }
            // What stays of a text was made of parts itself.
            let first = self.parts.partition_point(|part| part.clean.end <= edit.source.start);
            for part in &self.parts[first..] {
                let own = part.clean.start.max(edit.source.start)..part.clean.end.min(edit.source.end);
                if own.is_empty() {
                    break;
                }
                let source = part.source(own.clone());
                after.push(&self.text[own], source, part.kept);
            }
        }
        *self = after;
    }
}

/// What a step made of the text before it.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// The text, aligned with that of the step before.
    made: Alignment,
    /// Bytes of that which were dealt with.
    read: usize,
}

impl Output for Edits {
    const EXACT: bool = true;

    fn keep(&mut self, text: &str) {
        self.made.push(text, self.read..self.read + text.len(), true);
        self.read += text.len();
    }

    fn put(&mut self, length: usize, text: &str) {
        self.made.push(text, self.read..self.read + length, false);
        self.read += length;
    }

    fn text(&self) -> &str {
        &self.made.text
    }
}
