//! What `evaluate` prints of a classifier.

use grulm_cli::{
    output::{self, Object},
    rounding,
};
use grulm_tasks::{
    Provenance,
    classification::{ClassificationScore, ClassifierSettings},
};
use serde_json::{Value, json};

/// Labels whose confusion is shown, at most: it grows with their square.
const MOST_CONFUSED: usize = 1_000;

/// One JSON object.
pub(crate) fn json(provenance: &Provenance, settings: &ClassifierSettings, score: &ClassificationScore) -> Object {
    let mut object = output::figures_to_json(&score.figures());
    let (low, high) = score.confusion.interval_95();
    object.insert("accuracy_interval_95".into(), json!([low, high]));
    let per_class = settings.labels.iter().zip(score.confusion.per_class()).map(|(label, class)| {
        let figures = json!({
            "precision": class.precision, "recall": class.recall, "f1": class.f1, "examples": class.support,
        });
        (label.clone(), figures)
    });
    object.insert("per_class".into(), Value::Object(per_class.collect()));
    object.insert("labels".into(), json!(settings.labels));
    if settings.labels.len() <= MOST_CONFUSED {
        object.insert("confusion".into(), json!(score.confusion.rows().collect::<Vec<_>>()));
    }
    rounding::add_to(&mut object, provenance);
    object
}

/// Tables for people.
pub(crate) fn text(provenance: &Provenance, settings: &ClassifierSettings, score: &ClassificationScore) -> String {
    let mut rows = output::figure_rows(&score.figures());
    let (low, high) = score.confusion.interval_95();
    let place = rows.iter().position(|(name, _)| name == "accuracy").map_or(rows.len(), |place| place + 1);
    rows.insert(place, ("  95 % interval".into(), format!("{low:.4} to {high:.4}")));
    rows.extend(rounding::row(provenance, "accuracy"));
    let heads = ["label", "precision", "recall", "f1", "texts"].map(str::to_owned).to_vec();
    let per_class = settings.labels.iter().zip(score.confusion.per_class()).map(|(label, class)| {
        let figures = [class.precision, class.recall, class.f1].map(|figure| format!("{figure:.4}"));
        [vec![label.clone()], figures.to_vec(), vec![output::grouped(class.support)]].concat()
    });
    let per_class: Vec<_> = [heads].into_iter().chain(per_class).collect();
    let mut text = format!("{}\n{}", output::table(&rows), output::columns(&per_class));
    if settings.labels.len() > MOST_CONFUSED {
        return text;
    }
    let heads = [vec!["gold \\ predicted".to_owned()], settings.labels.clone()].concat();
    let confusion = settings.labels.iter().zip(score.confusion.rows()).map(|(label, counts)| {
        [vec![label.clone()], counts.iter().map(|&count| output::grouped(count)).collect()].concat()
    });
    let confusion: Vec<_> = [heads].into_iter().chain(confusion).collect();
    text += &format!("\n{}", output::columns(&confusion));
    text
}
