//! HAProxy.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::http;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, free_port, on_a_free_port};

const NAME: &str = "haproxy";

/// The file of the socket that takes commands, in the server's folder.
const SOCKET: &str = "admin";

/// How long the answer to a command may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// An HAProxy that passes TCP on to servers of this machine, in turn.
///
/// ```no_run
/// use test_servers::{HaProxy, Redis};
///
/// let (one, two) = (Redis::start()?, Redis::start()?);
/// let proxy = HaProxy::start(&[one.port(), two.port()], &["timeout client 2s"])?;
/// let url = format!("redis://127.0.0.1:{}/", proxy.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct HaProxy {
    server: Server,
    port: u16,
    statistics: u16,
}

methods!(HaProxy);

impl HaProxy {
    /// At once. With SIGUSR1 it would wait for its clients.
    const STOP: Signal = Signal::TERM;

    /// Starts a proxy in front of the servers at these ports, which it checks every 100 ms. `settings` are lines of the section
    /// that listens; a later one replaces a default.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without HAProxy; anything else with the proxy's log.
    ///
    /// ```no_run
    /// let proxy = test_servers::HaProxy::start(&[5432], &["balance leastconn"])?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start(servers: &[u16], settings: &[&str]) -> Result<Self, ServerError> {
        programs::find(NAME, NAME)?;
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            let statistics = free_port()?;
            let socket = server.folder().join(SOCKET).display().to_string();
            server.write("conf", &configuration(port, statistics, &socket, servers, settings))?;
            let mut this = Self { server, port, statistics };
            this.run()?;
            Ok(this)
        })
    }

    /// The proxy's statistics, as comma-separated values: a line for each server, and two for the proxy.
    ///
    /// # Errors
    ///
    /// It does not answer.
    ///
    /// ```no_run
    /// # let proxy = test_servers::HaProxy::start(&[5432], &[])?;
    /// assert!(proxy.statistics()?.contains("tcp,server0,"));
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn statistics(&self) -> Result<String, ServerError> {
        let (_, text) = http::get(self.statistics, "/;csv").map_err(ServerError::io("ask haproxy"))?;
        Ok(text)
    }

    /// Gives a command of the [runtime API](https://docs.haproxy.org/2.6/management.html#9.3). The servers are called
    /// `tcp/server0`, `tcp/server1` and so on.
    ///
    /// # Errors
    ///
    /// It does not answer.
    ///
    /// ```no_run
    /// # let proxy = test_servers::HaProxy::start(&[5432], &[])?;
    /// proxy.command("set server tcp/server0 state drain")?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn command(&self, command: &str) -> Result<String, ServerError> {
        let ask = || {
            let mut socket = UnixStream::connect(self.server.folder().join(SOCKET))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            writeln!(socket, "{command}")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer.trim().to_owned())
        };
        ask().map_err(ServerError::io(format!("tell haproxy: {command}")))
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        command.arg("-db").arg("-f").arg(self.server.folder().join("conf"));
        self.server.spawn(command)?;
        let port = self.statistics;
        self.server.wait_until_ready(|| http::get(port, "/;csv").map(drop).map_err(|error| error.to_string()))
    }
}

fn configuration(port: u16, statistics: u16, socket: &str, servers: &[u16], settings: &[&str]) -> String {
    let mut lines = format!(
        "global\n\
         \x20 stats socket {socket} level admin\n\
         defaults\n\
         \x20 timeout connect 2s\n\
         \x20 timeout client 1m\n\
         \x20 timeout server 1m\n\
         frontend statistics\n\
         \x20 mode http\n\
         \x20 bind 127.0.0.1:{statistics}\n\
         \x20 stats enable\n\
         \x20 stats uri /\n\
         listen tcp\n\
         \x20 mode tcp\n\
         \x20 bind 127.0.0.1:{port}\n\
         \x20 balance roundrobin\n"
    );
    for setting in settings {
        lines += &format!("  {setting}\n");
    }
    for (number, server) in servers.iter().enumerate() {
        lines += &format!("  server server{number} 127.0.0.1:{server} check inter 100ms fall 2 rise 1\n");
    }
    lines
}
