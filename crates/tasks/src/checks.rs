//! What the settings of several kinds of task are checked for.

use grulm_config::Invalid;

/// Checks `task.valid_fraction`, a share of the training data; `given`: whether there are files of validation data as well.
pub(crate) fn check_valid_fraction(fraction: f64, given: bool) -> Result<(), Invalid> {
    Invalid::check_range("task.valid_fraction", fraction, 0.0..1.0)?;
    let fits = !given || fraction == 0.0;
    Invalid::check("task.valid_fraction", fraction, fits, "0, since there are task.valid files")
}

/// Checks the settings `task.{key}_field`.
pub(crate) fn check_field_names<const N: usize>(names: [(&str, &str); N]) -> Result<(), Invalid> {
    names.into_iter().try_for_each(|(key, name)| {
        Invalid::check(format!("task.{key}_field"), name, !name.is_empty(), "the name of a field or column")
    })
}
