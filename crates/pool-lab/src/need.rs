//! What a reader says of a service whose pool wants a size: a scenario, and what only its sizing asks for.

use crate::knobs::{Kind, Knob};
use crate::scenario::{Arrivals, KnobError, Scenario, pairs, value_of};

/// Holds and targets are whole milliseconds in a run. Arithmetic can do with less.
const fn millis(name: &'static str, default: f64) -> Knob {
    let kind = Kind::Number { unit: "ms", least: 0.01, most: 60_000.0, whole: false, off: false };
    Knob { name, group: "", label: "", kind, default }
}

const HOLD: Knob = millis("hold", 50.0);
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
    /// Requests a second. Those of the scenario make up for its rounded hold.
    pub(crate) rate: Option<f64>,
    /// Mean hold, in milliseconds.
    pub(crate) hold: f64,
    /// 99 of 100 shall wait no longer, in milliseconds.
    pub(crate) target: f64,
    /// 99 of 100 shall be done within so long, wait and hold together.
    pub(crate) total: Option<f64>,
    /// Connections of the server that are not for this program.
    pub(crate) reserved: usize,
}

impl Need {
    /// Reads `name=value`, one a line or separated by `&`: the knobs of a [`Scenario`], and four more. `total` is the
    /// target for wait and hold together; `slow` is the hold of one request in `long_every`, in milliseconds; `reserved`
    /// are connections of `server_limit` that others have; and `hold` and `target` may be fractions of a millisecond.
    ///
    /// # Errors
    ///
    /// The first value that makes no sense.
    pub fn parse(text: &str) -> Result<Self, KnobError> {
        let [mut hold, mut target, mut reserved] = [HOLD, TARGET, RESERVED].map(|knob| knob.default);
        let (mut total, mut slow) = (None, None);
        // A grace period of Kubernetes, unless the text says another.
        let mut knobs = "duration=1&max_connections=1&min_connections=1&fault_for=30".to_owned();
        for pair in pairs(text) {
            let (name, value) = pair?;
            match name {
                "hold" => hold = value_of(&HOLD, value)?,
                "target" => target = value_of(&TARGET, value)?,
                "total" => total = Some(value_of(&TOTAL, value)?),
                "slow" => slow = Some(value_of(&SLOW, value)?),
                "reserved" => reserved = value_of(&RESERVED, value)?,
                name if OWN.contains(&name) => {}
                _ => knobs += &format!("&{name}={value}"),
            }
        }
        let mut scenario = Scenario::parse(&knobs)?;
        if let Some(slow) = slow {
            let factor = long_factor(hold, slow, scenario.values.long_every)?;
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
        let (rounded, whole) = (hold.round().max(1.0), target.ceil());
        scenario = scenario.with(&format!("hold={rounded}&target={whole}"))?;
        let rate = scenario.rate();
        let mut need = Self { scenario, rate, hold, target, total, reserved: reserved as usize };
        // Two parts in a hundred of the hold are two of the load, which near saturation is a connection.
        if let Some(rate) = rate
            && matches!(need.scenario.arrivals(), Arrivals::Poisson | Arrivals::Constant)
        {
            let rate = (rate * need.mean_hold() / need.scenario.mean_hold()).clamp(0.1, 10_000.0);
            need.scenario = need.scenario.with(&format!("rate={rate}"))?;
        }
        Ok(need)
    }

    /// How long a request has a connection on average, in milliseconds.
    pub(crate) fn mean_hold(&self) -> f64 {
        self.hold + self.scenario.mean_hold() - self.scenario.values.hold
    }

    /// Whether whole milliseconds are too coarse for a run of it.
    pub(crate) fn is_too_fine(&self) -> bool {
        self.hold < 2.0 || self.target < 1.0
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
        let least = slow / every;
        let message =
            format!("is {hold} ms, but one slow request in {every} makes it {least} ms alone: raise it");
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
    fn a_rounded_hold_leaves_the_load_as_it_is() {
        let need = Need::parse("rate=800&hold=20.4&replicas=4").unwrap();
        assert_eq!((need.rate, need.scenario.values.hold), (Some(800.0), 20.0));
        assert!((need.scenario.values.rate - 816.0).abs() < 1e-9, "{}", need.scenario.values.rate);
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
            ("rate=12,5", "rate is \"12,5\": choose a number"),
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
