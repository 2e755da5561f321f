//! What poolhouse has to reach. A run says for each whether it did; whether a target is missed for good or by a busy
//! machine is for its reader to say, so nothing fails.

use std::fmt;

use serde::Serialize;

use crate::result::CompetitorResult;

/// The fair peer: it has a deadline and looks at the connection, as poolhouse does.
const PEER: &str = "deadpool-timeout";

/// A peer's figure is at least so many times that of poolhouse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    pub metric: &'static str,
    pub peer: &'static str,
    pub at_least: f64,
}

const ALL: [(&str, &str, f64); 7] = [
    ("S1", "ns_per_op", 2.5),
    ("S2", "ns_per_op", 3.0),
    ("S3", "ns_per_op", 1.5),
    ("S4", "ns_per_op", 1.5),
    ("S5", "us_per_op", 1.0),
    ("S5", "cpu_us_per_op", 1.0),
    ("S11", "ns_per_op", 1.0),
];

/// The targets of a scenario.
pub fn of(scenario: &str) -> Vec<Target> {
    ALL.into_iter()
        .filter(|(id, ..)| *id == scenario)
        .map(|(_, metric, at_least)| Target { metric, peer: PEER, at_least })
        .collect()
}

impl Target {
    /// What the results say of it; nothing if one of the two did not run.
    pub fn reached(&self, results: &[CompetitorResult]) -> Option<f64> {
        let peer = results.iter().find(|result| result.competitor == self.peer)?;
        Some(peer.to_poolhouse.get(self.metric)?.median)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, peer, at_least } = self;
        if *at_least == 1.0 {
            write!(f, "{metric}: at least as fast as {peer}")
        } else {
            write!(f, "{metric}: at least {at_least} times as fast as {peer}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;
    use crate::stats::Summary;

    #[test]
    fn every_target_is_of_a_scenario() {
        for (id, ..) in ALL {
            assert!(scenarios::ids().contains(&id), "{id}");
        }
        assert_eq!(of("S5").len(), 2);
        assert!(of("S6").is_empty());
    }

    #[test]
    fn a_target_compares_with_the_peer() {
        let target = of("S1")[0];
        let mut peer = CompetitorResult::only_note(PEER, "");
        assert_eq!(target.reached(&[]), None, "the peer did not run");
        assert_eq!(target.reached(std::slice::from_ref(&peer)), None, "poolhouse did not run");
        peer.to_poolhouse.insert("ns_per_op", Summary { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(target.reached(&[peer]), Some(2.0));
        assert_eq!(target.to_string(), "ns_per_op: at least 2.5 times as fast as deadpool-timeout");
    }
}
