//! TOML configuration: loading, `--set` overrides, and errors that name the file, the key, the value and what is allowed.
//!
//! A config is one struct per table, with `#[serde(default, deny_unknown_fields)]` on each, that implements [`Validate`].
//!
//! ```
//! use std::path::Path;
//!
//! use grulm_config::{Invalid, Validate, parse, to_toml};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Default, Serialize, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     train: Train,
//! }
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Train {
//!     learning_rate: f64,
//!     batch_size: usize,
//! }
//!
//! impl Default for Train {
//!     fn default() -> Self {
//!         Self { learning_rate: 1e-3, batch_size: 32 }
//!     }
//! }
//!
//! impl Validate for Config {
//!     fn validate(&self) -> Result<(), Invalid> {
//!         Invalid::check_range("train.batch_size", self.train.batch_size, 1..=4096)
//!     }
//! }
//!
//! let file = Path::new("ptb.toml");
//! let text = "[train]\nbatch_size = 64\n";
//!
//! let config: Config = parse(file, text, &["train.learning_rate=3e-4".into()])?;
//! assert_eq!(to_toml(&config)?, "[train]\nlearning_rate = 0.0003\nbatch_size = 64\n");
//!
//! let error = parse::<Config>(file, "[train]\nlerning_rate = 1.0\n", &[]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "ptb.toml:2: `train.lerning_rate` = 1.0: no such key; \
//!      allowed: learning_rate, batch_size; did you mean `learning_rate`?"
//! );
//! # Ok::<(), grulm_config::Error>(())
//! ```
//!
//! # Rules
//! - A `--set` is `dotted.key=value`. The value is TOML; what is not TOML is a string (`train.budget=60m`,
//!   `run.dir=out/a`), and so is a date and nothing at all; an array, table or quoted string that is not closed is an
//!   error. It replaces the whole value of the key, a table too. Later ones win.
//! - The file with every `--set` applied is what counts: a `--set` can repair a value of the file.
//! - An integer stands for a float too (`learning_rate = 1`), never the other way. Numbers are finite.
//! - Keys that an enum with a `#[serde(tag)]` or `#[serde(untagged)]` reads are buffered by serde: where a wrong value
//!   inside of such a table cannot be told from another one, the message names the table.

mod deserialize;
mod document;
mod error;
mod explain;
mod invalid;
mod resolved;
mod set;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;

pub use error::{Error, Place};
pub use invalid::Invalid;
pub use resolved::{Difference, differences, to_toml};

use document::{Node, Refused};
use explain::Source;

/// The largest config file, in bytes.
pub const MAX_FILE_SIZE: usize = 1 << 20;

/// A config that can say whether its values can be used.
pub trait Validate {
    /// Checks what the types alone do not: ranges, and settings that exclude each other.
    ///
    /// # Errors
    /// The first setting that cannot be used, by its dotted key as in the file.
    fn validate(&self) -> Result<(), Invalid>;
}

/// Loads the file at `path`, applies `sets` (`train.learning_rate=3e-4`) in order, deserializes and validates.
///
/// # Errors
/// An [`Error`] that names the file, the line or the `--set`, the key, what was found and what is allowed.
pub fn load<T: DeserializeOwned + Validate>(path: &Path, sets: &[String]) -> Result<T, Error> {
    parse(path, &read(path)?, sets)
}

/// As [`load`], from text. `path` is for the messages.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned + Validate>(path: &Path, text: &str, sets: &[String]) -> Result<T, Error> {
    let root = tree(path, text, sets)?;
    let source = Source { path, text, sets, root: &root };
    let config: T = deserialize::from_node(&root).map_err(|fault| source.explain_fault(fault))?;
    config.validate().map_err(|invalid| source.explain_invalid(invalid))?;
    Ok(config)
}

/// Says where a setting stands that turned out not to be usable after its config was loaded from `path` with `sets`: a
/// device that is not there, a file that does not fit.
#[must_use]
pub fn locate(path: &Path, sets: &[String], invalid: &Invalid) -> Error {
    let explain = || -> Result<Error, Error> {
        let text = read(path)?;
        let root = tree(path, &text, sets)?;
        Ok(Source { path, text: &text, sets, root: &root }.explain_invalid(invalid.clone()))
    };
    // A file that has gone since has no lines any more.
    let whole = |_| Error::Invalid {
        place: Box::new(Place::File { path: path.to_owned() }),
        invalid: invalid.clone(),
        suggestion: None,
    };
    explain().unwrap_or_else(whole)
}

/// The file with every `--set` applied.
fn tree(path: &Path, text: &str, sets: &[String]) -> Result<Node, Error> {
    check_size(path, text.len())?;
    let mut root = Node::parse_document(text).map_err(|refused| syntax(path, text, &refused))?;
    for (position, set) in sets.iter().enumerate() {
        set::apply(&mut root, position, set, path)?;
    }
    Ok(root)
}

fn read(path: &Path) -> Result<String, Error> {
    let cannot_read = |reason| Error::Read { path: path.to_owned(), reason };
    let file = File::open(path).map_err(cannot_read)?;
    if file.metadata().map_err(cannot_read)?.is_dir() {
        return Err(Error::NotConfig {
            path: path.to_owned(),
            found: "a folder".into(),
            allowed: "a TOML file".into(),
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    check_size(path, bytes.len())?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        let byte = error.as_bytes().get(valid.len()).copied().unwrap_or_default();
        let found = format!("line {line} holds the byte 0x{byte:02x}, which is not UTF-8");
        Error::NotConfig { path: path.to_owned(), found, allowed: "TOML, which is UTF-8".into() }
    })
}

fn check_size(path: &Path, size: usize) -> Result<(), Error> {
    if size <= MAX_FILE_SIZE {
        return Ok(());
    }
    let found = format!("more than {MAX_FILE_SIZE} bytes");
    Err(Error::NotConfig { path: path.to_owned(), found, allowed: "a config file of at most that size".into() })
}

fn syntax(path: &Path, text: &str, refused: &Refused) -> Error {
    let (line, column) = explain::position(text, refused.offset);
    let found = text.lines().nth(line - 1).unwrap_or_default().trim();
    Error::Syntax {
        path: path.to_owned(),
        line,
        column,
        reason: refused.reason.split_whitespace().collect::<Vec<_>>().join(" "),
        found: format!("{:?}", document::excerpt(found)),
    }
}
