//! Rate times hold, beside what was held.

use experiments::littles_law::Data;

use super::{COLOURS, table as make};
use crate::Result;
use crate::bars::{Bars, Row, Scale};
use crate::format::{count, number};

pub(super) fn table(data: &Data) -> String {
    let header =
        ["a request", "acquires/s", "mean hold, ms", "rate × hold", "held on average", "held at most"];
    let rows = data.cases.iter().map(|case| {
        vec![
            case.name.clone(),
            count(case.measured_rate),
            count(case.hold_ms),
            number(case.predicted_held),
            number(case.measured_held),
            case.most_held.to_string(),
        ]
    });
    let about = format!(
        "Poisson arrivals of {} requests a second for {} s, on a pool of {}: the same for all rows. Rate and held \
         connections are measured; rate × hold is what was set.",
        count(data.rate),
        count(data.seconds),
        data.connections
    );
    make(&header, 1, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let row = |case: &experiments::littles_law::Case| Row {
        label: case.name.clone(),
        colour: COLOURS[0],
        values: vec![case.predicted_held, case.measured_held],
        text: format!("{} / {}", number(case.predicted_held), number(case.measured_held)),
    };
    Bars {
        title: "Little's law: connections held on average",
        axis: "Connections held",
        legend: Some("Upper bar: rate × hold. Lower: measured."),
        scale: Scale::Linear,
        room: 84,
        rows: data.cases.iter().map(row).collect(),
    }
    .draw()
}
