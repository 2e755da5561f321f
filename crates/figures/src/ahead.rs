//! Where a peer is ahead: every metric of every scenario in which a peer's figure is better than poolhouse's.
//!
//! A peer is a pool of another crate. Baselines and floors lack what a pool is for, and are there to be cheaper. A metric
//! that is another one divided by that of a floor would name everybody twice.

use crate::Result;
use crate::data::{Bench, Kind, Summary};
use crate::format::{count, name, times, wrap};
use crate::metrics::Metric;
use crate::tables::{head, row};

pub(crate) fn table(bench: &Bench) -> Result<String> {
    let mut rows = String::new();
    for scenario in &bench.scenarios {
        let ours = scenario
            .results
            .iter()
            .find(|outcome| outcome.competitor == "poolhouse")
            .ok_or_else(|| format!("{} has no poolhouse in {}", crate::BENCH, scenario.id))?;
        for id in &scenario.metrics {
            let metric = Metric::named(id)?;
            let Some(our) = ours.metrics.get(id).filter(|_| !metric.derived) else { continue };
            for (competitor, outcome) in bench.ranked(scenario) {
                let Some(their) = outcome.metrics.get(id) else { continue };
                let ratio = outcome.to_poolhouse.get(id).copied();
                let is_peer = competitor.kind == Kind::Pool && !competitor.id.starts_with("poolhouse");
                if is_peer && metric.is_ahead(*their, *our, ratio) {
                    let spread = |ratio: Summary| {
                        format!("{} ({} to {})", times(ratio.median), times(ratio.low), times(ratio.high))
                    };
                    rows += &row(&[
                        format!("{}, {}", scenario.id, metric.name),
                        name(competitor),
                        count(their.median),
                        count(our.median),
                        ratio.map_or_else(String::new, spread),
                    ]);
                }
            }
        }
    }
    if rows.is_empty() {
        return Ok(wrap("None: in no column is the median of a peer better than poolhouse's."));
    }
    let header = ["scenario, metric", "peer", "its median", "poolhouse's", "ratio (10th to 90th percentile)"];
    let from =
        wrap(&format!("A ratio whose percentiles lie on both sides of 1 may be noise. `{}`", bench.command));
    Ok(format!("{}{rows}\n{from}", head(&header.map(str::to_owned))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_peer_that_is_ahead_is_listed_and_nobody_else() {
        let mut bench = sample::bench();
        // Everything of the peer doubles, and for `speedup` more is better.
        let text = table(&bench).unwrap();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| S")).collect();
        assert_eq!(rows, ["| S2, speedup | bb8 | 200 | 100 | 2.00× (2.00× to 2.00×) |"]);
        let s2 = bench.scenarios.iter_mut().find(|scenario| scenario.id == "S2").unwrap();
        s2.metrics.retain(|metric| metric != "speedup");
        assert!(table(&bench).unwrap().starts_with("None"));
    }
}
