//! The tool behind `cargo run` and `cargo guide`.
//!
//! A reader needs nothing but cargo: mdBook is linked in as a library, and so is the echo server that the examples
//! talk to. Each subcommand has a module of its own name. What several of them share is in `book` (load and render
//! the book), `workspace` (find it), `progress` (say what takes time) and `port` (find one that is free).
#![forbid(unsafe_code)]

mod book;
mod checks;
mod cli;
mod destination;
mod echo;
mod finish;
mod generate;
mod lab;
mod listings;
mod metadata;
mod port;
mod progress;
mod read;
mod report;
mod rustdoc;
mod scripts;
mod search_index;
mod serve;
mod site;
mod sources;
mod staging;
mod test;
mod watch;
mod workspace;

use std::process::ExitCode;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::from_command_line();
    book::show_mdbook_messages();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    // The echo server and the lab need no book, so they start from anywhere.
    if let Command::Echo(args) = command {
        return echo::run(args);
    }
    if let Command::Lab(args) = &command {
        return lab::execute(args);
    }
    let root = workspace::root(cli.root.as_deref())?;
    match command {
        Command::Serve(args) => serve::run(&root, &args),
        Command::Build(args) => book::run(&root, &args),
        Command::Test(args) => test::run(&root, &args),
        Command::Generate(args) => generate::run(&root, &args),
        Command::Read(args) => read::run(&root, &args),
        Command::MdbookTest => checks::mdbook_test(&root),
        Command::Echo(_) | Command::Lab(_) => unreachable!("handled above"),
    }
}
