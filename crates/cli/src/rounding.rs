//! What `evaluate` says of a model whose weights were rounded.

use std::collections::BTreeMap;

use grulm_tasks::Provenance;
use serde_json::json;

use crate::output::{self, Object};

/// Adds what rounding the weights did, where they were rounded.
pub fn add_to(object: &mut Object, provenance: &Provenance) {
    let Some(rounded) = &provenance.rounded else { return };
    object.insert("saved_in".into(), json!(rounded.format));
    let before: Vec<_> = provenance.scores.clone().into_iter().collect();
    let after: Vec<_> = rounded.scores.clone().into_iter().collect();
    object.insert("validation_before_rounding".into(), json!(output::figures_to_json(&before)));
    object.insert("validation_after_rounding".into(), json!(output::figures_to_json(&after)));
}

/// The same as a row of a table, by one figure.
#[must_use]
pub fn row(provenance: &Provenance, figure: &str) -> Option<(String, String)> {
    let rounded = provenance.rounded.as_ref()?;
    let of = |scores: &BTreeMap<String, f64>| scores.get(figure).map(|figure| format!("{figure:.4}"));
    let lost = match (of(&rounded.scores), of(&provenance.scores)) {
        (Some(after), Some(before)) => format!("; validation {figure} {after}, before rounding {before}"),
        _ => String::new(),
    };
    Some(("saved in".into(), format!("{}{lost}", rounded.format.name())))
}
