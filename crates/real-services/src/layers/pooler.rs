//! Behind PgBouncer in transaction mode: the server restarts, the pooler restarts, the pooler is rolled out, and prepared
//! statements.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use test_servers::{PgBouncer, Postgres};

use super::fleet::Fleet;
use super::report::{Row, errors, millis, seconds};
use super::service::{Service, Statement};
use super::stage::{self, backends, relay, server, until};
use super::{PROCESSES, now};
use crate::contestants::AnyError;

/// Load before and after what is done.
const CALM: Duration = Duration::from_millis(500);
/// How long the server is away.
const AWAY: Duration = Duration::from_millis(700);
/// How long connections live that are to move.
const SHORT: Duration = Duration::from_secs(2);

/// What is done to the layer between, or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The server is away for a while, behind a PgBouncer with its default `server_login_retry`.
    ServerAway,
    /// The same with `server_login_retry` of a second.
    ServerAwayRetried,
    /// The same between `PAUSE` and `RESUME`.
    ServerAwayPaused,
    /// `RECONNECT`.
    Reconnect,
    /// PgBouncer is ended by `SHUTDOWN`, and started again.
    Shutdown,
    /// The same after `PAUSE`: what SIGINT does.
    PausedShutdown,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ServerAway,
        Self::ServerAwayRetried,
        Self::ServerAwayPaused,
        Self::Reconnect,
        Self::Shutdown,
        Self::PausedShutdown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ServerAway => "the server is away for 0.7 s",
            Self::ServerAwayRetried => "the same, `server_login_retry = 1`",
            Self::ServerAwayPaused => "`PAUSE`, the same, `RESUME`",
            Self::Reconnect => "`RECONNECT`",
            Self::Shutdown => "`SHUTDOWN`, and a new PgBouncer",
            Self::PausedShutdown => "`PAUSE`, `SHUTDOWN`, and a new PgBouncer",
        }
    }

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        if self == Self::ServerAwayRetried {
            &[("server_login_retry", "1")]
        } else {
            &[]
        }
    }

    fn carry_out(
        self,
        server: &mut Postgres,
        proxy: &mut PgBouncer,
    ) -> Result<(), AnyError> {
        match self {
            Self::ServerAway | Self::ServerAwayRetried => away(server)?,
            Self::ServerAwayPaused => {
                proxy.console("PAUSE")?;
                away(server)?;
                proxy.console("RESUME")?;
            }
            Self::Reconnect => {
                proxy.console("RECONNECT")?;
                proxy.console("WAIT_CLOSE")?;
            }
            Self::Shutdown | Self::PausedShutdown => {
                if self == Self::PausedShutdown {
                    proxy.console("PAUSE")?;
                }
                // It ends this connection too, so it answers with an error.
                let _ = proxy.console("SHUTDOWN");
                proxy.stop()?;
                proxy.resume()?;
            }
        }
        Ok(())
    }
}

fn away(server: &mut Postgres) -> Result<(), AnyError> {
    server.stop()?;
    sleep(AWAY);
    Ok(server.resume()?)
}

/// What callers saw of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was done.
    pub work: Work,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed.
    pub errors: usize,
    /// From the end of the work to the last error. Zero if there was none after it.
    pub recovery: Duration,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// Whether the last request was answered.
    pub recovered: bool,
    /// How many server processes of the service were there before and still are.
    pub kept_backends: usize,
    /// What was said most.
    pub reason: String,
}

impl Row for Seen {
    const HEADER: &'static [&'static str] = &[
        "what is done",
        "errors",
        "last error after the end",
        "slowest answer",
        "most frequent",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.work.name().to_owned(),
            errors(self.errors, self.requests),
            if self.errors == 0 {
                "none".to_owned()
            } else {
                seconds(Some(self.recovery))
            },
            millis(self.slowest),
            if self.errors == 0 {
                "none".to_owned()
            } else {
                format!("`{}`", said(&self.reason))
            },
        ]
    }
}

/// One server behind one PgBouncer, under load.
///
/// # Errors
///
/// The servers do not start.
pub fn maintenance(program: &Path, works: &[Work]) -> Result<Vec<Seen>, AnyError> {
    let mut server = server(&[])?;
    works.iter().map(|work| seen(program, &mut server, *work)).collect()
}

fn seen(
    program: &Path,
    server: &mut Postgres,
    work: Work,
) -> Result<Seen, AnyError> {
    let mut proxy = stage::pooler(server, work.settings())?;
    // So long that nobody gives up while the server starts.
    let service =
        Service { deadline: Duration::from_secs(10), ..Service::at(proxy.port()) };
    let fleet = Fleet::start(program, &service, PROCESSES)?;
    sleep(CALM);
    let before = processes(server)?;
    work.carry_out(server, &mut proxy)?;
    let ended = now();
    // So long does PgBouncer wait before it tries a failed login again, by default.
    let longest =
        if work == Work::ServerAway { Duration::from_secs(17) } else { 4 * CALM };
    sleep(longest);
    let after = processes(server)?;
    let requests = fleet.stop()?;
    Ok(Seen {
        work,
        requests: requests.count(),
        errors: requests.errors(),
        recovery: requests.last_error().unwrap_or_default().saturating_sub(ended),
        slowest: requests.slowest(),
        recovered: requests.all.last().is_some_and(|last| last.outcome.is_ok()),
        kept_backends: after
            .iter()
            .filter(|process| before.contains(process))
            .count(),
        reason: requests.reason().map(|(text, _)| text).unwrap_or_default(),
    })
}

fn processes(server: &Postgres) -> Result<Vec<String>, AnyError> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = '{}'",
        super::service::ROLE
    );
    Ok(server.sql(&sql)?.lines().map(str::to_owned).collect())
}

/// One of two PgBouncers behind an HAProxy is replaced.
#[derive(Debug, Clone)]
pub struct RollOut {
    /// How long connections live.
    pub lifetime: Duration,
    /// The clients of the old PgBouncer when it began to drain.
    pub before: usize,
    /// How long it took until it had none.
    pub took: Option<Duration>,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed.
    pub errors: usize,
}

impl Row for RollOut {
    const HEADER: &'static [&'static str] = &[
        "`max_lifetime`",
        "clients before",
        "no client left after",
        "errors, with the stop",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            if self.lifetime == SHORT { "2 s" } else { "1 h" }.to_owned(),
            self.before.to_string(),
            seconds(self.took),
            errors(self.errors, self.requests),
        ]
    }
}

/// Two PgBouncers behind an HAProxy: one drains, is ended, and comes back.
///
/// # Errors
///
/// The servers do not start.
pub fn roll_outs(program: &Path) -> Result<Vec<RollOut>, AnyError> {
    let server = server(&[])?;
    [Service::at(0).lifetime, SHORT]
        .into_iter()
        .map(|lifetime| roll_out(program, &server, lifetime))
        .collect()
}

fn roll_out(
    program: &Path,
    server: &Postgres,
    lifetime: Duration,
) -> Result<RollOut, AnyError> {
    let (mut old, other) =
        (stage::pooler(server, &[])?, stage::pooler(server, &[])?);
    let front = relay(&[old.port(), other.port()], &["option redispatch"])?;
    let service = Service { lifetime, ..Service::at(front.port()) };
    let fleet = Fleet::start(program, &service, PROCESSES)?;
    sleep(CALM);
    let before = clients(&old)?;
    front.command("set server tcp/server0 state drain")?;
    let limit = Duration::from_secs(if lifetime == SHORT { 30 } else { 5 });
    let took = until(limit, || Ok(clients(&old)? == 0))?;
    old.restart()?;
    front.command("set server tcp/server0 state ready")?;
    sleep(CALM);
    let requests = fleet.stop()?;
    Ok(RollOut {
        lifetime,
        before,
        took,
        requests: requests.count(),
        errors: requests.errors(),
    })
}

/// How many clients of the service a PgBouncer has.
fn clients(proxy: &PgBouncer) -> Result<usize, AnyError> {
    let listed = proxy.console("SHOW CLIENTS")?;
    let name = format!("|{}|", super::service::ROLE);
    Ok(listed.lines().filter(|line| line.contains(&name)).count())
}

/// How statements get along with a pooler that does not know prepared ones.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// How the statement is sent.
    pub statement: Statement,
    /// Whether the manager knows of the pooler.
    pub knows_pooler: bool,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed.
    pub errors: usize,
    /// What was said most.
    pub reason: String,
}

impl Row for Prepared {
    const TEXTS: usize = 2;
    const HEADER: &'static [&'static str] =
        &["statement", "`behind_transaction_pooler()`", "errors", "most frequent"];

    fn cells(&self) -> Vec<String> {
        let statement = match self.statement {
            Statement::Prepared => "`prepare_cached`",
            Statement::InTransaction => "`prepare_cached` in a transaction",
            Statement::DroppedInTransaction => {
                "the same, statement and row dropped before the commit"
            }
            Statement::Typed | Statement::GivenUp => "`query_typed`",
        };
        vec![
            statement.to_owned(),
            if self.knows_pooler { "yes" } else { "no" }.to_owned(),
            errors(self.errors, self.requests),
            // The name has the number of the statement, which differs from run to run.
            if self.errors == 0 {
                "none".to_owned()
            } else {
                format!("`{}`", said(&self.reason))
            },
        ]
    }
}

/// What the server or the pooler says in an error, without the numbers of statements.
fn said(reason: &str) -> String {
    let sentence = ["ERROR: ", "FATAL: "]
        .iter()
        .find_map(|mark| Some(reason.rsplit_once(mark)?.1))
        .unwrap_or(reason);
    let sentence = sentence.split(": read more").next().unwrap_or(sentence);
    let words = sentence
        .split(' ')
        .map(|word| if word.starts_with("\"s") { "\"s..\"" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The same load with prepared statements and without, with fewer server connections than clients.
///
/// # Errors
///
/// The servers do not start.
pub fn prepared(program: &Path) -> Result<Vec<Prepared>, AnyError> {
    let server = server(&[])?;
    let cases = [
        (Statement::Prepared, false),
        (Statement::Prepared, true),
        (Statement::Typed, true),
        (Statement::InTransaction, true),
        (Statement::DroppedInTransaction, true),
    ];
    let mut rows = Vec::new();
    for (statement, knows_pooler) in cases {
        // For each case its own, so that no statement of an earlier one is left.
        let proxy = stage::pooler(&server, &[("default_pool_size", "3")])?;
        let service =
            Service { statement, knows_pooler, ..Service::at(proxy.port()) };
        let fleet = Fleet::start(program, &service, PROCESSES)?;
        sleep(4 * CALM);
        let requests = fleet.stop()?;
        drop(proxy);
        until(Duration::from_secs(10), || Ok(backends(&server)? == 0))?
            .ok_or("the pooler has left something")?;
        rows.push(Prepared {
            statement,
            knows_pooler,
            requests: requests.count(),
            errors: requests.errors(),
            reason: requests.reason().map(|(text, _)| text).unwrap_or_default(),
        });
    }
    Ok(rows)
}
