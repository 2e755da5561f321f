//! Statements that the server still runs when nobody waits for them: the caller has hung up, or its process is gone.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use test_servers::{HaProxy, PgBouncer, Postgres};

use super::fleet::Fleet;
use super::report::Row;
use super::service::{ROLE, Service, Statement};
use super::stage::{self, at_work, relay, server, until};
use crate::contestants::AnyError;

/// How many statements are given up.
pub const STATEMENTS: usize = 12;
/// PgBouncer needs as many server connections.
const ENOUGH: (&str, &str) = ("default_pool_size", "30");
/// The setting of PostgreSQL that has it look for its client while it works.
const LOOKS: (&str, &str) = ("client_connection_check_interval", "500ms");
/// Time for everything that is to happen after callers have hung up.
const AFTER: Duration = Duration::from_secs(3);

/// What is between the service and the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing.
    Direct,
    /// One PgBouncer.
    Pooler,
    /// Two PgBouncers on one port, by `so_reuseport`.
    TwoPoolersOnOnePort,
    /// An HAProxy in front of two PgBouncers.
    RelayAndPoolers,
    /// An HAProxy in front of three servers.
    Relay,
    /// The same with `balance source`: a client's connections all lead to one server.
    RelayBySource,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Pooler,
        Self::TwoPoolersOnOnePort,
        Self::RelayAndPoolers,
        Self::Relay,
        Self::RelayBySource,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "nothing",
            Self::Pooler => "a PgBouncer",
            Self::TwoPoolersOnOnePort => {
                "two PgBouncers on one port (`so_reuseport`)"
            }
            Self::RelayAndPoolers => "HAProxy, then two PgBouncers",
            Self::Relay => "HAProxy, then three servers",
            Self::RelayBySource => "the same, `balance source`",
        }
    }

    fn knows_pooler(self) -> bool {
        matches!(
            self,
            Self::Pooler | Self::TwoPoolersOnOnePort | Self::RelayAndPoolers
        )
    }
}

/// Everything of a way, in the order in which it ends.
#[derive(Default)]
struct Stage {
    relay: Option<HaProxy>,
    poolers: Vec<PgBouncer>,
    servers: Vec<Postgres>,
}

impl Stage {
    fn new(way: Way, settings: &[(&str, &str)]) -> Result<Self, AnyError> {
        let count =
            if matches!(way, Way::Relay | Way::RelayBySource) { 3 } else { 1 };
        let mut stage = Self::default();
        for _ in 0..count {
            stage.servers.push(server(settings)?);
        }
        let first = &stage.servers[0];
        match way {
            Way::Direct | Way::Relay | Way::RelayBySource => {}
            Way::Pooler => stage.poolers.push(stage::pooler(first, &[ENOUGH])?),
            Way::RelayAndPoolers => {
                stage.poolers.push(stage::pooler(first, &[ENOUGH])?);
                stage.poolers.push(stage::pooler(first, &[ENOUGH])?);
            }
            Way::TwoPoolersOnOnePort => {
                let settings = [ENOUGH, ("so_reuseport", "1")];
                let one = stage::pooler(first, &settings)?;
                let two = one.beside(first, &[(ROLE, "secret")], &settings)?;
                stage.poolers.extend([one, two]);
            }
        }
        let poolers: Vec<u16> = stage.poolers.iter().map(PgBouncer::port).collect();
        let servers: Vec<u16> = stage.servers.iter().map(Postgres::port).collect();
        stage.relay = match way {
            Way::RelayAndPoolers => Some(relay(&poolers, &[])?),
            Way::Relay => Some(relay(&servers, &[])?),
            Way::RelayBySource => Some(relay(&servers, &["balance source"])?),
            _ => None,
        };
        Ok(stage)
    }

    /// Where the service connects.
    fn port(&self) -> u16 {
        let relay = self.relay.as_ref().map(HaProxy::port);
        let pooler = self.poolers.first().map(PgBouncer::port);
        relay.or(pooler).unwrap_or_else(|| self.servers[0].port())
    }

    /// How many cancel requests came to somebody who did not know what they were for: so say the logs of PgBouncer, and of
    /// PostgreSQL.
    fn lost_cancels(&self) -> usize {
        let poolers = self
            .poolers
            .iter()
            .map(|pooler| pooler.log().matches("failed cancel request").count());
        let unknown = "in cancel request did not match any process";
        let servers =
            self.servers.iter().map(|server| server.log().matches(unknown).count());
        poolers.chain(servers).sum()
    }

    /// How many statements of the service run, on all servers.
    fn at_work(&self) -> Result<usize, AnyError> {
        self.servers.iter().map(at_work).sum()
    }
}

/// What has become of statements whose callers hung up.
#[derive(Debug, Clone)]
pub struct HungUp {
    /// What is between.
    pub way: Way,
    /// How many cancel requests reached a server, or a pooler, that did not know their statement.
    pub lost: usize,
    /// How many statements still ran three seconds later, of [`STATEMENTS`].
    pub still_run: usize,
}

impl Row for HungUp {
    const HEADER: &'static [&'static str] = &[
        "between the pool and the server",
        "cancel requests lost",
        "still running after 3 s",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.way.name().to_owned(),
            self.lost.to_string(),
            format!("{} of {STATEMENTS}", self.still_run),
        ]
    }
}

/// Each caller gives up its statement after 100 ms. The pool then asks the server to cancel it, over a connection of its
/// own.
///
/// # Errors
///
/// The servers do not start.
pub fn hung_up(program: &Path, ways: &[Way]) -> Result<Vec<HungUp>, AnyError> {
    let mut rows = Vec::new();
    for way in ways.iter().copied() {
        let stage = Stage::new(way, &[])?;
        let fleet = Fleet::start(program, &service(&stage, way), 1)?;
        sleep(AFTER);
        rows.push(HungUp {
            way,
            lost: stage.lost_cancels(),
            still_run: stage.at_work()?,
        });
        fleet.kill()?;
    }
    Ok(rows)
}

/// What has become of statements whose process was killed.
#[derive(Debug, Clone)]
pub struct Killed {
    /// What is between.
    pub way: Way,
    /// Whether the server looks for its client.
    pub server_looks: bool,
    /// How many statements still ran three seconds later, of [`STATEMENTS`].
    pub still_run: usize,
}

impl Row for Killed {
    const TEXTS: usize = 2;
    const HEADER: &'static [&'static str] = &[
        "between the process and the server",
        "`client_connection_check_interval`",
        "still running after 3 s",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.way.name().to_owned(),
            if self.server_looks { LOOKS.1 } else { "0, its default" }.to_owned(),
            format!("{} of {STATEMENTS}", self.still_run),
        ]
    }
}

/// The process is killed while its statements run.
///
/// # Errors
///
/// The servers do not start.
pub fn killed(program: &Path) -> Result<Vec<Killed>, AnyError> {
    let mut rows = Vec::new();
    for server_looks in [false, true] {
        for way in [Way::Direct, Way::Pooler, Way::Relay] {
            let settings: &[_] = if server_looks { &[LOOKS] } else { &[] };
            let stage = Stage::new(way, settings)?;
            // Nobody gives up: they wait for their statements when the process ends.
            let service = Service {
                statement: Statement::Typed,
                work: Duration::from_secs(60),
                deadline: Duration::from_secs(60),
                ..service(&stage, way)
            };
            let fleet = Fleet::start(program, &service, 1)?;
            until(Duration::from_secs(20), || Ok(stage.at_work()? == STATEMENTS))?
                .ok_or("the statements do not run")?;
            fleet.kill()?;
            sleep(AFTER);
            rows.push(Killed { way, server_looks, still_run: stage.at_work()? });
        }
    }
    Ok(rows)
}

fn service(stage: &Stage, way: Way) -> Service {
    Service {
        pool: STATEMENTS,
        tasks: STATEMENTS,
        statement: Statement::GivenUp,
        knows_pooler: way.knows_pooler(),
        deadline: Duration::from_secs(5),
        ..Service::at(stage.port())
    }
}
