//! The command line: subcommands, switches, and the help that a reader sees first.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::checks::Check;

#[derive(Parser)]
#[command(
    name = "guide",
    bin_name = "cargo guide",
    version,
    about = "Serves, builds and tests The Connection Pool Guide",
    long_about = "Serves, builds and tests The Connection Pool Guide.\n\n\
        Without a command it serves the book, as `cargo run` does. mdBook need not be installed.",
    after_help = "Examples:\n  \
        cargo run                     read the book at http://127.0.0.1:3000\n  \
        cargo run -- --open           the same, in a browser window\n  \
        cargo guide test              run every check of the book\n  \
        cargo guide echo --latency 20ms\n",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// The folder that holds book.toml [default: this folder or the nearest one above it]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the book, rebuild it when a file changes, and run the echo server beside it
    #[command(after_help = "Examples:\n  \
        cargo guide serve --open\n  \
        cargo guide serve --port 4000 --no-echo\n\n\
        Only this machine can connect. Ctrl-C stops both servers.")]
    Serve(ServeArgs),
    /// Build the book into target/book
    #[command(after_help = "Examples:\n  \
        cargo guide build\n  \
        cargo guide build --dest-dir public --site-url /connection-pool-guide/\n\n\
        A build that fails leaves the last good one in place and exits with code 1.")]
    Build(BuildArgs),
    /// Run the book's checks and print one table
    #[command(after_help = "Examples:\n  \
        cargo guide test\n  \
        cargo guide test snippets book\n\n\
        The output of what failed comes above the table. Exits with code 1 if anything failed.")]
    Test(TestArgs),
    /// Rewrite what the book shows but nobody writes: outputs of examples, generated tables
    #[command(after_help = "Examples:\n  \
        cargo guide generate\n  \
        cargo guide generate --check\n\n\
        It prints which files changed. What varies from run to run, such as a duration, keeps its placeholder.")]
    Generate(GenerateArgs),
    /// Run the echo server alone, with faults if you ask for them
    #[command(after_help = "Examples:\n  \
        cargo guide echo\n  \
        cargo guide echo --latency 20ms --close-idle-after 5m\n\n\
        A frame is a length of four bytes, big-endian, then the payload. Ctrl-C stops the server and prints what it \
        counted.")]
    Echo(poolhouse_echo::ServeArgs),
    /// One check of `test`, run as a child because mdBook writes its failures to stderr.
    #[command(hide = true)]
    MdbookTest,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Port of the book on 127.0.0.1; the next free one if it is taken, any free one if 0
    #[arg(long, short, value_name = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Port of the echo server on 127.0.0.1; the next free one if it is taken, any free one if 0
    #[arg(long, value_name = "PORT", default_value_t = 5555)]
    pub(crate) echo_port: u16,
    /// Do not start the echo server
    #[arg(long, conflicts_with = "echo_port")]
    pub(crate) no_echo: bool,
    /// Open the book in a browser
    #[arg(long, short)]
    pub(crate) open: bool,
}

#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Where to put the book; a book that is there is replaced [default: build-dir in book.toml]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) dest_dir: Option<PathBuf>,
    /// The path under which the book will be published, such as /guide/; the page for missing pages needs it
    #[arg(long, value_name = "PATH")]
    pub(crate) site_url: Option<String>,
}

#[derive(Args)]
pub(crate) struct TestArgs {
    /// The checks to run [default: all of them]
    #[arg(value_enum, value_name = "CHECK")]
    pub(crate) checks: Vec<Check>,
}

#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// Change nothing; list what would change, and exit with code 1 if anything would
    #[arg(long)]
    pub(crate) check: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_switches_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_serve_and_takes_its_switches() {
        let cli = Cli::try_parse_from(["guide", "--port", "4000", "--no-echo"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.serve.port, cli.serve.no_echo), (4000, true));
    }
}
