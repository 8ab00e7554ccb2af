//! From what a type or a validation refused to a message: where it stands, what was found, what is allowed.

use std::path::{Path, PathBuf};

use crate::deserialize::{Fault, FaultKind};
use crate::document::{Node, Origin, Step, Value, dotted, excerpt};
use crate::{Error, Invalid, Place};

/// What a config is made of.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) sets: &'a [String],
    /// The file with every `--set` applied.
    pub(crate) root: &'a Node,
}

impl Source<'_> {
    /// The message for what a type refused.
    pub(crate) fn explain_fault(&self, fault: Fault) -> Error {
        let Fault { mut path, kind } = fault;
        if let FaultKind::UnknownVariant { found, .. } | FaultKind::Type { found: Some(found), .. } = &kind {
            path.extend(self.find_buffered(&path, found));
        }
        let (place, key) = (Box::new(self.place(&path)), dotted(&path));
        let value = self.node(&path).map(|node| node.value.excerpt());
        match kind {
            FaultKind::UnknownKey { allowed } => Error::UnknownKey {
                place,
                found: value.unwrap_or_default(),
                suggestion: match path.last() {
                    Some(Step::Key(name)) => nearest(name, allowed),
                    _ => None,
                },
                allowed: allowed.iter().map(|&name| name.to_owned()).collect(),
                key,
            },
            FaultKind::MissingKey => Error::MissingKey { place, key },
            FaultKind::UnknownVariant { found, allowed } => Error::Invalid {
                place,
                suggestion: nearest(found.trim_matches('"'), allowed),
                invalid: Invalid { key, found: excerpt(&found), allowed: one_of(allowed) },
            },
            FaultKind::Type { found, expected } => {
                // A type that looks into a table before it decides reports a value inside of it.
                let found = found.or(value).unwrap_or_default();
                let mut allowed = plain_type(&expected);
                if expected == "a sequence" && found.starts_with('"') {
                    allowed.push_str(&format!(", as in [{found}]"));
                }
                let invalid = Invalid { key, found, allowed };
                Error::Invalid { place, invalid, suggestion: None }
            }
            FaultKind::Other(reason) => Error::Rejected { place, key, found: value.unwrap_or_default(), reason },
        }
    }

    /// The message for what validation refused.
    pub(crate) fn explain_invalid(&self, invalid: Invalid) -> Error {
        let path = split_key(&invalid.key);
        let place = match self.node(&path) {
            Some(_) => self.place(&path),
            None => Place::Default { path: self.path.to_owned() },
        };
        Error::Invalid { place: Box::new(place), invalid, suggestion: None }
    }

    fn node(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self.root, Node::child)
    }

    /// Where the innermost part of `path` that exists comes from.
    fn place(&self, path: &[Step]) -> Place {
        let (mut node, mut origin) = (self.root, None);
        for step in path {
            let Some(child) = node.child(step) else { break };
            (node, origin) = (child, Some(child.origin));
        }
        let path: PathBuf = self.path.to_owned();
        match origin {
            None => Place::File { path },
            Some(Origin::File(offset)) => Place::Line { path, line: position(self.text, offset).0 },
            Some(Origin::Set(index)) => {
                Place::Set { path, set: self.sets.get(index).map_or_else(String::new, |set| excerpt(set)) }
            }
        }
    }

    /// Serde buffers tables whose type depends on a tag inside of them, and then forgets which key a value had. Where
    /// one value alone inside of the table reads like the refused one, that is it.
    fn find_buffered(&self, path: &[Step], found: &str) -> Vec<Step> {
        let Some(table) = self.node(path).filter(|node| node.value.is_table()) else { return Vec::new() };
        let mut matches = Vec::new();
        collect_matches(table, found, &mut Vec::new(), &mut matches);
        match <[_; 1]>::try_from(matches) {
            Ok([inner]) => inner,
            Err(_) => Vec::new(),
        }
    }
}

fn collect_matches(node: &Node, found: &str, path: &mut Vec<Step>, matches: &mut Vec<Vec<Step>>) {
    for (step, child) in node.children() {
        path.push(step);
        let is_scalar = !matches!(child.value, Value::Table(_) | Value::Array(_));
        if is_scalar && child.value.excerpt() == found {
            matches.push(path.clone());
        }
        collect_matches(child, found, path, matches);
        path.pop();
    }
}

/// 1-based line and column (in characters) of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The path of a validator's key: `corpus.train[1]`.
fn split_key(key: &str) -> Vec<Step> {
    let mut path = Vec::new();
    for part in key.split('.') {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        path.push(Step::Key(name.to_owned()));
        path.extend(indices.split(['[', ']']).filter_map(|index| index.parse().ok()).map(Step::Index));
    }
    path
}

/// The allowed name that `name` is likely a misspelling of: a third of its letters may differ, at least one.
fn nearest(name: &str, allowed: &[&str]) -> Option<String> {
    if name.len() > 64 {
        return None;
    }
    let most = (name.chars().count() / 3).max(1);
    let distance = |other: &&str| strsim::osa_distance(&name.to_lowercase().replace('-', "_"), other);
    let near = allowed.iter().copied().map(|other| (distance(&other), other)).min()?;
    (near.0 <= most).then(|| near.1.to_owned())
}

fn one_of(allowed: &[&str]) -> String {
    allowed.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// Serde's name of a type in plain words.
fn plain_type(expected: &str) -> String {
    let (least, integer) = match expected.strip_prefix("a nonzero ") {
        Some(integer) => ("1", integer),
        None => ("0", expected),
    };
    match integer {
        "u8" => format!("an integer from {least} to 255"),
        "u16" => format!("an integer from {least} to 65535"),
        "u32" => format!("an integer from {least} to 2^32 - 1"),
        "u64" | "usize" => format!("an integer from {least} to 2^64 - 1"),
        "i8" => "an integer from -128 to 127".into(),
        "i16" => "an integer from -32768 to 32767".into(),
        "i32" => "an integer from -2^31 to 2^31 - 1".into(),
        "i64" | "isize" => "an integer from -2^63 to 2^63 - 1".into(),
        "f32" => "a finite number (of 32 bits)".into(),
        "f64" => "a finite number".into(),
        "a boolean" => "true or false".into(),
        "path string" => "a path, as a string".into(),
        "a character" => "a string of one character".into(),
        "a sequence" => "an array".into(),
        "a map" => "a table".into(),
        name if name.starts_with("struct ") => "a table".into(),
        other => other.into(),
    }
}
