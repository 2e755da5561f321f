//! When the connections of a fleet end that were opened together: without jitter, with jitter that is drawn anew at each
//! look, and with jitter drawn at birth.
//!
//! The pool draws its jitter at birth and can do nothing else. The policy that draws anew is played here by a loop over
//! the ages of as many connections.

use std::time::Duration;

use poolhouse::PoolConfig;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::sim::{Dialer, Draws, in_virtual_time, mins, ms, pool, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "lifetime.json";

const POOLS: usize = 10;
const EACH: usize = 20;
const LIFETIME: Duration = mins(30);
const HOURS: usize = 4;
/// How often the policy that draws anew looks at each connection: once a second it comes back to a busy pool.
const LOOK: u64 = 1;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// How many pools are opened together.
    pub pools: usize,
    /// The connections of each.
    pub each: usize,
    /// `max_lifetime`, in minutes.
    pub lifetime_minutes: f64,
    /// One policy each.
    pub policies: Vec<Policy>,
}

/// How the end of a lifetime is spread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Policy {
    /// In words.
    pub name: String,
    /// The share of the lifetime that jitter may take off.
    pub jitter: f64,
    /// Connects in each minute, from the one in which everything is opened.
    pub per_minute: Vec<usize>,
    /// The most in a minute, after that first one.
    pub peak: usize,
    /// Seconds from the first connect of the first wave to its last.
    pub first_wave_seconds: f64,
    /// Connects in an hour, after the first minute.
    pub per_hour: f64,
}

pub(crate) fn run() -> Data {
    let policies = vec![
        policy("no jitter", 0.0, &real(0.0)),
        policy("0.1, drawn anew at each look", 0.1, &drawn_anew(0.1)),
        policy("0.1, drawn at birth", 0.1, &real(0.1)),
        policy("0.5, drawn at birth", 0.5, &real(0.5)),
    ];
    Data { pools: POOLS, each: EACH, lifetime_minutes: LIFETIME.as_secs_f64() / 60.0, policies }
}

/// Births in milliseconds from the start, of the real pools.
fn real(jitter: f64) -> Vec<u64> {
    in_virtual_time(600, async {
        let start = Instant::now();
        let mut pools = Vec::new();
        for _ in 0..POOLS {
            let dialer = Dialer::new(ms(50));
            let config = PoolConfig {
                min_connections: EACH,
                max_connections: EACH + 5,
                max_lifetime: LIFETIME,
                lifetime_jitter: jitter,
                max_connecting: EACH,
                health_check_interval: Duration::MAX,
                ..PoolConfig::default()
            };
            let pool = pool(&dialer, config);
            pool.warm_up().await.expect("nothing refuses");
            pools.push((pool, dialer));
        }
        sleep_until(start + mins(60) * HOURS as u32).await;
        let births = pools.iter().flat_map(|(_, dialer)| dialer.births());
        births.map(|at| (at - start).as_millis() as u64).collect()
    })
}

/// The same of a policy that asks for each connection, at each look, whether it is older than a lifetime with a jitter
/// of this moment.
fn drawn_anew(jitter: f64) -> Vec<u64> {
    let mut draws = Draws::new(601);
    let mut births = vec![0; POOLS * EACH];
    let mut current = births.clone();
    let lifetime = LIFETIME.as_secs_f64();
    for now in (0..HOURS as u64 * 3600).step_by(LOOK as usize) {
        for born in &mut current {
            let age = (now - *born / 1000) as f64;
            if age > lifetime * (1.0 - jitter) && age > lifetime * (1.0 - jitter * draws.share()) {
                *born = now * 1000;
                births.push(*born);
            }
        }
    }
    births
}

fn policy(name: &str, jitter: f64, births: &[u64]) -> Policy {
    let mut per_minute = vec![0; HOURS * 60];
    for born in births {
        if let Some(minute) = per_minute.get_mut((born / 60_000) as usize) {
            *minute += 1;
        }
    }
    let mut later: Vec<u64> = births.iter().copied().filter(|born| *born >= 60_000).collect();
    later.sort_unstable();
    let wave = &later[..POOLS * EACH];
    Policy {
        name: name.to_owned(),
        jitter,
        peak: per_minute[1..].iter().copied().max().unwrap_or_default(),
        first_wave_seconds: round((wave[wave.len() - 1] - wave[0]) as f64 / 1e3, 0),
        per_hour: round(later.len() as f64 / HOURS as f64, 0),
        per_minute,
    }
}
