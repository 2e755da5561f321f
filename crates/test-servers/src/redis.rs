//! Redis.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::programs;
use crate::server::{Server, on_a_free_port};

const NAME: &str = "redis";

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Redis server of its own, empty, that keeps nothing on disk.
///
/// ```no_run
/// let server = test_servers::Redis::start()?;
/// assert_eq!(server.command(&["SET", "key", "value"])?, "OK");
/// let url = format!("redis://127.0.0.1:{}/", server.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct Redis {
    server: Server,
    port: u16,
    settings: Vec<(String, String)>,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without Redis; anything else with the server's log.
    ///
    /// ```no_run
    /// let server = test_servers::Redis::start()?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of `redis.conf`.
    ///
    /// # Errors
    ///
    /// As for [`start`](Redis::start).
    ///
    /// ```no_run
    /// let server = test_servers::Redis::start_with(&[("maxclients", "5")])?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        programs::find("redis-server", "redis-server")?;
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            let mut this = Self { server, port, settings: settings.clone() };
            this.run()?;
            Ok(this)
        })
    }

    /// The port on 127.0.0.1. It stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection string.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Sends one command over a connection of its own. An array comes back as its elements, one a line.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) with what the server says; [`Io`](ServerError::Io) if it does not answer in 5 s.
    ///
    /// ```no_run
    /// let server = test_servers::Redis::start()?;
    /// assert_eq!(server.command(&["PING"])?, "PONG");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn command(&self, words: &[&str]) -> Result<String, ServerError> {
        command(self.port, words)
    }

    /// Stops the server. What it held is gone.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        self.server.stop(Signal::TERM)
    }

    /// Starts a stopped server again, on the same port.
    ///
    /// # Errors
    ///
    /// As for [`start`](Redis::start).
    pub fn resume(&mut self) -> Result<(), ServerError> {
        self.run()
    }

    /// [`stop`](Redis::stop), then [`resume`](Redis::resume).
    ///
    /// # Errors
    ///
    /// Theirs.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        self.resume()
    }

    /// Stops the process where it is (SIGSTOP): connections are still accepted, by the kernel, and nothing is answered.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn freeze(&mut self) -> Result<(), ServerError> {
        self.server.freeze()
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn thaw(&mut self) -> Result<(), ServerError> {
        self.server.thaw()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.id().map(|id| id.as_raw_nonzero().get())
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find("redis-server", "redis-server")?);
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--daemonize", "no"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(self.server.folder());
        for (key, value) in &self.settings {
            command.arg(format!("--{key}")).arg(value);
        }
        self.server.spawn(command)?;
        let port = self.port;
        self.server.wait_until_ready(|| match self::command(port, &["PING"]) {
            Ok(_) => Ok(()),
            // With a password set, "no" is an answer.
            Err(ServerError::Refused { answer, .. }) if answer.starts_with("NOAUTH") => Ok(()),
            Err(error) => Err(error.to_string()),
        })
    }
}

fn command(port: u16, words: &[&str]) -> Result<String, ServerError> {
    let failed = || ServerError::io(format!("ask redis for {}", words.join(" ")));
    let answer = ask(port, words).map_err(failed())?;
    answer.map_err(|answer| ServerError::Refused { server: NAME, answer })
}

fn ask(port: u16, words: &[&str]) -> io::Result<Result<String, String>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    (&stream).write_all(request.as_bytes())?;
    read_answer(&mut BufReader::new(&stream))
}

/// One reply of RESP2. An error inside an array is part of its text.
fn read_answer(stream: &mut impl BufRead) -> io::Result<Result<String, String>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let length = |text: &str| text.parse::<usize>().unwrap_or(0);
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(Ok(text.to_owned())),
        Some(("-", text)) => Ok(Err(text.to_owned())),
        Some(("$", "-1")) => Ok(Ok(String::new())),
        Some(("$", text)) => {
            let mut bytes = vec![0; length(text) + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Some(("*", text)) => {
            let mut lines = Vec::new();
            for _ in 0..length(text) {
                lines.push(read_answer(stream)?.unwrap_or_else(|error| error));
            }
            Ok(Ok(lines.join("\n")))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no answer of RESP2: {line:?}"))),
    }
}
