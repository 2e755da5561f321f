//! The command line: subcommands, switches, and the help that a reader sees first.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::book::BuildArgs;
use crate::generate::GenerateArgs;
use crate::lab::LabArgs;
use crate::read::ReadArgs;
use crate::serve::ServeArgs;
use crate::test::TestArgs;

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

impl Cli {
    /// Parses the command line, or ends the program with what is wrong with it.
    pub(crate) fn from_command_line() -> Cli {
        let cli = Cli::parse();
        cli.check().unwrap_or_else(|error| error.exit());
        cli
    }

    /// The switches of `serve` may stand without it, but not before another command. `--root` may stand anywhere.
    fn check(&self) -> Result<(), clap::Error> {
        let none = ServeArgs { port: 3000, echo_port: 5555, no_echo: false, open: false };
        if self.command.is_none() || self.serve == none {
            return Ok(());
        }
        let why = "the switches of `serve` belong behind its name; only --root may come before a command";
        Err(Cli::command().error(ErrorKind::ArgumentConflict, why))
    }
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
    /// Show the claims of the book that nobody has read, with what to read each against, and record them as read
    #[command(after_help = "Examples:\n  \
        cargo guide read\n  \
        cargo guide read book/src/guide/sizing.md\n  \
        cargo guide read --unread\n\n\
        It writes book/data/readings.txt. Run it when you have read what it shows: the file is your word for that. \
        For pages that you name, it also shows the claims that were recorded with --unread.")]
    Read(ReadArgs),
    /// Run the echo server alone, with faults if you ask for them
    #[command(after_help = "Examples:\n  \
        cargo guide echo\n  \
        cargo guide echo --latency 20ms --close-idle-after 5m\n\n\
        A frame is a length of four bytes, big-endian, then the payload. Ctrl-C stops the server and prints what it \
        counted. `cargo run -p poolhouse-echo --` starts the same server, and has less to compile.")]
    Echo(poolhouse_echo::ServeArgs),
    /// Run the real pool under a load, in virtual time, and print what came of it
    #[command(after_help = "Examples:\n  \
        cargo guide lab\n  \
        cargo guide lab overload\n  \
        cargo guide lab 'rate=200&hold=50&max_connections=16'\n\n\
        Without a scenario it lists the presets. A run is the same, to the last digit, on every machine and in a browser.")]
    Lab(LabArgs),
    /// One check of `test`, run as a child because mdBook writes its failures to stderr.
    #[command(hide = true)]
    MdbookTest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switches_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_root_may_stand_before_a_command_and_the_switches_of_serve_may_not() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["guide"], arguments].concat()).unwrap();
        for arguments in
            [&["--root", "there", "build"][..], &["build", "--root", "there"], &["--root", "there"]]
        {
            let cli = parse(arguments);
            assert_eq!(cli.root.as_deref(), Some("there".as_ref()), "{arguments:?}");
            cli.check().unwrap();
        }
        for switch in [&["--port", "4000"][..], &["--no-echo"], &["--open"], &["--echo-port", "1"]] {
            assert!(parse(&[switch, &["build"]].concat()).check().is_err(), "{switch:?}");
            parse(&[&["serve"], switch].concat()).check().unwrap();
        }
    }

    #[test]
    fn no_command_means_serve_and_takes_its_switches() {
        let cli = Cli::try_parse_from(["guide", "--port", "4000", "--no-echo"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.serve.port, cli.serve.no_echo), (4000, true));
    }
}
