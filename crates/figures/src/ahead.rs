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
    let mut clear = String::new();
    let mut doubtful = Vec::new();
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
                if !is_peer || !metric.is_ahead(*their, *our, ratio) {
                    continue;
                }
                let what = format!("{}, {}", scenario.id, metric.name);
                if let Some(ratio) = ratio.filter(|ratio| ratio.low <= 1.0 && 1.0 <= ratio.high) {
                    doubtful.push(format!("{what}: {} ({})", name(competitor), spread(ratio)));
                } else {
                    let (theirs, ours) = (count(their.median), count(our.median));
                    let ratio = ratio.map_or_else(String::new, spread);
                    clear += &row(&[what, name(competitor), theirs, ours, ratio]);
                }
            }
        }
    }
    Ok(text(&clear, &doubtful, &bench.command))
}

fn text(clear: &str, doubtful: &[String], command: &str) -> String {
    let mut text = if clear.is_empty() {
        "None: in no column is a peer clearly ahead.\n".to_owned()
    } else {
        let header =
            ["scenario, metric", "peer", "its median", "poolhouse's", "ratio, 10th to 90th percentile"];
        head(&header, 2) + clear
    };
    if !doubtful.is_empty() {
        text += "\n<details>\n<summary>A little ahead, perhaps by noise</summary>\n\n";
        text += "The percentiles of the ratio are on both sides of 1:\n\n";
        for item in doubtful {
            text += &format!("- {item}\n");
        }
        text += "\n</details>\n";
    }
    format!("{text}\n{}", wrap(&format!("`{command}`")))
}

fn spread(ratio: Summary) -> String {
    format!("{}, {} to {}", times(ratio.median), times(ratio.low), times(ratio.high))
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
        assert_eq!(rows, ["| S2, speedup | bb8 | 200 | 100 | 2.00×, 2.00× to 2.00× |"]);
        let s2 = bench.scenarios.iter_mut().find(|scenario| scenario.id == "S2").unwrap();
        s2.metrics.retain(|metric| metric != "speedup");
        let text = table(&bench).unwrap();
        assert!(text.starts_with("None") && !text.contains("noise"), "{text}");
        let s1 = &mut bench.scenarios[0].results[1];
        s1.to_poolhouse.insert("ns_per_op".to_owned(), Summary { median: 0.99, low: 0.9, high: 1.1 });
        let text = table(&bench).unwrap().replace('\n', " ");
        assert!(text.contains("- S1, ns per operation: bb8 (0.99×, 0.90× to 1.10×) "), "{text}");
    }
}
