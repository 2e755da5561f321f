//! Prometheus, and the program that checks its files.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::http;
use crate::methods::methods;
use crate::programs;
use crate::server::{Server, on_a_free_port};

const NAME: &str = "prometheus";

/// A Prometheus that looks at programs of this machine every 200 ms, and judges rules as often.
///
/// ```no_run
/// let server = test_servers::Prometheus::start(&[9898], None)?;
/// println!("{}", server.query("up")?);
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub struct Prometheus {
    server: Server,
    port: u16,
}

methods!(Prometheus);

impl Prometheus {
    const STOP: Signal = Signal::TERM;

    /// Starts a server that scrapes `/metrics` at these ports, with the rules of a file of rules, if you give its text.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) without Prometheus; anything else with the server's log, rules that cannot
    /// be read included.
    ///
    /// ```no_run
    /// let rules = "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]";
    /// let server = test_servers::Prometheus::start(&[9898], Some(rules))?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn start(targets: &[u16], rules: Option<&str>) -> Result<Self, ServerError> {
        programs::find(NAME, NAME)?;
        on_a_free_port(|port| {
            let server = Server::new(NAME, (Signal::TERM, "TERM"))?;
            server.write("rules.yml", rules.unwrap_or("groups: []"))?;
            server.write("conf.yml", &configuration(targets))?;
            let mut this = Self { server, port };
            this.run()?;
            Ok(this)
        })
    }

    /// The value of an expression now, as the JSON of Prometheus' own interface.
    ///
    /// # Errors
    ///
    /// [`Refused`](ServerError::Refused) for an expression that is none; [`Io`](ServerError::Io) if it does not answer.
    ///
    /// ```no_run
    /// # let server = test_servers::Prometheus::start(&[], None)?;
    /// assert!(server.query("1 + 1")?.contains("\"2\""));
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn query(&self, expression: &str) -> Result<String, ServerError> {
        self.get(&format!("/api/v1/query?query={}", http::escape(expression)))
    }

    /// The alerts that are pending or fire now, as the JSON of Prometheus' own interface.
    ///
    /// # Errors
    ///
    /// As for [`query`](Prometheus::query).
    ///
    /// ```no_run
    /// # let server = test_servers::Prometheus::start(&[], None)?;
    /// assert!(server.alerts()?.contains("\"alerts\":[]"));
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn alerts(&self) -> Result<String, ServerError> {
        self.get("/api/v1/alerts")
    }

    /// The rules that are loaded, with their expressions and annotations, as the JSON of Prometheus' own interface.
    ///
    /// # Errors
    ///
    /// As for [`query`](Prometheus::query).
    ///
    /// ```no_run
    /// # let server = test_servers::Prometheus::start(&[], None)?;
    /// assert!(server.rules()?.contains("\"groups\":[]"));
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn rules(&self) -> Result<String, ServerError> {
        self.get("/api/v1/rules")
    }

    fn get(&self, path: &str) -> Result<String, ServerError> {
        let (status, body) = http::get(self.port, path).map_err(ServerError::io("ask prometheus"))?;
        if status == 200 { Ok(body) } else { Err(ServerError::Refused { server: NAME, answer: body }) }
    }

    fn run(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(programs::find(NAME, NAME)?);
        command.arg("--config.file=conf.yml").arg("--storage.tsdb.path=data");
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        self.server.spawn(command)?;
        let port = self.port;
        self.server.wait_until_ready(|| match http::get(port, "/-/ready") {
            Ok((200, _)) => Ok(()),
            Ok((status, _)) => Err(format!("status {status}")),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Runs `promtool`, which checks files of rules and runs their tests, in a folder. What it prints.
///
/// # Errors
///
/// [`NotInstalled`](ServerError::NotInstalled) without it; [`Failed`](ServerError::Failed) with what it printed if it ends
/// with an error.
///
/// ```no_run
/// println!("{}", test_servers::promtool(".", &["check", "rules", "alerts.yml"])?);
/// # Ok::<(), test_servers::ServerError>(())
/// ```
pub fn promtool(folder: impl AsRef<Path>, arguments: &[&str]) -> Result<String, ServerError> {
    const TOOL: &str = "promtool";
    let mut command = Command::new(programs::find(TOOL, NAME)?);
    command.args(arguments).current_dir(folder);
    let output = command.output().map_err(ServerError::io(format!("run {TOOL}")))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(ServerError::Failed { server: TOOL, what: arguments.join(" "), log: printed })
}

fn configuration(targets: &[u16]) -> String {
    let targets: Vec<_> = targets.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
    format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 200ms\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: test\n  static_configs:\n  - targets: [{}]\n",
        targets.join(", ")
    )
}
