//! TOML configuration: loading, `--set` overrides, and errors that name the file, the key, the value and what is allowed.

/// A setting that cannot be used: which, what was found, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` = {found}: allowed: {allowed}")]
pub struct Invalid {
    /// The dotted key, as in the config file (`train.learning_rate`).
    pub key: String,
    /// The value that was found.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
}

impl Invalid {
    /// A setting that cannot be used.
    pub fn new(key: impl Into<String>, found: impl std::fmt::Debug, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), found: format!("{found:?}"), allowed: allowed.into() }
    }
}
