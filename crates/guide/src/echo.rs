//! The echo server that the examples talk to: beside the book, or alone.

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use poolhouse_echo::{EchoServer, ServeArgs};

use crate::port;

/// `cargo guide echo`
pub(crate) fn run(args: ServeArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let listen = args.listen.clone();
    runtime.block_on(poolhouse_echo::serve(args, &mut io::stdout())).with_context(|| {
        format!("the echo server cannot run on {listen}; choose another address with --listen, such as 127.0.0.1:0")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Starts one without faults on the wanted port of the loopback address, or the next free one.
pub(crate) async fn beside(wanted: u16) -> Result<EchoServer> {
    for candidate in port::candidates(wanted) {
        match EchoServer::builder().listen(format!("127.0.0.1:{candidate}")).start().await {
            Ok(server) => return Ok(server),
            Err(error) if port::is_taken(&error) => {}
            Err(error) => return Err(error).with_context(|| port::cannot_listen(wanted)),
        }
    }
    anyhow::bail!(port::cannot_listen(wanted))
}
