//! Behind HAProxy, in front of three servers: one of them dies, freezes, returns, drains.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use test_servers::{HaProxy, Postgres};

use super::fleet::{Fleet, Requests};
use super::report::{Row, errors, millis, seconds};
use super::service::Service;
use super::stage::{backends, relay, server, until};
use super::{POOL, PROCESSES, now};
use crate::contestants::AnyError;

/// Time for all connections of a short lifetime to be opened anew.
const SETTLED: Duration = Duration::from_secs(5);
/// How many servers there are.
pub const SERVERS: usize = 3;
/// Load before and after what is done.
const CALM: Duration = Duration::from_millis(500);
/// How long a server is frozen or down. Longer than the pool's `reset_timeout`, after which it connects anew.
pub const FAULT: Duration = Duration::from_secs(10);
/// How long callers wait for an answer while a server is frozen.
const LIMIT: Duration = Duration::from_secs(4);
/// How often a fault that the machine has disturbed is tried again.
const MOST_RUNS: usize = 4;
/// How long connections live that are to move.
pub const SHORT: Duration = Duration::from_secs(2);

/// How HAProxy finds out that a server is bad, and what it does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It connects.
    Connects,
    /// `option pgsql-check`: it waits for PostgreSQL's first answer.
    Asks,
    /// The same with `on-marked-down shutdown-sessions`.
    AsksAndCuts,
}

impl Check {
    fn settings(self) -> &'static [&'static str] {
        const ASKS: &str = "option pgsql-check user postgres";
        const FAST: &str = "timeout check 300ms";
        match self {
            Self::Connects => &["option redispatch"],
            Self::Asks => &["option redispatch", ASKS, FAST],
            Self::AsksAndCuts => &[
                "option redispatch",
                ASKS,
                FAST,
                "default-server on-marked-down shutdown-sessions",
            ],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Connects => "`check` alone: it connects",
            Self::Asks => "`option pgsql-check`",
            Self::AsksAndCuts => "the same, `on-marked-down shutdown-sessions`",
        }
    }
}

/// A server that goes servers[0].
#[derive(Debug, Clone)]
pub struct Death {
    /// Frozen, not stopped.
    pub frozen: bool,
    /// How HAProxy looks.
    pub check: Check,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed.
    pub errors: usize,
    /// How many failed that began three seconds after the fault or later.
    pub late_errors: usize,
    /// The longest that an error took.
    pub slowest_error: Duration,
    /// How many connections of the service worked at the end of the fault: those to the servers that are well.
    pub connections: usize,
    /// What was said most.
    pub reason: String,
    /// HAProxy took a healthy server for dead: on a busy machine its answer to a check came late.
    pub disturbed: bool,
}

impl Row for Death {
    const TEXTS: usize = 2;
    const HEADER: &'static [&'static str] = &[
        "server",
        "HAProxy's check",
        "errors",
        "3 s later",
        "slowest error",
        "connections at the end",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            if self.frozen { "frozen" } else { "stopped" }.to_owned(),
            self.check.name().to_owned(),
            errors(self.errors, self.requests),
            self.late_errors.to_string(),
            millis(self.slowest_error),
            format!("{} of {}", self.connections, PROCESSES * POOL),
        ]
    }
}

/// One of three servers is stopped, or frozen, for a while.
///
/// # Errors
///
/// The servers do not start.
pub fn deaths(program: &Path, fault: Duration) -> Result<Vec<Death>, AnyError> {
    let mut servers = servers()?;
    let cases = [
        (false, Check::Connects),
        (true, Check::Connects),
        (true, Check::Asks),
        (true, Check::AsksAndCuts),
    ];
    let mut deaths = Vec::new();
    for (frozen, check) in cases {
        let mut runs = 0;
        deaths.push(loop {
            let death = death(program, &mut servers, (frozen, fault), check)?;
            runs += 1;
            // Two servers were taken away then, which says nothing about one.
            if !death.disturbed || runs == MOST_RUNS {
                break death;
            }
        });
    }
    Ok(deaths)
}

fn death(
    program: &Path,
    servers: &mut [Postgres],
    (frozen, fault): (bool, Duration),
    check: Check,
) -> Result<Death, AnyError> {
    let service = |port| Service { deadline: LIMIT, ..Service::at(port) };
    let (proxy, fleet) = under_load(program, servers, check.settings(), service)?;
    let began = now();
    if frozen {
        servers[0].freeze()?;
    } else {
        servers[0].stop()?;
    }
    sleep(fault);
    let connections = backends(&servers[1])? + backends(&servers[2])?;
    let requests = fleet.stop()?;
    let disturbed = (1..SERVERS)
        .map(|server| times_down(&proxy, server))
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .any(|times| *times > 0);
    if frozen {
        servers[0].thaw()?;
    } else {
        servers[0].resume()?;
    }
    drop(proxy);
    let late = began + Duration::from_secs(3);
    Ok(Death {
        frozen,
        check,
        requests: requests.count(),
        errors: requests.errors(),
        late_errors: requests.errors_after(late),
        slowest_error: requests.slowest_error(),
        connections,
        reason: requests.reason().map(|(text, _)| text).unwrap_or_default(),
        disturbed,
    })
}

/// How often HAProxy has taken a server for dead.
fn times_down(proxy: &HaProxy, server: usize) -> Result<u64, AnyError> {
    let statistics = proxy.statistics()?;
    let line =
        |begin: &str| statistics.lines().find(|line| line.starts_with(begin));
    let column = line("# pxname,")
        .and_then(|names| names.split(',').position(|name| name == "chkdown"));
    let values = line(&format!("tcp,server{server},"));
    let times = column.and_then(|column| values?.split(',').nth(column));
    Ok(times.ok_or("HAProxy's statistics have no column `chkdown`")?.parse()?)
}

/// What moves connections to a server that is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Nothing: they live for an hour.
    Nothing,
    /// A short `max_lifetime`.
    Lifetime,
    /// The same, and `balance leastconn`.
    LifetimeAndLeast,
    /// `invalidate_all_over`.
    Renewal,
}

impl Moves {
    const ALL: [Self; 4] =
        [Self::Nothing, Self::Lifetime, Self::LifetimeAndLeast, Self::Renewal];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "`max_lifetime` 1 h, `roundrobin`",
            Self::Lifetime => "`max_lifetime` 2 s, `roundrobin`",
            Self::LifetimeAndLeast => "`max_lifetime` 2 s, `leastconn`",
            Self::Renewal => "1 h, `invalidate_all_over(2 s)`, `leastconn`",
        }
    }

    fn lifetime(self) -> Duration {
        match self {
            Self::Lifetime | Self::LifetimeAndLeast => SHORT,
            Self::Nothing | Self::Renewal => Service::at(0).lifetime,
        }
    }
}

/// A server that was down and is back.
#[derive(Debug, Clone)]
pub struct Return {
    /// What moves connections to it.
    pub moves: Moves,
    /// How many connections each server had before, while the first one was down, and two lifetimes after its return.
    pub connections: [[usize; SERVERS]; 3],
    /// How many requests of the last second it answered, in percent.
    pub share: usize,
}

impl Row for Return {
    const HEADER: &'static [&'static str] = &[
        "connections live for",
        "before",
        "while down",
        "5 s after the return",
        "its share of requests",
    ];

    fn cells(&self) -> Vec<String> {
        let split = |counts: [usize; SERVERS]| {
            counts.map(|count| count.to_string()).join(" + ")
        };
        let [before, down, after] = self.connections.map(split);
        vec![
            self.moves.name().to_owned(),
            before,
            down,
            after,
            format!("{} %", self.share),
        ]
    }
}

/// One of three servers is stopped, and returns.
///
/// # Errors
///
/// The servers do not start.
pub fn returns(program: &Path) -> Result<Vec<Return>, AnyError> {
    let mut servers = servers()?;
    Moves::ALL
        .into_iter()
        .map(|moves| returned(program, &mut servers, moves))
        .collect()
}

fn returned(
    program: &Path,
    servers: &mut [Postgres],
    moves: Moves,
) -> Result<Return, AnyError> {
    let balance = if matches!(moves, Moves::Nothing | Moves::Lifetime) {
        "balance roundrobin"
    } else {
        "balance leastconn"
    };
    let settings = [Check::Asks.settings(), &[balance]].concat();
    let service =
        |port| Service { lifetime: moves.lifetime(), ..Service::at(port) };
    let (proxy, mut fleet) = under_load(program, servers, &settings, service)?;
    let before = split(servers)?;
    servers[0].stop()?;
    sleep(Duration::from_millis(1500));
    let mut down = [0; SERVERS];
    for (count, server) in down.iter_mut().zip(&*servers).skip(1) {
        *count = backends(server)?;
    }
    servers[0].resume()?;
    let is_up = || {
        Ok(proxy
            .statistics()?
            .lines()
            .any(|line| line.starts_with("tcp,server0,") && line.contains(",UP,")))
    };
    until(Duration::from_secs(5), is_up)?
        .ok_or("HAProxy does not see that the server is back")?;
    if moves == Moves::Renewal {
        fleet.tell(&format!("renew {}", SHORT.as_millis()))?;
    }
    sleep(SETTLED);
    let after = split(servers)?;
    let last_second = now() - Duration::from_secs(1);
    let requests = fleet.stop()?;
    let share = share(&requests, last_second, servers[0].port());
    Ok(Return { moves, connections: [before, down, after], share })
}

fn share(requests: &Requests, since: Duration, port: u16) -> usize {
    let answered = requests.all.iter().filter(|request| request.began >= since);
    let ports: Vec<u16> =
        answered.filter_map(|request| request.outcome.clone().ok()).collect();
    100 * ports.iter().filter(|other| **other == port).count() / ports.len().max(1)
}

/// What empties a server that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empties {
    /// Nothing: connections live for an hour.
    Nothing,
    /// A short `max_lifetime`.
    Lifetime,
    /// `invalidate_all_over`.
    Renewal,
    /// HAProxy's `shutdown sessions server`.
    Cut,
}

impl Empties {
    const ALL: [Self; 4] =
        [Self::Nothing, Self::Lifetime, Self::Renewal, Self::Cut];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing: `max_lifetime` 1 h",
            Self::Lifetime => "`max_lifetime` 2 s",
            Self::Renewal => "1 h, `invalidate_all_over(2 s)`",
            Self::Cut => "1 h, HAProxy's `shutdown sessions server`",
        }
    }
}

/// A server that is taken out.
#[derive(Debug, Clone)]
pub struct Drain {
    /// What empties it.
    pub empties: Empties,
    /// Its connections when it begins to drain.
    pub before: usize,
    /// Those that are left then.
    pub left: usize,
    /// How long it took until none was left.
    pub took: Option<Duration>,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed while it drained.
    pub errors: usize,
    /// How many failed when it was stopped then.
    pub errors_of_stop: usize,
}

impl Row for Drain {
    const HEADER: &'static [&'static str] = &[
        "what empties the server",
        "connections before",
        "left",
        "empty after",
        "errors in the drain",
        "errors of the stop",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.empties.name().to_owned(),
            self.before.to_string(),
            self.left.to_string(),
            seconds(self.took),
            self.errors.to_string(),
            self.errors_of_stop.to_string(),
        ]
    }
}

/// One of three servers is drained by `set server state drain`, and stopped.
///
/// # Errors
///
/// The servers do not start.
pub fn drains(program: &Path) -> Result<Vec<Drain>, AnyError> {
    let mut servers = servers()?;
    Empties::ALL
        .into_iter()
        .map(|empties| drain(program, &mut servers, empties))
        .collect()
}

fn drain(
    program: &Path,
    servers: &mut [Postgres],
    empties: Empties,
) -> Result<Drain, AnyError> {
    let lifetime =
        if empties == Empties::Lifetime { SHORT } else { Service::at(0).lifetime };
    let service = |port| Service { lifetime, ..Service::at(port) };
    let (proxy, mut fleet) =
        under_load(program, servers, Check::Asks.settings(), service)?;
    let before = backends(&servers[0])?;
    proxy.command("set server tcp/server0 state drain")?;
    match empties {
        Empties::Nothing | Empties::Lifetime => {}
        Empties::Renewal => fleet.tell(&format!("renew {}", SHORT.as_millis()))?,
        Empties::Cut => {
            drop(proxy.command("shutdown sessions server tcp/server0")?);
        }
    }
    // Nothing happens in the first case. In the others a busy machine may take longer than a lifetime.
    let limit =
        Duration::from_secs(if empties == Empties::Nothing { 5 } else { 30 });
    let took = until(limit, || Ok(backends(&servers[0])? == 0))?;
    let left = backends(&servers[0])?;
    let stopped = now();
    servers[0].stop()?;
    sleep(CALM);
    let requests = fleet.stop()?;
    servers[0].resume()?;
    // What began before the stop and ended after it fails because of it.
    let failed = |request: &&super::fleet::Request| request.outcome.is_err();
    let by_stop = requests
        .all
        .iter()
        .filter(failed)
        .filter(|request| request.ended >= stopped)
        .count();
    Ok(Drain {
        empties,
        before,
        left,
        took,
        requests: requests.count(),
        errors: requests.errors() - by_stop,
        errors_of_stop: by_stop,
    })
}

fn servers() -> Result<Vec<Postgres>, AnyError> {
    (0..SERVERS).map(|_| Ok(server(&[])?)).collect()
}

fn split(servers: &[Postgres]) -> Result<[usize; SERVERS], AnyError> {
    let mut counts = [0; SERVERS];
    for (count, server) in counts.iter_mut().zip(servers) {
        *count = backends(server)?;
    }
    Ok(counts)
}

/// A new HAProxy with processes behind it that are at work, once the servers have forgotten earlier ones.
fn under_load(
    program: &Path,
    servers: &[Postgres],
    settings: &[&str],
    service: impl Fn(u16) -> Service,
) -> Result<(HaProxy, Fleet), AnyError> {
    until(Duration::from_secs(10), || {
        Ok(split(servers)?.iter().sum::<usize>() == 0)
    })?
    .ok_or("connections of an earlier case are left")?;
    let ports: Vec<u16> = servers.iter().map(Postgres::port).collect();
    let proxy = relay(&ports, settings)?;
    let fleet = Fleet::start(program, &service(proxy.port()), PROCESSES)?;
    let all = PROCESSES * POOL;
    until(Duration::from_secs(10), || {
        Ok(split(servers)?.iter().sum::<usize>() == all)
    })?
    .ok_or("the pools are not full")?;
    sleep(CALM);
    Ok((proxy, fleet))
}
