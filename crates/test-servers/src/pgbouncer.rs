//! PgBouncer.

use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::methods::methods;
use crate::postgres::{Postgres, psql};
use crate::programs;
use crate::server::{Server, on_a_free_port};

const NAME: &str = "pgbouncer";

/// A PgBouncer in front of one PostgreSQL, in transaction mode, with five server connections for each user.
///
/// ```no_run
/// use test_servers::{PgBouncer, Postgres};
///
/// let server = Postgres::start()?;
/// server.sql("CREATE ROLE app LOGIN PASSWORD 'secret'")?;
/// let proxy = PgBouncer::start(&server, &[("app", "secret")], &[])?;
/// let url = format!("postgres://app:secret@127.0.0.1:{}/postgres", proxy.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct PgBouncer {
    server: Server,
    port: u16,
}

methods!(PgBouncer);

impl PgBouncer {
    /// At once: its clients are disconnected. With SIGINT it would wait for them.
    const STOP: Signal = Signal::TERM;

    /// Starts a proxy that knows `users` and their passwords, with further settings of `pgbouncer.ini`. The superuser
    /// `postgres` needs no password, and may use the console.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without PgBouncer; anything else with the proxy's log.
    ///
    /// ```no_run
    /// # let server = test_servers::Postgres::start()?;
    /// let settings = [("pool_mode", "session"), ("default_pool_size", "2")];
    /// let proxy = test_servers::PgBouncer::start(&server, &[], &settings)?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start(
        behind: &Postgres,
        users: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        programs::find(NAME, NAME)?;
        on_a_free_port(|port| Self::start_at(port, behind, users, settings))
    }

    /// Starts a second proxy on the port of this one. Both need the setting `so_reuseport` with the value 1: the kernel then
    /// gives each new connection to either.
    ///
    /// # Errors
    ///
    /// As for [`start`](PgBouncer::start).
    ///
    /// ```no_run
    /// use test_servers::{PgBouncer, Postgres};
    ///
    /// let server = Postgres::start()?;
    /// let settings = [("so_reuseport", "1")];
    /// let one = PgBouncer::start(&server, &[], &settings)?;
    /// let two = one.beside(&server, &[], &settings)?;
    /// assert_eq!(one.port(), two.port());
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn beside(
        &self,
        behind: &Postgres,
        users: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        Self::start_at(self.port, behind, users, settings)
    }

    /// Gives a command of the [console](https://www.pgbouncer.org/usage.html#admin-console), and returns its rows, one a
    /// line, with `|` between columns.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) with what the proxy says. `SHUTDOWN` ends the connection too.
    ///
    /// ```no_run
    /// # let server = test_servers::Postgres::start()?;
    /// # let proxy = test_servers::PgBouncer::start(&server, &[], &[])?;
    /// proxy.console("PAUSE")?;
    /// proxy.console("RESUME")?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn console(&self, command: &str) -> Result<String, ServerError> {
        psql(&programs::postgres()?, self.port, "pgbouncer", command)
    }

    fn start_at(
        port: u16,
        behind: &Postgres,
        users: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
        let mut list = String::from("\"postgres\" \"\"\n");
        list.extend(users.iter().map(|(user, password)| format!("\"{user}\" \"{password}\"\n")));
        server.write("users", &list)?;
        server.write("ini", &ini(behind.port(), port, server.folder(), settings))?;
        let mut this = Self { server, port };
        this.run()?;
        Ok(this)
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        command.arg(self.server.folder().join("ini"));
        self.server.spawn(command)?;
        let (programs, port) = (programs::postgres()?, self.port);
        let log = self.server.folder().join("log");
        self.server.wait_until_ready(|| {
            // With two on one port, either answers.
            if !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("process up")) {
                return Err("it does not say that it is up".to_owned());
            }
            psql(&programs, port, "postgres", "SELECT 1").map(drop).map_err(|error| error.to_string())
        })
    }
}

fn ini(server: u16, port: u16, folder: &std::path::Path, settings: &[(&str, &str)]) -> String {
    let folder = folder.display();
    let mut ini = format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {folder}/users\n\
         admin_users = postgres\n"
    );
    // The last of two lines for one key counts.
    let defaults = [("pool_mode", "transaction"), ("default_pool_size", "5"), ("max_client_conn", "200")];
    for (key, value) in defaults.iter().chain(settings) {
        ini += &format!("{key} = {value}\n");
    }
    ini
}
