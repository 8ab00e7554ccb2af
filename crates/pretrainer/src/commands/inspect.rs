//! `pretrainer inspect`.

use grulm_cli::{compute, exit::Ending, inspection::Inspection, logging, output};
use grulm_tasks::Bundle;
use grulm_train::LogLevel;

use crate::cli::InspectArgs;

/// Says what a model is.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let (folder, device) = compute::find_model(&args.model)?;
    let bundle: Bundle = Bundle::open(&folder, device)?;
    let (sizes, params) = (bundle.model.config(), bundle.model.params());
    let softmax = if sizes.tie_weights { "tied to the embedding" } else { "weights of its own" };
    let inspection =
        Inspection::new(&folder, &bundle, (sizes, params), "softmax", device)?.with("softmax", softmax.into());
    if args.json {
        output::write_json(&inspection)?;
    } else {
        output::write(&inspection.table())?;
    }
    Ok(Ending::Done)
}
