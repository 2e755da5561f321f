//! PgBouncer.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::postgres::{Postgres, psql};
use crate::programs;
use crate::server::{Server, on_a_free_port, own};

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

impl PgBouncer {
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
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            let write = |name: &str, text: String| {
                let file = server.folder().join(name);
                fs::write(&file, text).map_err(ServerError::io(format!("write {name}")))?;
                own(&file)
            };
            let mut list = String::from("\"postgres\" \"\"\n");
            list.extend(users.iter().map(|(user, password)| format!("\"{user}\" \"{password}\"\n")));
            write("users", list)?;
            write("ini", ini(behind.port(), port, server.folder(), settings))?;
            let mut this = Self { server, port };
            this.run()?;
            Ok(this)
        })
    }

    /// The port on 127.0.0.1. It stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the proxy at once: its clients are disconnected.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        self.server.stop(Signal::TERM)
    }

    /// Stops the proxy, and starts it again on the same port.
    ///
    /// # Errors
    ///
    /// As for [`start`](PgBouncer::start).
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        self.run()
    }

    /// Stops the process where it is (SIGSTOP).
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn freeze(&mut self) -> Result<(), ServerError> {
        self.server.freeze()
    }

    /// Lets a frozen proxy go on.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn thaw(&mut self) -> Result<(), ServerError> {
        self.server.thaw()
    }

    /// What the proxy has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        command.arg(self.server.folder().join("ini"));
        self.server.spawn(command)?;
        let (programs, port) = (programs::postgres()?, self.port);
        self.server.wait_until_ready(|| {
            psql(&programs, port, "SELECT 1").map(drop).map_err(|error| error.to_string())
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
