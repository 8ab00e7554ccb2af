//! Fine-tunes GRU language models: the command line over the libraries of this workspace.

mod adapt;
mod answer;
mod classify;
mod cli;
mod commands;
mod config;
mod estimate;
mod generate;
mod pretrained;
mod ready;
mod report;
mod section;
mod translate;

use grulm_cli::exit::{finish, of_config, parse};

use crate::cli::{Cli, Command};

fn main() {
    let cli: Cli = parse();
    finish(match &cli.command {
        Command::Train(args) => of_config(commands::train::train(args), &args.config),
        Command::Evaluate(args) => commands::evaluate::evaluate(args),
        Command::Predict(args) => commands::predict::predict(args),
        Command::Inspect(args) => commands::inspect::inspect(args),
    })
}
