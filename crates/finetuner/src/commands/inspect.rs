//! `finetuner inspect`.

use grulm_cli::{compute, exit::Ending, inspection::Inspection, logging, output};
use grulm_tasks::{Bundle, classification::Classifier};
use grulm_train::LogLevel;
use serde_json::json;

use crate::cli::InspectArgs;

/// Says what a model is.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    let bundle: Bundle<Classifier> = Bundle::open(&folder, device)?;
    let settings = bundle.model.settings();
    let sizes = (bundle.model.config(), bundle.model.params());
    let inspection = Inspection::new(&folder, &bundle, sizes, "head", device)?
        .with("task", json!("classification"))
        .with("labels", json!(settings.labels))
        .with("fields", json!(settings.fields))
        .with("head", json!({ "hidden": settings.hidden, "window": settings.window }))
        .with("calibration", json!(settings.calibration));
    if args.json {
        output::write_json(&inspection)?;
    } else {
        output::write(&inspection.table())?;
    }
    Ok(Ending::Done)
}
