//! What a reader says of a service whose pool wants a size: a scenario, and what only its sizing asks for.

use crate::knobs::{Kind, Knob};
use crate::scenario::{KnobError, Scenario, pairs, value_of};

/// A target is whole milliseconds in a run. Arithmetic can do with less.
const fn millis(name: &'static str, default: f64) -> Knob {
    let kind = Kind::Number { unit: "ms", least: 0.01, most: 60_000.0, whole: false, off: false };
    Knob { name, group: "", label: "", kind, default }
}

const TARGET: Knob = millis("target", 20.0);
const TOTAL: Knob = millis("total", 0.0);
const SLOW: Knob = millis("slow", 0.0);
const RESERVED: Knob = Knob {
    kind: Kind::Number { unit: "", least: 0.0, most: 50_000.0, whole: true, off: false },
    ..millis("reserved", 0.0)
};

/// The run of an answer sets these itself.
const OWN: [&str; 4] = ["max_connections", "min_connections", "duration", "warm_up"];

/// What a pool has to carry, and what its server leaves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The load and the server. Of its pool only what the answer leaves alone counts.
    pub(crate) scenario: Scenario,
    /// 99 of 100 shall wait no longer, in milliseconds: as asked, or what the target for the whole request leaves.
    pub(crate) target: f64,
    /// 99 of 100 shall be done within so long, wait and hold together.
    pub(crate) total: Option<f64>,
    /// Whether there is a target for the wait by itself.
    pub(crate) limits_wait: bool,
    /// Connections of the server that are not for this program.
    pub(crate) reserved: usize,
}

impl Need {
    /// Reads `name=value`, one a line or separated by `&`: the knobs of a [`Scenario`], and three more. `total` is the
    /// target for wait and hold together; `slow` is the hold of one request in `long_every`, in milliseconds; and
    /// `reserved` are connections of `server_limit` that others have. `target` may be a fraction of a millisecond. Without
    /// it `total` alone counts, if that is given.
    ///
    /// # Errors
    ///
    /// The first value that makes no sense.
    pub fn parse(text: &str) -> Result<Self, KnobError> {
        let (mut target, mut total, mut slow, mut reserved) = (None, None, None, RESERVED.default);
        // A grace period of Kubernetes, unless the text says another.
        let mut knobs = "duration=1&max_connections=1&min_connections=1&fault_for=30".to_owned();
        for pair in pairs(text) {
            let (name, value) = pair?;
            match name {
                "target" => target = Some(value_of(&TARGET, value)?),
                "total" => total = Some(value_of(&TOTAL, value)?),
                "slow" => slow = Some(value_of(&SLOW, value)?),
                "reserved" => reserved = value_of(&RESERVED, value)?,
                name if OWN.contains(&name) => {}
                _ => knobs += &format!("&{name}={value}"),
            }
        }
        let mut scenario = Scenario::parse(&knobs)?;
        if let Some(slow) = slow {
            let factor = long_factor(scenario.values.hold, slow, scenario.values.long_every)?;
            scenario = scenario.with(&format!("holds=mixed&long_factor={factor}"))?;
        }
        let limit = scenario.values.server_limit;
        if limit > 0.0 {
            if reserved >= limit {
                let message = format!("is {reserved}, of {limit} that the server has: nothing is left");
                return Err(KnobError::new("reserved", message));
            }
            scenario = scenario.with(&format!("server_limit={}", limit - reserved))?;
        }
        let limits_wait = target.is_some() || total.is_none();
        let target = target.or(total).unwrap_or(TARGET.default);
        scenario = scenario.with(&format!("target={}", target.ceil()))?;
        Ok(Self { scenario, target, total, limits_wait, reserved: reserved as usize })
    }

    /// Whether whole milliseconds are too coarse for a run of it.
    pub(crate) fn is_too_fine(&self) -> bool {
        self.scenario.values.hold < 2.0 || self.target < 1.0
    }
}

/// As the knob allows.
const MOST_TIMES: f64 = 100_000.0;

/// How many times longer a slow request holds than the others, if the mean is that of all.
fn long_factor(hold: f64, slow: f64, every: f64) -> Result<f64, KnobError> {
    let others = (hold - slow / every) / (1.0 - 1.0 / every);
    if slow <= hold {
        return Err(KnobError::new(
            "slow",
            format!("is {slow} ms, not above the mean of {hold} ms: raise it"),
        ));
    }
    if others <= 0.0 || slow / others > MOST_TIMES {
        // Who says how long the others take means another number.
        let (least, mean) = (slow / every, slow / every + hold * (1.0 - 1.0 / every));
        let message = format!(
            "is {hold} ms, but one slow request in {every} makes it {least} ms alone: if the others take {hold} ms, the mean \
             is {mean:.1} ms"
        );
        return Err(KnobError::new("hold", message));
    }
    Ok(slow / others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_requests_leave_the_mean_as_it_is() {
        let need = Need::parse("hold=22&slow=400&long_every=50").unwrap();
        assert_eq!(need.scenario.mean_hold(), 22.0);
        assert_eq!(need.scenario.hold_quantile(0.99).round(), 400.0);
        assert!((need.scenario.hold_quantile(0.5) - 14.0 / 0.98).abs() < 0.01);
        assert!((need.scenario.spread_of_holds() - 6.03).abs() < 0.01);
    }

    #[test]
    fn a_target_for_the_whole_request_bounds_the_wait() {
        let need = |text| Need::parse(text).unwrap();
        assert_eq!((need("total=250").target, need("total=250").limits_wait), (250.0, false));
        assert_eq!((need("total=250&target=5").target, need("").target), (5.0, 20.0));
        assert!(need("").limits_wait && need("total=250&target=5").limits_wait);
    }

    #[test]
    fn what_others_have_is_not_for_the_program() {
        let left = |text| Need::parse(text).map(|need| need.scenario.values.server_limit);
        assert_eq!(left("server_limit=100&reserved=15"), Ok(85.0));
        assert_eq!(left("reserved=15"), Ok(0.0), "an unknown limit");
        assert!(left("server_limit=15&reserved=15").unwrap_err().to_string().starts_with("reserved is 15"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, said) in [
            ("rate=12,5", "rate is \"12,5\": write a point before decimals"),
            ("rate=1.000", "rate is \"1.000\": write a point before decimals, and nothing between thousands"),
            ("hold=0", "hold is \"0\": choose a number from 0.01"),
            ("total=", "total is \"\": choose a number"),
            ("reserved=1.5", "reserved is \"1.5\": choose a whole number"),
            ("hold=50&slow=40", "slow is 40 ms, not above the mean of 50 ms"),
            ("hold=5&slow=400&long_every=50", "hold is 5 ms, but one slow request in 50 makes it 8 ms"),
            (
                "hold=8.002&slow=400&long_every=50",
                "hold is 8.002 ms, but one slow request in 50 makes it 8 ms",
            ),
            ("colour=1", "colour is no knob"),
        ] {
            let error = Need::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(said), "{error}");
        }
        // What a run may not be is no matter of its size.
        let need = Need::parse("rate=10000&max_connections=0&duration=1e9&hold=0.4&surge=0").unwrap();
        assert!(need.is_too_fine());
        assert_eq!(need.scenario.replicas_in_a_deploy(), 1);
    }
}
