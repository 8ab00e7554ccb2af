//! `finetuner inspect`.

use grulm_cli::{compute, exit::Ending, inspection::Inspection, logging, output};
use grulm_model::LanguageModel;
use grulm_tasks::{
    Bundle, BundleModel as _, bundle, classification::Classifier, generation::Completer, question_answering::Answerer,
    translation::Translator,
};
use grulm_train::LogLevel;
use serde_json::json;

use crate::cli::InspectArgs;

/// Says what a model is.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    let kind = bundle::kind(&folder)?;
    let inspection = match kind.as_str() {
        Classifier::KIND => {
            let bundle: Bundle<Classifier> = Bundle::open(&folder, device)?;
            let settings = bundle.model.settings();
            let sizes = (bundle.model.config(), bundle.model.params());
            Inspection::new(&folder, &bundle, sizes, "head", device)?
                .with("task", json!(kind))
                .with("labels", json!(settings.labels))
                .with("fields", json!(settings.fields))
                .with("head", json!({ "hidden": settings.hidden, "pool": settings.pool, "window": settings.window }))
                .with("ngrams", json!({ "tokens": settings.ngrams, "characters": settings.character_ngrams }))
                .with("calibration", json!(settings.calibration))
        }
        Completer::KIND => {
            let bundle: Bundle<Completer> = Bundle::open(&folder, device)?;
            let sizes = (bundle.model.model.config(), bundle.model.model.params());
            Inspection::new(&folder, &bundle, sizes, "softmax", device)?
                .with("task", json!(kind))
                .with("fields", json!(bundle.model.settings))
        }
        Translator::KIND => {
            let bundle: Bundle<Translator> = Bundle::open(&folder, device)?;
            let settings = bundle.model.settings();
            let sizes = (bundle.model.config(), bundle.model.params());
            Inspection::new(&folder, &bundle, sizes, "softmax, attention and layer of both directions", device)?
                .with("task", json!(kind))
                .with("fields", json!(settings.fields))
                .with("translator", json!({ "hidden": settings.hidden, "heads": settings.heads }))
                .with("search", json!(settings.search))
        }
        Answerer::KIND => {
            let bundle: Bundle<Answerer> = Bundle::open(&folder, device)?;
            let sizes = (bundle.model.config(), bundle.model.params());
            Inspection::new(&folder, &bundle, sizes, "reader", device)?
                .with("task", json!(kind))
                .with("reader", json!(bundle.model.settings()))
        }
        // Anything else is no model of these programs, which opening it says.
        _ => {
            let bundle: Bundle<LanguageModel> = Bundle::open(&folder, device)?;
            let sizes = (bundle.model.config(), bundle.model.params());
            Inspection::new(&folder, &bundle, sizes, "softmax", device)?.with("task", json!(kind))
        }
    };
    if args.json {
        output::write_json(&inspection)?;
    } else {
        output::write(&inspection.table())?;
    }
    Ok(Ending::Done)
}
