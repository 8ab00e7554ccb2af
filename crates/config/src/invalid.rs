//! The error of the `validate` functions.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

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
    pub fn new(key: impl Into<String>, found: impl Debug, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), found: format!("{found:?}"), allowed: allowed.into() }
    }

    /// Passes where `ok` holds.
    ///
    /// # Errors
    /// The setting, where `ok` does not hold.
    pub fn check(key: impl Into<String>, found: impl Debug, ok: bool, allowed: impl Into<String>) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self::new(key, found, allowed)) }
    }

    /// Passes where `found` lies in `range`. NaN lies in no range that has a bound.
    ///
    /// ```
    /// use grulm_config::Invalid;
    ///
    /// assert!(Invalid::check_range("model.dropout.input", 0.4, 0.0..1.0).is_ok());
    /// let error = Invalid::check_range("model.dropout.input", 1.5, 0.0..1.0).unwrap_err();
    /// assert_eq!(error.to_string(), "`model.dropout.input` = 1.5: allowed: at least 0.0 and below 1.0");
    /// ```
    ///
    /// # Errors
    /// The setting, where it lies outside.
    pub fn check_range<T: Debug + PartialOrd>(
        key: impl Into<String>,
        found: T,
        range: impl RangeBounds<T>,
    ) -> Result<(), Self> {
        let ok = range.contains(&found);
        Self::check(key, found, ok, bounds(&range))
    }
}

fn bounds<T: Debug>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!("at least {low:?}")),
        Bound::Excluded(low) => Some(format!("above {low:?}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("at most {high:?}")),
        Bound::Excluded(high) => Some(format!("below {high:?}")),
        Bound::Unbounded => None,
    };
    low.into_iter().chain(high).collect::<Vec<_>>().join(" and ")
}
