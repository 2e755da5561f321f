//! MariaDB.

use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, on_a_free_port};

const NAME: &str = "mariadb";

const PACKAGE: &str = "mariadb-server";

/// A MariaDB server of its own. The superuser `root` needs no password.
///
/// ```no_run
/// let server = test_servers::MariaDb::start()?;
/// assert_eq!(server.sql("SELECT 1 + 1")?, "2");
/// let url = format!("mysql://root@127.0.0.1:{}/test", server.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct MariaDb {
    server: Server,
    port: u16,
    settings: Vec<(String, String)>,
}

methods!(MariaDb);

impl MariaDb {
    const STOP: Signal = Signal::TERM;

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without MariaDB; anything else with the server's log.
    ///
    /// ```no_run
    /// let server = test_servers::MariaDb::start()?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of `my.cnf`.
    ///
    /// # Errors
    ///
    /// As for [`start`](MariaDb::start).
    ///
    /// ```no_run
    /// let server = test_servers::MariaDb::start_with(&[("wait_timeout", "1")])?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        let install = programs::find("mariadb-install-db", PACKAGE)?;
        programs::find("mariadbd", PACKAGE)?;
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            let mut make = Command::new(&install);
            make.args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--innodb-flush-method=nosync",
            ]);
            make.arg(format!("--datadir={}", server.folder().join("data").display()));
            // A server that starts removes temporary tables, those of others in the same folder too.
            make.env("TMPDIR", server.folder()).arg(format!("--tmpdir={}", server.folder().display()));
            server.run(make)?;
            let mut this = Self { server, port, settings: settings.clone() };
            this.run()?;
            Ok(this)
        })
    }

    /// Runs SQL as the superuser in the database `test`. Returns the rows, one a line, with tabs between columns.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) with what the server says.
    ///
    /// ```no_run
    /// let server = test_servers::MariaDb::start()?;
    /// assert_eq!(server.sql("SELECT 1, 'a'")?, "1\ta");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        query(self.port, sql)
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find("mariadbd", PACKAGE)?);
        let folder = self.server.folder().display();
        command.arg("--no-defaults").arg(format!("--datadir={folder}/data"));
        command.arg(format!("--socket={folder}/socket")).arg(format!("--pid-file={folder}/mariadb.pid"));
        command.arg(format!("--tmpdir={folder}"));
        command.args([
            "--bind-address=127.0.0.1",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=16M",
        ]);
        command.arg(format!("--port={}", self.port));
        for (key, value) in &self.settings {
            command.arg(format!("--{key}={value}"));
        }
        self.server.spawn(command)?;
        let port = self.port;
        self.server.wait_until_ready(|| query(port, "SELECT 1").map(drop).map_err(|error| error.to_string()))
    }
}

fn query(port: u16, sql: &str) -> Result<String, ServerError> {
    let mut command = Command::new(programs::find("mariadb", PACKAGE)?);
    command.args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--batch", "--skip-column-names"]);
    command.args(["--connect-timeout=5", "--database=test"]).arg(format!("--port={port}")).args(["-e", sql]);
    let output = command.output().map_err(ServerError::io("run mariadb"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let answer = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(ServerError::Refused { server: NAME, answer })
}
