//! nginx.

use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::http;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, on_a_free_port};

const NAME: &str = "nginx";

/// An nginx with one server, which holds what you write into it.
///
/// ```no_run
/// let server = test_servers::Nginx::start("keepalive_timeout 1s; location / { return 200 hello; }")?;
/// let address = format!("http://127.0.0.1:{}/", server.port());
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct Nginx {
    server: Server,
    port: u16,
}

methods!(Nginx);

impl Nginx {
    /// "Fast": connections are closed.
    const STOP: Signal = Signal::TERM;

    /// Starts a server. `directives` go into its `server` block.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without nginx; anything else with the server's log.
    ///
    /// ```no_run
    /// let server = test_servers::Nginx::start("location / { return 204; }")?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start(directives: &str) -> Result<Self, ServerError> {
        programs::find(NAME, NAME)?;
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            server.write("conf", &configuration(port, directives))?;
            let mut this = Self { server, port };
            this.run()?;
            Ok(this)
        })
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        let folder = self.server.folder();
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("conf")).args(["-e", "stderr"]);
        self.server.spawn(command)?;
        let port = self.port;
        self.server.wait_until_ready(|| http::get(port, "/").map(drop).map_err(|error| error.to_string()))
    }
}

fn configuration(port: u16, directives: &str) -> String {
    format!(
        "daemon off;\n\
         worker_processes 1;\n\
         pid nginx.pid;\n\
         error_log stderr;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{\n\
         listen 127.0.0.1:{port};\n\
         {directives}\n\
         }}\n\
         }}\n"
    )
}
