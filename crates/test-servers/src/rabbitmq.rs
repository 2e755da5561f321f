//! RabbitMQ.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, free_port, on_a_free_port};

const NAME: &str = "rabbitmq";

const PACKAGE: &str = "rabbitmq-server";

/// How long the broker may take to greet a client.
const PATIENCE: Duration = Duration::from_secs(5);

/// `$1` is the port of epmd, `$2` epmd, `$3` the broker. epmd is the name server that the nodes of Erlang register with. A
/// node without one starts one that outlives it, on a port for the whole machine. So the shell starts both, and ends both.
const SCRIPT: &str = r#"
"$2" -port "$1" -address 127.0.0.1 &
epmd=$!
"$3" &
broker=$!
trap 'kill -TERM "$broker"' TERM
while kill -0 "$broker" 2>/dev/null; do
    wait "$broker"
done
kill "$epmd"
wait "$epmd"
"#;

/// A RabbitMQ broker of its own, with an Erlang node of its own. The user `guest` has the password `guest`.
///
/// ```no_run
/// let server = test_servers::RabbitMq::start()?;
/// server.control(&["add_vhost", "orders"])?;
/// let url = server.url();
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct RabbitMq {
    server: Server,
    port: u16,
    epmd_port: u16,
    distribution_port: u16,
    settings: String,
}

methods!(RabbitMq);

impl RabbitMq {
    const STOP: Signal = Signal::TERM;

    /// Starts a broker.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without RabbitMQ; anything else with the broker's log.
    ///
    /// ```no_run
    /// let server = test_servers::RabbitMq::start()?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// Starts a broker with settings of `rabbitmq.conf`.
    ///
    /// # Errors
    ///
    /// As for [`start`](RabbitMq::start).
    ///
    /// ```no_run
    /// let server = test_servers::RabbitMq::start_with(&[("channel_max", "8")])?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        programs::rabbitmq(PACKAGE)?;
        let settings: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            let (epmd_port, distribution_port) = (free_port()?, free_port()?);
            let settings = settings.clone();
            let mut this = Self { server, port, epmd_port, distribution_port, settings };
            this.run()?;
            Ok(this)
        })
    }

    /// A connection string for the virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Runs `rabbitmqctl`. Returns what it lists, without headers, one item a line, with tabs between columns. It takes a
    /// second or more.
    ///
    /// # Errors
    ///
    /// [`Failed`](ServerError::Failed) with what it says.
    ///
    /// ```no_run
    /// let server = test_servers::RabbitMq::start()?;
    /// assert_eq!(server.control(&["list_connections", "name"])?, "");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn control(&self, words: &[&str]) -> Result<String, ServerError> {
        let mut command = Command::new(programs::rabbitmq("rabbitmqctl")?);
        self.surround(&mut command);
        command.arg("--silent").args(words);
        self.server.run(command).map(|output| output.trim_end().to_owned())
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let (port, settings) = (self.port, &self.settings);
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.file = false\nlog.console = true\nlog.console.use_colors = off\n\
             disk_free_limit.absolute = 1MB\n{settings}"
        );
        self.server.write("rabbitmq.conf", &configuration)?;
        self.server.write("enabled_plugins", "[].\n")?;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, NAME, &self.epmd_port.to_string()]);
        command.arg(programs::find("epmd", "erlang-base")?).arg(programs::rabbitmq(PACKAGE)?);
        self.surround(&mut command);
        self.server.spawn(command)?;
        self.server.wait_until_ready(|| greeting(port).map_err(|error| error.to_string()))
    }

    /// Sets the environment in which the broker and its tools find this node and no other. The cookie is in the home.
    fn surround(&self, command: &mut Command) {
        let file = |name: &str| -> PathBuf { self.server.folder().join(name) };
        command
            .env("RABBITMQ_NODENAME", format!("test-{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MIN", "1024")
            .env("RABBITMQ_CTL_DIST_PORT_MAX", "65535")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Each node listens, the one of `rabbitmqctl` too.
            .env("ERL_AFLAGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", file("no-such-file"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", file("data"))
            .env("RABBITMQ_LOG_BASE", file("logs"))
            // The script runs the broker in its own place, instead of behind a shell that takes signals for it.
            .env("detached", "1");
    }
}

/// Offers AMQP 0-9-1. The broker's first frame is a method: `connection.start`.
fn greeting(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    if kind == [1] { Ok(()) } else { Err(io::Error::other("no AMQP is spoken here")) }
}
