//! HAProxy.

use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::http;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, free_port, on_a_free_port};

const NAME: &str = "haproxy";

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
            server.write("conf", &configuration(port, statistics, servers, settings))?;
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

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        command.arg("-db").arg("-f").arg(self.server.folder().join("conf"));
        self.server.spawn(command)?;
        let port = self.statistics;
        self.server.wait_until_ready(|| http::get(port, "/;csv").map(drop).map_err(|error| error.to_string()))
    }
}

fn configuration(port: u16, statistics: u16, servers: &[u16], settings: &[&str]) -> String {
    let mut lines = format!(
        "defaults\n\
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
