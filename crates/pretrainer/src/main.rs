//! Pretrains GRU language models: the command line over the libraries of this workspace.

mod cli;
mod commands;
mod config;
mod estimate;
mod report;
mod score;
mod training;

use grulm_cli::exit::{finish, of_config, parse};

use crate::cli::{Cli, Command};

fn main() {
    let cli: Cli = parse();
    finish(match &cli.command {
        Command::Run(args) => of_config(commands::run::run(args), &args.config),
        Command::Prepare(args) => of_config(commands::prepare::prepare(args), &args.config),
        Command::Train(args) => of_config(commands::train::train(args), &args.config),
        Command::Evaluate(args) => commands::evaluate::evaluate(args),
        Command::Generate(args) => commands::generate::generate(args),
        Command::Inspect(args) => commands::inspect::inspect(args),
        Command::FindLr(args) => of_config(commands::find_lr::find_lr(args), &args.config),
    })
}
