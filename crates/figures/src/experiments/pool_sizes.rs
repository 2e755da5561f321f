//! What a minimum buys, and what it costs.

use experiments::pool_sizes::{Case, Data};

use super::{COLOURS, table as make};
use crate::Result;
use crate::bars::{Bars, Row, Scale};
use crate::format::{count, number};

pub(super) fn table(data: &Data) -> String {
    let header = [
        "`min_connections`",
        "between the bursts",
        "median wait in a burst, ms",
        "longest, ms",
        "connects/h",
        "open on average",
    ];
    let rows = data.cases.iter().map(|case| {
        let between =
            if case.trickle { format!("{} requests/s", count(data.trickle)) } else { "nothing".to_owned() };
        vec![
            case.min.to_string(),
            between,
            count(case.median_ms),
            count(case.longest_ms),
            count(case.connects_per_hour),
            number(case.open),
        ]
    });
    let about = format!(
        "`max_connections` {}, a connect takes {} ms, a request holds for {} ms. Every {} minutes {} requests come at \
         once, {} times. Everything else is as by default.",
        data.max,
        count(data.connect_ms),
        count(data.hold_ms),
        count(data.every_minutes),
        data.burst,
        data.bursts
    );
    make(&header, 0, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let row = |case: &Case| Row {
        label: format!("min_connections {}", case.min),
        colour: COLOURS[0],
        values: vec![case.longest_ms, case.median_ms],
        text: format!("{} / {} ms", count(case.longest_ms), count(case.median_ms)),
    };
    Bars {
        title: "Waits in a burst after silence, by min_connections",
        axis: "Milliseconds",
        legend: Some("Upper bar: longest wait. Lower: median."),
        scale: Scale::Linear,
        room: 98,
        rows: data.cases.iter().filter(|case| !case.trickle).map(row).collect(),
    }
    .draw()
}
