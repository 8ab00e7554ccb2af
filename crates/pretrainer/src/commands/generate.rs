//! `pretrainer generate`.

use grulm_cli::{compute, exit::Ending, logging, output};
use grulm_kernels::Packing;
use grulm_tasks::{Bundle, Generation};
use grulm_train::LogLevel;
use serde::Serialize;

use crate::cli::GenerateArgs;

/// What `--json` prints.
#[derive(Serialize)]
struct Generated<'a> {
    prompt: &'a str,
    /// What was generated, without the prompt.
    text: String,
    tokens: usize,
    /// Whether the model ended the text; else the limit did.
    ended: bool,
}

/// Writes on from the prompt.
pub(crate) fn generate(args: &GenerateArgs) -> anyhow::Result<Ending> {
    logging::init(LogLevel::Info);
    let sampling = args.sampling.sampling()?;
    let (folder, device) = compute::find_model(&args.model)?;
    let bundle = Bundle::open(&folder, device)?;
    let packing = args.precision.map_or_else(|| Packing::best(device), Packing::from);
    let mut generation = Generation::new(&bundle, &args.prompt, args.sampling.max_tokens, sampling, packing)?;
    if args.json {
        let text = generation.by_ref().collect::<Result<String, _>>()?;
        let (tokens, ended) = (generation.generated(), generation.ended());
        output::write_json(&Generated { prompt: &args.prompt, text, tokens, ended })?;
    } else {
        // As the model reads it, so that what follows reads on.
        output::write(&bundle.cleaner.clean(&args.prompt))?;
        for piece in generation {
            output::write(&piece?)?;
        }
        output::write("\n")?;
    }
    Ok(Ending::Done)
}
