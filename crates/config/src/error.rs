//! Errors of this crate. Each is one line that says where, which key, what was found and what is allowed.

use std::fmt;
use std::path::PathBuf;

use crate::Invalid;

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{path}: cannot read the config file: {reason}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The path is not that of a text file of a reasonable size.
    #[error("{path}: {found}; allowed: {allowed}", path = path.display())]
    NotConfig {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// The text is not TOML.
    #[error("{path}:{line}:{column}: not TOML: {reason}; found {found}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
        /// 1-based column, in characters.
        column: usize,
        /// What the parser said.
        reason: String,
        /// The line, shortened and quoted.
        found: String,
    },
    /// The text of a `--set` is not `key=value`.
    #[error("--set {set}: {found}; allowed: {allowed}")]
    Set {
        /// What follows `--set`, shortened.
        set: String,
        /// What is wrong with it.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A key that does not exist.
    #[error("{place}: `{key}` = {found}: no such key; allowed: {allowed}{hint}",
        allowed = Names(allowed), hint = Hint(suggestion.as_deref()))]
    UnknownKey {
        /// Where it stands.
        place: Box<Place>,
        /// The dotted key.
        key: String,
        /// Its value.
        found: String,
        /// The keys of its table.
        allowed: Vec<String>,
        /// The nearest of them, if one is near.
        suggestion: Option<String>,
    },
    /// A key that has no default is not set.
    #[error("{place}: `{key}` is not set; it has no default")]
    MissingKey {
        /// The file, with the line of its table where there is one.
        place: Box<Place>,
        /// The dotted key.
        key: String,
    },
    /// A value of the wrong type, or one that validation refused.
    #[error("{place}: {invalid}{hint}", hint = Hint(suggestion.as_deref()))]
    Invalid {
        /// Where it stands.
        place: Box<Place>,
        /// Key, value, and what is allowed.
        invalid: Invalid,
        /// The nearest of the allowed values, if one is near.
        suggestion: Option<String>,
    },
    /// A value that its own parser refused.
    #[error("{place}: `{key}` = {found}: {reason}")]
    Rejected {
        /// Where it stands.
        place: Box<Place>,
        /// The dotted key.
        key: String,
        /// The value.
        found: String,
        /// What the parser said.
        reason: String,
    },
    /// The config cannot be written as TOML.
    #[error("the config cannot be written as TOML: {0}")]
    Serialize(String),
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of the file.
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
    },
    /// A `--set`.
    Set {
        /// The file that it changes.
        path: PathBuf,
        /// What follows `--set`, shortened.
        set: String,
    },
    /// The file as a whole.
    File {
        /// The file.
        path: PathBuf,
    },
    /// The program's default: the key stands neither in the file nor in a `--set`.
    Default {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Set { path, set } => write!(f, "{}, --set {set}", path.display()),
            Self::File { path } => write!(f, "{}", path.display()),
            Self::Default { path } => write!(f, "{} (a default, not set there)", path.display()),
        }
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "no keys" } else { "" })?;
        f.write_str(&self.0.join(", "))
    }
}

struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, "; did you mean `{name}`?"))
    }
}
