//! PostgreSQL.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;

use crate::error::ServerError;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, on_a_free_port, own};

const NAME: &str = "postgres";

/// Not one of them waits for a disk, and nothing of them outlives the process: no System V segment, no file in `/dev/shm`.
const SETTINGS: [(&str, &str); 9] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("shared_buffers", "16MB"),
    ("dynamic_shared_memory_type", "mmap"),
    ("max_wal_size", "64MB"),
    ("log_line_prefix", "%m [%p] "),
];

/// `postgres` comes in without a password, everybody else needs one.
const HBA: &str = "\
local all all trust
host all postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

/// A PostgreSQL server of its own, with an empty database `postgres`.
///
/// The superuser `postgres` needs no password; a role that you create needs one (SCRAM).
///
/// ```no_run
/// let server = test_servers::Postgres::start()?;
/// server.sql("CREATE ROLE app LOGIN PASSWORD 'secret'")?;
/// let url = format!("postgres://app:secret@127.0.0.1:{}/postgres", server.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct Postgres {
    server: Server,
    programs: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
}

methods!(Postgres);

impl Postgres {
    /// "Fast": clients are disconnected, transactions rolled back.
    const STOP: Signal = Signal::INT;

    /// Starts a server with 100 connections at most.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without PostgreSQL; anything else with the server's log.
    ///
    /// ```no_run
    /// let server = test_servers::Postgres::start()?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of `postgresql.conf`.
    ///
    /// # Errors
    ///
    /// As for [`start`](Postgres::start).
    ///
    /// ```no_run
    /// let server = test_servers::Postgres::start_with(&[("max_connections", "5")])?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        let programs = programs::postgres()?;
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::QUIT, "QUIT"))?;
            copy_template(&server, &programs)?;
            let mut this = Self { server, programs: programs.clone(), port, settings: settings.clone() };
            this.run()?;
            Ok(this)
        })
    }

    /// Starts a server that speaks TLS, with a certificate and its key in PEM. It does not insist on it.
    ///
    /// # Errors
    ///
    /// As for [`start`](Postgres::start).
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self, ServerError> {
        let mut this = Self::start()?;
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = this.server.folder().join("data").join(name);
            std::fs::write(&file, text).map_err(ServerError::io(format!("write {name}")))?;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
                .map_err(ServerError::io(format!("protect {name}")))?;
            own(&file)?;
        }
        this.settings.push(("ssl".into(), "on".into()));
        this.restart()?;
        Ok(this)
    }

    /// Starts a second server that follows this one, and takes no writes until it is promoted (`SELECT pg_promote()`).
    ///
    /// # Errors
    ///
    /// As for [`start`](Postgres::start).
    ///
    /// ```no_run
    /// let primary = test_servers::Postgres::start()?;
    /// let standby = primary.standby()?;
    /// assert_eq!(standby.sql("SELECT pg_is_in_recovery()")?, "t");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn standby(&self) -> Result<Self, ServerError> {
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::QUIT, "QUIT"))?;
            let mut backup = Command::new(self.programs.join("pg_basebackup"));
            backup.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", NAME]);
            backup.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]);
            backup.arg(server.folder().join("data"));
            server.run(backup)?;
            let (programs, settings) = (self.programs.clone(), self.settings.clone());
            let mut this = Self { server, programs, port, settings };
            this.run()?;
            Ok(this)
        })
    }

    /// A connection string for the superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs SQL as the superuser, with `psql`. Returns the rows, one a line, with `|` between columns.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) with what the server says.
    ///
    /// ```no_run
    /// let server = test_servers::Postgres::start()?;
    /// assert_eq!(server.sql("SELECT 1, 'a'")?, "1|a");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        psql(&self.programs, self.port, NAME, sql)
    }

    /// Runs SQL with `psql`, and so with libpq, over a connection string of your own, such as `host=.. sslmode=verify-full`.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) with what libpq or the server says.
    ///
    /// ```no_run
    /// let server = test_servers::Postgres::start()?;
    /// let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable", server.port());
    /// assert_eq!(server.libpq(&conninfo, "SELECT 1")?, "1");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn libpq(&self, conninfo: &str, sql: &str) -> Result<String, ServerError> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", sql]);
        answer(command)
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(self.programs.join("postgres"));
        command.arg("-D").arg(self.server.folder().join("data")).args(["-p", &self.port.to_string()]);
        command.arg("-c").arg(format!("unix_socket_directories={}", self.server.folder().display()));
        let own = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in SETTINGS.into_iter().chain(own) {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        self.server.spawn(command)?;
        let (programs, port) = (self.programs.clone(), self.port);
        self.server.wait_until_ready(|| match psql(&programs, port, NAME, "SELECT 1") {
            Ok(_) => Ok(()),
            // A server that is full is up.
            Err(error) if error.to_string().contains("too many clients") => Ok(()),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Runs SQL in a database as the superuser.
pub(crate) fn psql(
    programs: &std::path::Path,
    port: u16,
    database: &str,
    sql: &str,
) -> Result<String, ServerError> {
    let mut command = Command::new(programs.join("psql"));
    command
        .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"])
        .args(["-d", database, "-p", &port.to_string(), "-c", sql]);
    answer(command)
}

/// What `psql` prints, or why it failed.
fn answer(mut command: Command) -> Result<String, ServerError> {
    command.env("PGCONNECT_TIMEOUT", "5").env("LC_ALL", "C");
    let output = command.output().map_err(ServerError::io("run psql"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let answer = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(ServerError::Refused { server: NAME, answer })
}

/// `initdb` takes a second, so it runs once in a process, and each server gets a copy of what it makes.
fn copy_template(server: &Server, programs: &std::path::Path) -> Result<(), ServerError> {
    static TEMPLATE: Mutex<Option<Server>> = Mutex::new(None);
    let mut template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    if template.is_none() {
        *template = Some(make_template(programs)?);
    }
    let made = template.as_ref().expect("made above");
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(made.folder().join("data")).arg(server.folder().join("data"));
    server.run(copy).map(drop)
}

/// It is never dropped: its guardian removes the folder when the process ends.
fn make_template(programs: &std::path::Path) -> Result<Server, ServerError> {
    let template = Server::new("postgres-template", (Signal::QUIT, "QUIT"))?;
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.args(["-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
    initdb.arg(template.folder().join("data"));
    template.run(initdb)?;
    let hba = template.folder().join("data").join("pg_hba.conf");
    std::fs::write(&hba, HBA).map_err(ServerError::io("write pg_hba.conf"))?;
    own(&hba)?;
    Ok(template)
}
