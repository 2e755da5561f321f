//! The echo server as a program. Everything it does is in the library, so that another tool can do the same.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use poolhouse_echo::{ServeArgs, serve};

/// An echo server with faults on demand.
///
/// A frame is a length of four bytes, big-endian, then the payload. Every frame comes back as it went in, unless you
/// ask for a fault. A time is a number and a unit: 20ms, 1s, 5m. Ctrl-C ends the server and prints what it counted.
#[derive(Parser)]
#[command(name = "poolhouse-echo", version)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Cli::parse().serve, &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("poolhouse-echo: {error}");
            ExitCode::FAILURE
        }
    }
}
