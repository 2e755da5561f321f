//! Connects in each minute, by how the end of a lifetime is spread.

use experiments::lifetime::{Data, Policy};

use super::{COLOURS, table as make};
use crate::Result;
use crate::format::count;
use crate::strips::{self, Strip};

pub(super) fn table(data: &Data) -> String {
    let header =
        ["jitter", "most connects in a minute", "first wave takes, s", "minutes with connects", "connects/h"];
    let rows = data.policies.iter().map(|policy| {
        vec![
            policy.name.clone(),
            policy.peak.to_string(),
            count(policy.first_wave_seconds),
            policy.per_minute[1..].iter().filter(|connects| **connects > 0).count().to_string(),
            count(policy.per_hour),
        ]
    });
    let minutes = data.policies.first().map_or(0, |policy| policy.per_minute.len());
    let about = format!(
        "{} pools of {} connections, opened together, `max_lifetime` {} min, for {} h. The opening itself is left out, \
         and the {} other minutes are counted. The row of jitter that is drawn anew is the policy alone, played by a \
         loop that looks at each connection once a second; the others are the pool.",
        data.pools,
        data.each,
        count(data.lifetime_minutes),
        minutes / 60,
        minutes - 1
    );
    make(&header, 1, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let strip = |(policy, colour): (&Policy, _)| Strip {
        label: format!("{}: at most {}", policy.name, policy.peak),
        colour,
        values: policy.per_minute.iter().map(|connects| *connects as f64).collect(),
    };
    let texts: Vec<String> = data
        .policies
        .iter()
        .map(|policy| format!("{}: at most {} in a minute", policy.name, policy.peak))
        .collect();
    let colours = [COLOURS[1], COLOURS[1], COLOURS[0], COLOURS[0]];
    let strips: Vec<Strip> = data.policies.iter().zip(colours).map(strip).collect();
    let description = format!(
        "Connects in each minute after {} connections were opened together. {}.",
        data.pools * data.each,
        texts.join("; ")
    );
    strips::draw(
        "Connects in each minute, by jitter",
        &description,
        ("Minutes; a column is one", 1.0),
        &strips,
    )
}
