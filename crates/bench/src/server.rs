//! A server that is a process of its own: this program again, with another subcommand.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// The process. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts the subcommand, which prints its address and serves until its input ends.
    pub fn start(subcommand: &str) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg(subcommand)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the server `{subcommand}`"))?;
        let mut line = String::new();
        let stdout =
            child.stdout.take().with_context(|| format!("the server `{subcommand}` has no output"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address =
            line.trim().parse().with_context(|| format!("the server `{subcommand}` said {line:?}"))?;
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
