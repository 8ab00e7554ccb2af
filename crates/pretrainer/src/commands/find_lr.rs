//! `pretrainer find-lr`.

use std::fmt::Write as _;

use grulm_cli::{compute, exit::Ending, logging, output, signals::Signals};
use grulm_train::LrRange;

use crate::{cli::FindLrArgs, config, training};

/// Tries rising learning rates and prints the curve and a proposal.
pub(crate) fn find_lr(args: &FindLrArgs) -> anyhow::Result<Ending> {
    let file = &args.config.config;
    let config = config::load(file, &args.config.set)?;
    logging::init(config.run.log);
    training::check_init(&config.train)?;
    let device = compute::set_up(&config.run)?;
    let corpus = training::open_corpus(&config, file)?;
    let mut ready = training::assemble(&config, corpus, device)?;
    let signals = Signals::listen()?;
    let range = LrRange::default();
    tracing::info!("trying {} rates from {:e} to {:e}", range.steps, range.low, range.high);
    let found = grulm_train::find_lr(&mut ready.task, &config.train, config.run.seed, range, signals.stop());
    if let Some(signal) = signals.stop().signal() {
        return Ok(Ending::Stopped(signal));
    }
    let curve = found?;
    let mut text = format!("{:>10}  {:>8}\n", "rate", "loss");
    for point in &curve.points {
        writeln!(text, "{:>10.2e}  {:>8.4}", point.rate, point.loss)?;
    }
    writeln!(
        text,
        "\nthe loss falls most steeply at {:.1e}; a tenth of the rate of the lowest loss is {:.1e}",
        curve.steepest, curve.tenth_of_lowest
    )?;
    writeln!(text, "proposal: --set train.learning_rate={:.1e}", curve.proposal())?;
    output::write(&text)?;
    Ok(Ending::Done)
}
