//! When the connections of a fleet end that were opened together: without jitter, with jitter that is drawn anew at each
//! look, and with jitter drawn at birth.
//!
//! The pool draws its jitter at birth and can do nothing else. The policy that draws anew is played here by a loop over
//! the ages of as many connections.

use pool_lab::Draws;
use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "lifetime.json";

const POOLS: usize = 10;
const EACH: usize = 20;
/// Seconds.
const LIFETIME: usize = 30 * 60;
const HOURS: usize = 4;
/// How often the policy that draws anew looks at each connection: once a second it comes back to a busy pool.
const LOOK: u64 = 1;
/// Milliseconds in which the lab opens the pools one after another, before its time begins. Here they count.
const OPENING: u64 = 500;

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
    /// Its scenario, unless it is no pool's policy.
    pub knobs: Option<String>,
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
        real("no jitter", 0.0),
        policy("0.1, drawn anew at each look", 0.1, None, &drawn_anew(0.1)),
        real("0.1, drawn at birth", 0.1),
        real("0.5, drawn at birth", 0.5),
    ];
    Data { pools: POOLS, each: EACH, lifetime_minutes: LIFETIME as f64 / 60.0, policies }
}

/// The real pools, which hardly anybody uses. There is room for replacements.
fn real(name: &str, jitter: f64) -> Policy {
    let knobs = format!(
        "replicas={POOLS}&min_connections={EACH}&max_connections={}&max_lifetime={}&lifetime_jitter={jitter}\
         &max_connecting={EACH}&connect=50&health_check_interval=0&rate=0.1&hold=1&duration={}&seed=600",
        EACH + 5,
        LIFETIME * 1000,
        HOURS * 3600
    );
    let births: Vec<u64> = lab(&knobs).lives.iter().map(|life| life.opened + OPENING).collect();
    policy(name, jitter, Some(knobs), &births)
}

/// Births in milliseconds from the start, by a policy that asks for each connection, at each look, whether it is older
/// than a lifetime with a jitter of this moment.
fn drawn_anew(jitter: f64) -> Vec<u64> {
    let mut draws = Draws::new(601, 0);
    let mut births = vec![0; POOLS * EACH];
    let mut current = births.clone();
    let lifetime = LIFETIME as f64;
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

fn policy(name: &str, jitter: f64, knobs: Option<String>, births: &[u64]) -> Policy {
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
        knobs,
        jitter,
        peak: per_minute[1..].iter().copied().max().unwrap_or_default(),
        first_wave_seconds: round((wave[wave.len() - 1] - wave[0]) as f64 / 1e3, 0),
        per_hour: round(later.len() as f64 / HOURS as f64, 0),
        per_minute,
    }
}
