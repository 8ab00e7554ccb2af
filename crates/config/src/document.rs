//! A parsed TOML document whose values remember where they come from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// Tables and arrays nest at most this deep, so that recursion over a document is bounded.
const MAX_DEPTH: usize = 32;

/// Values are shortened to this many characters in messages.
const EXCERPT: usize = 80;

/// Where a value comes from. In order: the file from top to bottom, then each `--set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Byte offset of the key (or array element) in the file.
    File(usize),
    /// Position in the list of `--set`s.
    Set(usize),
}

/// A value and its origin.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(String),
    /// Fits `i64` or `u64`.
    Integer(i128),
    /// Finite.
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// TOML that no setting takes: a date-time, an integer beyond 64 bits, a float that is not finite. It is refused
    /// only when it is used, so that a `--set` can replace it.
    Unusable(String),
}

/// One step from a value into the table or array that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The document nests too deep: the byte offset of the offending value.
#[derive(Debug)]
pub(crate) struct TooDeep(pub(crate) usize);

impl TooDeep {
    pub(crate) fn reason() -> String {
        format!("tables and arrays nest deeper than {MAX_DEPTH} levels")
    }
}

/// Why a text is not a document: what the parser said, and the byte offset.
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) offset: usize,
}

impl From<TooDeep> for Refused {
    fn from(TooDeep(offset): TooDeep) -> Self {
        Self { reason: TooDeep::reason(), offset }
    }
}

impl From<toml::de::Error> for Refused {
    fn from(error: toml::de::Error) -> Self {
        Self { reason: error.message().to_owned(), offset: error.span().map_or(0, |span| span.start) }
    }
}

impl Node {
    /// Parses a whole document.
    pub(crate) fn parse_document(text: &str) -> Result<Self, Refused> {
        let table = DeTable::parse(text)?.into_inner();
        let origin = &|span: std::ops::Range<usize>| Origin::File(span.start);
        Ok(Self { origin: Origin::File(0), value: Value::from_table(table, origin, 0)? })
    }

    /// Parses one value, all of it of the same origin.
    pub(crate) fn parse_value(text: &str, origin: Origin) -> Result<Self, Refused> {
        let value = DeValue::parse(text)?.into_inner();
        Ok(Self { origin, value: Value::from_toml(value, &|_| origin, 0, 0)? })
    }

    /// The value one step further in.
    pub(crate) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Table(table), Step::Key(key)) => table.get(key),
            (Value::Array(array), Step::Index(index)) => array.get(*index),
            _ => None,
        }
    }

    /// The values one step further in, in the order of the file.
    pub(crate) fn children(&self) -> Vec<(Step, &Self)> {
        match &self.value {
            Value::Table(table) => {
                let mut entries: Vec<_> = table.iter().map(|(key, node)| (Step::Key(key.clone()), node)).collect();
                entries.sort_by_key(|(_, node)| node.origin);
                entries
            }
            Value::Array(array) => array.iter().enumerate().map(|(index, node)| (Step::Index(index), node)).collect(),
            _ => Vec::new(),
        }
    }
}

type Origins<'a> = &'a dyn Fn(std::ops::Range<usize>) -> Origin;

impl Value {
    fn from_table(table: DeTable<'_>, origin: Origins<'_>, depth: usize) -> Result<Self, TooDeep> {
        let entries = table.into_iter().map(|(key, value)| {
            let span = key.span();
            let value = Self::from_toml(value.into_inner(), origin, span.start, depth + 1)?;
            Ok((key.into_inner().into_owned(), Node { origin: origin(span), value }))
        });
        Ok(Self::Table(entries.collect::<Result<_, _>>()?))
    }

    fn from_toml(value: DeValue<'_>, origin: Origins<'_>, offset: usize, depth: usize) -> Result<Self, TooDeep> {
        if depth > MAX_DEPTH {
            return Err(TooDeep(offset));
        }
        Ok(match value {
            DeValue::String(text) => Self::String(text.into_owned()),
            DeValue::Integer(integer) => Self::from_integer(&integer),
            DeValue::Float(float) => Self::from_float(&float),
            DeValue::Boolean(boolean) => Self::Boolean(boolean),
            DeValue::Datetime(datetime) => Self::Unusable(datetime.to_string()),
            DeValue::Array(array) => {
                let nodes = array.into_iter().map(|value| {
                    let span = value.span();
                    let value = Self::from_toml(value.into_inner(), origin, span.start, depth + 1)?;
                    Ok(Node { origin: origin(span), value })
                });
                Self::Array(nodes.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Self::from_table(table, origin, depth)?,
        })
    }

    fn from_integer(integer: &DeInteger<'_>) -> Self {
        match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value) => Self::Integer(value),
            _ => Self::Unusable(integer.to_string()),
        }
    }

    fn from_float(float: &DeFloat<'_>) -> Self {
        match float.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => Self::Float(value),
            _ => Self::Unusable(float.to_string()),
        }
    }

    /// Whether the value is a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    /// The value as TOML on one line.
    pub(crate) fn to_line(&self) -> String {
        let mut line = String::new();
        self.write(&mut line, usize::MAX);
        line
    }

    /// The value as TOML on one line, shortened, for messages.
    pub(crate) fn excerpt(&self) -> String {
        let mut line = String::new();
        self.write(&mut line, EXCERPT * 4);
        excerpt(&line)
    }

    /// Writes until `limit` bytes or a little more are written.
    fn write(&self, out: &mut String, limit: usize) {
        if out.len() > limit {
            return;
        }
        // Writing to a string cannot fail.
        let _ = match self {
            Self::String(text) => write!(out, "{text:?}"),
            Self::Integer(integer) => write!(out, "{integer}"),
            Self::Float(float) => write!(out, "{float:?}"),
            Self::Boolean(boolean) => write!(out, "{boolean}"),
            Self::Unusable(text) => write!(out, "{text}"),
            Self::Array(array) => {
                out.push('[');
                for (index, node) in array.iter().enumerate() {
                    if out.len() > limit {
                        return;
                    }
                    out.push_str(if index == 0 { "" } else { ", " });
                    node.value.write(out, limit);
                }
                write!(out, "]")
            }
            Self::Table(table) => {
                out.push('{');
                for (index, (key, node)) in table.iter().enumerate() {
                    if out.len() > limit {
                        return;
                    }
                    let _ = write!(out, "{}{} = ", if index == 0 { "" } else { ", " }, quote_key(key));
                    node.value.write(out, limit);
                }
                write!(out, "}}")
            }
        };
    }
}

/// A text, shortened to what fits into a message, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for (index, character) in text.chars().enumerate() {
        match character {
            _ if index == EXCERPT => return short + "...",
            control if control.is_control() => short.extend(control.escape_default()),
            other => short.push(other),
        }
    }
    short
}

/// A path as in the config file: `corpus.train[1]`.
pub(crate) fn dotted(path: &[Step]) -> String {
    let mut dotted = String::new();
    for step in path {
        match step {
            Step::Index(index) => {
                let _ = write!(dotted, "[{index}]");
            }
            Step::Key(key) => {
                let dot = if dotted.is_empty() { "" } else { "." };
                let _ = write!(dotted, "{dot}{}", excerpt(&quote_key(key)));
            }
        }
    }
    dotted
}

fn quote_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { key.to_owned() } else { format!("{key:?}") }
}
