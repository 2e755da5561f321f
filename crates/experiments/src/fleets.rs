//! Many pools against one server with a limit, through a rolling deploy.

use pool_lab::Outcome;
use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "fleets.json";

const LIMIT: u64 = 100;
const REPLICAS: usize = 8;
const BOOT: f64 = 5.0;
const DRAIN: f64 = 30.0;
/// Requests in a second at each replica, and how many milliseconds each holds.
const RATE: f64 = 20.0;
const HOLD: f64 = 100.0;
/// Seconds until what the pools open on demand has settled. The deploy begins ten seconds later.
const SETTLED: u64 = 30;
const WATCHED: u64 = 150;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Connections that the server accepts.
    pub limit: u64,
    /// Replicas in service.
    pub replicas: usize,
    /// Seconds that a new replica takes to start.
    pub boot_seconds: f64,
    /// Seconds that an old replica takes to end.
    pub drain_seconds: f64,
    /// Connections that a replica holds on average: its rate of requests times their hold.
    pub held: f64,
    /// One deploy each.
    pub deploys: Vec<Deploy>,
}

/// One deploy.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deploy {
    /// In words.
    pub name: String,
    /// Its scenario.
    pub knobs: String,
    /// `max_connections` of each replica.
    pub pool: usize,
    /// How many new replicas start at a time.
    pub surge: usize,
    /// The most replicas that were alive at once, ending ones included.
    pub most_replicas: usize,
    /// The most connections that the server had open.
    pub peak_open: u64,
    /// Connects that the server refused.
    pub refused: u64,
    /// Requests that got no connection.
    pub failed: usize,
    /// All requests.
    pub requests: usize,
    /// Seconds from the start of the deploy until the last new replica was ready. `None` if that never was.
    pub took_seconds: Option<f64>,
    /// Open connections at the server, each second from ten seconds before the deploy.
    pub series: Vec<u64>,
}

/// The size of the pools, the surge, and all knobs that say more.
type Plan = (&'static str, usize, usize, &'static str);

const PLANS: [Plan; 6] = [
    ("pools of 10, one at a time", 10, 1, "min_connections=10"),
    ("the same, and each old replica closes its pool early", 10, 1, "min_connections=10&ending=closes"),
    ("pools of 10, all at once", 10, REPLICAS, "min_connections=10"),
    ("the same, ready before the pool is warm", 10, REPLICAS, "min_connections=10&warm=no"),
    ("pools of 1 to 10, all at once", 10, REPLICAS, "min_connections=1"),
    ("pools of 5, by the budget, all at once", 5, REPLICAS, "min_connections=5"),
];

pub(crate) fn run() -> Data {
    Data {
        limit: LIMIT,
        replicas: REPLICAS,
        boot_seconds: BOOT,
        drain_seconds: DRAIN,
        held: RATE * HOLD / 1e3,
        deploys: PLANS.map(deploy).into(),
    }
}

fn deploy((name, pool, surge, more): Plan) -> Deploy {
    let knobs = format!(
        "fault=deploy&replicas={REPLICAS}&surge={surge}&boot={BOOT}&fault_for={DRAIN}&fault_at={}&rate={}\
         &holds=constant&hold={HOLD}&server_limit={LIMIT}&connection_timeout=1000&health_check_interval=0\
         &warm_up={SETTLED}&duration={}&max_connections={pool}&{more}&seed=700",
        SETTLED + 10,
        RATE * REPLICAS as f64,
        SETTLED + WATCHED
    );
    let run = lab(&knobs);
    let figures = &run.figures;
    let open = |second: u64| run.frame_at(second * 1000).map_or(0, |frame| frame.idle + frame.held) as u64;
    Deploy {
        name: name.to_owned(),
        knobs,
        pool,
        surge,
        most_replicas: figures.most_replicas,
        peak_open: figures.most_open as u64,
        refused: figures.refused_connects,
        failed: figures.requests() - figures.count(Outcome::Served),
        requests: figures.requests(),
        took_seconds: figures.deploy_took.map(|took| round(took as f64 / 1e3, 0)),
        series: (SETTLED..SETTLED + WATCHED).map(open).collect(),
    }
}
