//! Pretrains GRU language models: the command line over the libraries of this workspace.

mod cli;
mod commands;
mod compute;
mod config;
mod estimate;
mod exit;
mod files;
mod gate;
mod logging;
mod output;
mod previous;
mod score;
mod signals;
mod training;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    cli::{Cli, Command, ConfigArgs},
    exit::Ending,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.command {
        Command::Run(args) => of_config(commands::run::run(args), &args.config),
        Command::Prepare(args) => of_config(commands::prepare::prepare(args), &args.config),
        Command::Train(args) => of_config(commands::train::train(args), &args.config),
        Command::Evaluate(args) => commands::evaluate::evaluate(args),
        Command::Generate(args) => commands::generate::generate(args),
        Command::Inspect(args) => commands::inspect::inspect(args),
        Command::FindLr(args) => of_config(commands::find_lr::find_lr(args), &args.config),
    };
    match ended {
        Ok(ending) => ending.code(),
        Err(error) => match exit::failure(&error) {
            Some(code) => {
                logging::fail(&message(&error));
                code
            }
            None => ExitCode::SUCCESS,
        },
    }
}

/// Says where in the config a setting stands that turned out not to be usable.
fn of_config(ended: anyhow::Result<Ending>, args: &ConfigArgs) -> anyhow::Result<Ending> {
    ended.map_err(|error| match exit::setting(&error) {
        Some(invalid) => grulm_config::locate(&args.config, &args.set, invalid).into(),
        None => error,
    })
}

/// An error and its causes in one line; a cause that the text before it holds already is not repeated.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line {
        line if line.is_empty() => cause,
        line if line.contains(&cause) => line,
        line => format!("{line}: {cause}"),
    })
}
