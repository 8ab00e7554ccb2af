//! Plain text: a line, a paragraph or the whole file is a document.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::decode::TextReader;
use super::failure;
use crate::{Document, Error, Unit};

/// Documents of plain text whose line ends are LF already.
pub(crate) struct Lines<R> {
    text: TextReader<R>,
    unit: Unit,
    /// Lines read so far.
    read: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(text: TextReader<R>, unit: Unit) -> Self {
        Self { text, unit, read: 0 }
    }

    pub(crate) fn text(&self) -> &TextReader<R> {
        &self.text
    }

    pub(crate) fn next_document(&mut self, path: &Path) -> Result<Option<Document>, Error> {
        self.text.next_document();
        let position = self.read + 1;
        let document = match self.unit {
            Unit::Line => self.line().map(|line| line.map(|text| Document { position, text })),
            Unit::Paragraph => self.paragraph(),
            Unit::File => self.file(),
        };
        document.map_err(|error| failure(path, position, error))
    }

    /// The next line without its end; `None` at the end of the text.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.text.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.ends_with('\n') {
            line.pop();
        }
        self.read += 1;
        Ok(Some(line))
    }

    fn paragraph(&mut self) -> io::Result<Option<Document>> {
        let mut paragraph: Option<Document> = None;
        while let Some(line) = self.line()? {
            let blank = line.trim().is_empty();
            match &mut paragraph {
                None if blank => self.text.next_document(),
                None => paragraph = Some(Document { position: self.read, text: line }),
                Some(_) if blank => break,
                Some(document) => {
                    document.text.push('\n');
                    document.text.push_str(&line);
                }
            }
        }
        Ok(paragraph)
    }

    fn file(&mut self) -> io::Result<Option<Document>> {
        let mut text = String::new();
        self.text.read_to_string(&mut text)?;
        Ok((!text.is_empty()).then_some(Document { position: 1, text }))
    }
}
