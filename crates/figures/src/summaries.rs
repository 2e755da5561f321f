//! Sentences and small tables that need figures of more than one scenario.

use crate::Result;
use crate::data::{Bench, Kind};
use crate::format::{count, name, number, times, wrap};
use crate::tables::{head, row};

/// What a request over the network costs, with a pool and without.
pub(crate) fn network(bench: &Bench) -> Result<String> {
    let request = bench.median("S5", "poolhouse", "us_per_op")?;
    let processor = bench.median("S5", "poolhouse", "cpu_us_per_op")?;
    let alone = bench.median("S1", "poolhouse", "ns_per_op")?;
    let dedicated = 1.0 / bench.ratio("S5", "dedicated", "us_per_op")?;
    let wall = |competitor| Ok::<_, String>(times(bench.ratio("S5", competitor, "us_per_op")?));
    let cpu = |competitor| Ok::<_, String>(times(bench.ratio("S5", competitor, "cpu_us_per_op")?));
    Ok(wrap(&format!(
        "In this run a request through poolhouse takes {} µs of wall time and {} µs of the client's processor. An acquire \
         and a release for which nobody waits take {} ns (S1), {} % of that wall time. A connection for each task saves the \
         waiting: the pool takes {} its wall time, with an eighth of the connections. A connect for each request takes \
         {} the wall time of the pool and {} its processor time. One shared connection takes {} the wall time. `{}`",
        number(request),
        number(processor),
        number(alone),
        number(alone / request / 10.0),
        times(dedicated),
        wall("connect-each")?,
        cpu("connect-each")?,
        wall("shared")?,
        bench.command,
    )))
}

/// The part of the cores that the acquires take, by how many there are in a second. S4 is measured in wall time, in which
/// two workers are busy, so its shares are of two cores.
pub(crate) fn share(bench: &Bench) -> Result<String> {
    let columns: [(&str, &str, f64); 4] = [
        ("S1", "ns_per_op", 100_000.0),
        ("S1", "ns_per_op", 1_000_000.0),
        ("S4", "ns_above_yields", 100_000.0),
        ("S4", "ns_above_yields", 1_000_000.0),
    ];
    let header = [
        "",
        "nobody waits, 100,000 a second: of one core",
        "nobody waits, 1,000,000: of one core",
        "all wait, 100,000 a second: of two cores",
        "all wait, 1,000,000: of two cores",
    ];
    let mut text = head(&header, 1);
    for competitor in bench.competitors.iter().filter(|competitor| competitor.kind == Kind::Pool) {
        let cells: Vec<String> = columns
            .iter()
            .map(|(scenario, metric, rate)| {
                let cost = bench.median(scenario, &competitor.id, metric);
                cost.map_or_else(|_| String::new(), |cost| format!("{} %", number(cost * rate / 1e7)))
            })
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            text += &row(&[vec![name(competitor)], cells].concat());
        }
    }
    let from = format!(
        "From the medians of S1, with one worker, and of S4 above the yields, with two workers. `{}`",
        bench.command
    );
    Ok(format!("{text}\n{}", wrap(&from)))
}

/// How long the tail of the waits is.
pub(crate) fn tails(bench: &Bench) -> Result<String> {
    let columns =
        [("S3", "wait_p99_us"), ("S3", "wait_max_us"), ("S4", "wait_p99_us"), ("S4", "wait_max_us")];
    let header =
        ["times the median wait", "S3: 99th percentile", "S3: longest", "S4: 99th percentile", "S4: longest"];
    let mut text = head(&header, 1);
    for (competitor, _) in bench.ranked(bench.scenario("S3")?) {
        let cell = |(scenario, metric): &(&str, &str)| -> Result<String> {
            let tail = bench.median(scenario, &competitor.id, metric)?;
            Ok(times(tail / bench.median(scenario, &competitor.id, "wait_p50_us")?))
        };
        // The floor never waits.
        if let Ok(cells) = columns.iter().map(cell).collect::<Result<Vec<String>>>() {
            text += &row(&[vec![name(competitor)], cells].concat());
        }
    }
    Ok(format!("{text}\n{}", wrap(&format!("Of the medians. `{}`", bench.command))))
}

/// What the spike costs.
pub(crate) fn spike(bench: &Bench) -> Result<String> {
    let of = |competitor, metric| bench.median("S10", competitor, metric);
    let mut most: f64 = 0.0;
    for (competitor, outcome) in bench.ranked(bench.scenario("S10")?) {
        if competitor.kind == Kind::Pool
            && let Some(connects) = outcome.metrics.get("connects")
        {
            most = most.max(connects.median);
        }
    }
    Ok(wrap(&format!(
        "In this run the spike costs poolhouse {} connects and a median wait of {} ms. The pools that open a connection for \
         each caller open {}. `{}`",
        count(of("poolhouse", "connects")?),
        number(of("poolhouse", "wait_p50_ms")?),
        count(most),
        bench.command
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn figures_come_from_the_data() {
        let bench = sample::bench();
        let text = network(&bench).unwrap().replace('\n', " ");
        assert!(
            text.contains("takes 100 µs of wall time") && text.contains("takes 2.00× its wall"),
            "{text}"
        );
        assert!(share(&bench).unwrap().contains("1,000,000: of two cores |"));
        assert!(share(&bench).unwrap().contains("| bb8 | 2.00 % | 20.0 % | 2.00 % | 20.0 % |"));
        assert!(tails(&bench).unwrap().contains("| bb8 | 1.00× | 1.00× | 1.00× | 1.00× |"));
        assert!(spike(&bench).unwrap().replace('\n', " ").contains("poolhouse 100 connects"));
    }
}
