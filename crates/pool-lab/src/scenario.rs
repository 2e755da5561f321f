//! A scenario: the value of every knob, read from text and checked.

use std::fmt;
use std::time::Duration;

use poolhouse::{IdleOrder, PoolConfig};

use crate::draws::ln;
use crate::knobs::{KNOBS, Kind, Knob, Values};
use crate::theory;

/// More requests than this would keep a phone busy for seconds.
const MOST_REQUESTS: f64 = 200_000.0;
/// Each of them is looked after in the background, idle or not.
const MOST_CONNECTIONS: f64 = 5_000.0;

/// What is wrong with a scenario: the knob, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnobError {
    /// The name of the knob.
    pub knob: String,
    message: String,
}

impl KnobError {
    pub(crate) fn new(knob: &str, message: String) -> Self {
        Self { knob: knob.to_owned(), message }
    }

    /// What is wrong, without the name of the knob.
    pub fn said(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for KnobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.knob, self.message)
    }
}

impl std::error::Error for KnobError {}

/// How requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// At random, independently of each other: a Poisson process.
    Poisson,
    /// At equal distances.
    Constant,
    /// A fixed number of callers, each of which pauses between its requests.
    Closed,
    /// Many at once, and again after a pause.
    Burst,
}

/// How holds are spread about their mean.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holds {
    Exponential,
    Constant,
    /// A share of them is longer than the short ones.
    Mixed {
        share: f64,
        short: f64,
        long: f64,
    },
}

/// The value of every knob. All of them are within their bounds, and so is the work that they ask for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scenario {
    pub(crate) values: Values,
}

impl Scenario {
    /// Reads `name=value`, one a line or separated by `&`. What is not named keeps its default.
    ///
    /// # Errors
    ///
    /// The first knob that does not exist or whose value makes no sense.
    pub fn parse(text: &str) -> Result<Self, KnobError> {
        Self::default().with(text)
    }

    /// The same scenario with some knobs turned.
    ///
    /// # Errors
    ///
    /// As of [`parse`](Self::parse).
    pub fn with(&self, text: &str) -> Result<Self, KnobError> {
        let mut scenario = self.clone();
        for pair in pairs(text) {
            let (name, value) = pair?;
            let Some(knob) = KNOBS.iter().find(|knob| knob.name == name) else {
                return Err(KnobError::new(name, "is no knob of the lab: remove it".to_owned()));
            };
            scenario.values.put(name, value_of(knob, value)?);
        }
        scenario.check()?;
        Ok(scenario)
    }

    /// The value of a knob, as text.
    pub fn text(&self, knob: &Knob) -> String {
        let value = self.values.get(knob.name).unwrap_or(knob.default);
        match knob.kind {
            Kind::Choice(words) => words[value as usize].to_owned(),
            Kind::Number { .. } => value.to_string(),
        }
    }

    /// What differs from the defaults, for an address.
    pub fn address(&self) -> String {
        let turned = KNOBS.iter().filter(|knob| self.values.get(knob.name) != Some(knob.default));
        let pairs: Vec<String> = turned.map(|knob| format!("{}={}", knob.name, self.text(knob))).collect();
        pairs.join("&")
    }

    /// How requests arrive.
    pub fn arrivals(&self) -> Arrivals {
        match self.values.arrivals as u8 {
            0 => Arrivals::Poisson,
            1 => Arrivals::Constant,
            2 => Arrivals::Closed,
            _ => Arrivals::Burst,
        }
    }

    /// Requests a second, if they do not depend on how they are served.
    pub(crate) fn rate(&self) -> Option<f64> {
        let values = &self.values;
        match self.arrivals() {
            Arrivals::Poisson | Arrivals::Constant => Some(values.rate),
            Arrivals::Burst => Some(values.callers * 1e3 / values.think + values.trickle),
            Arrivals::Closed => None,
        }
    }

    /// How much holds vary: the square of their standard deviation by their mean.
    pub(crate) fn spread_of_holds(&self) -> f64 {
        let own = match self.holds() {
            Holds::Exponential => 1.0,
            Holds::Constant => 0.0,
            Holds::Mixed { share, short, long } => {
                let square = (1.0 - share) * short * short + share * long * long;
                square / (self.values.hold * self.values.hold) - 1.0
            }
        };
        // A call in the middle is always equally long.
        let part = self.values.hold / self.mean_hold();
        own * part * part
    }

    /// So many of all holds are at most as long, in milliseconds.
    pub(crate) fn hold_quantile(&self, share: f64) -> f64 {
        let own = match self.holds() {
            Holds::Exponential => -ln(1.0 - share) * self.values.hold,
            Holds::Constant => self.values.hold,
            Holds::Mixed { share: long_ones, short, long } => {
                // One in a hundred is not 0.01 to the last digit.
                if long_ones > 1.0 - share - 1e-9 { long } else { short }
            }
        };
        own + self.mean_hold() - self.values.hold
    }

    /// How holds are spread about their mean.
    pub(crate) fn holds(&self) -> Holds {
        let values = &self.values;
        match values.holds as u8 {
            0 => Holds::Exponential,
            1 => Holds::Constant,
            _ => {
                let share = 1.0 / values.long_every;
                let short = values.hold / (1.0 + share * (values.long_factor - 1.0));
                Holds::Mixed { share, short, long: short * values.long_factor }
            }
        }
    }

    /// Whether Erlang C is exact for it.
    pub(crate) fn is_exact(&self) -> bool {
        let values = &self.values;
        self.arrivals() == Arrivals::Poisson
            && values.holds == 0.0
            && values.fault == 0.0
            && values.nested == 0.0
            && values.call == 0.0
            && values.contention == 0.0
            && values.cores == 0.0
            && values.leak_every == 0.0
    }

    /// How long a request has a connection on average, in milliseconds.
    pub(crate) fn mean_hold(&self) -> f64 {
        self.values.hold + if self.releases() { 0.0 } else { self.values.call }
    }

    /// Whether a request has no connection during its call.
    pub(crate) fn releases(&self) -> bool {
        self.values.during_call != 0.0
    }

    /// Whether a deploy replaces the replicas.
    pub(crate) fn deploys(&self) -> bool {
        self.values.fault == 3.0
    }

    /// The most replicas that are alive during a deploy.
    pub(crate) fn replicas_in_a_deploy(&self) -> usize {
        let values = &self.values;
        // The same knob is the length of another fault.
        let end = if self.deploys() || values.fault == 0.0 { values.fault_for } else { 0.0 };
        let more = theory::more_replicas(values.replicas, values.surge, values.boot, end);
        (values.replicas + more) as usize
    }

    /// The configuration of each pool.
    pub fn config(&self) -> PoolConfig {
        let values = &self.values;
        let ms = |value: f64| Duration::from_millis(value as u64);
        let or_never = |value: f64| if value == 0.0 { Duration::MAX } else { ms(value) };
        PoolConfig {
            min_connections: values.min_connections as usize,
            max_connections: values.max_connections as usize,
            connection_timeout: ms(values.connection_timeout),
            max_pending: (values.max_pending > 0.0).then_some(values.max_pending as usize),
            idle_timeout: or_never(values.idle_timeout),
            max_lifetime: or_never(values.max_lifetime),
            lifetime_jitter: values.lifetime_jitter,
            health_check_interval: or_never(values.health_check_interval),
            check_after_idle: or_never(values.check_after_idle),
            fail_fast_after: or_never(values.fail_fast_after),
            max_connecting: values.max_connecting as usize,
            idle_order: if values.idle_order == 0.0 { IdleOrder::Lifo } else { IdleOrder::Fifo },
            detect_nested_acquires: values.detect_nested_acquires != 0.0,
            ..PoolConfig::default()
        }
    }

    /// The options of the pool that differ from their defaults, as Rust to copy.
    pub fn snippet(&self) -> String {
        crate::words::snippet(self)
    }

    fn check(&self) -> Result<(), KnobError> {
        let values = &self.values;
        self.config().validate().map_err(|error| {
            let text = error.to_string();
            let text = text.split("; guide: ").next().unwrap_or_default();
            let knob = error.field();
            KnobError::new(knob, text.strip_prefix(knob).unwrap_or(text).trim().to_owned())
        })?;
        if values.warm_up >= values.duration {
            let message =
                format!("is {} s, but the run ends after {} s: lower it", values.warm_up, values.duration);
            return Err(KnobError::new("warm_up", message));
        }
        let requests = match self.rate() {
            Some(rate) => rate * values.duration,
            // A caller that is refused at once comes back after its pause.
            None => values.callers * values.duration * 1e3 / values.think,
        };
        if requests > MOST_REQUESTS {
            let message = format!(
                "is {} s, in which up to {requests:.0} requests arrive, above {MOST_REQUESTS}: lower it, or the load",
                values.duration
            );
            return Err(KnobError::new("duration", message));
        }
        if self.deploys() && values.surge == 0.0 {
            let message = "is 0, and a deploy starts at least one copy: raise it".to_owned();
            return Err(KnobError::new("surge", message));
        }
        let connections = values.max_connections * values.replicas;
        if connections > MOST_CONNECTIONS {
            let message = format!(
                "is {}, with up to {connections} connections in all, above {MOST_CONNECTIONS}: lower it, or max_connections",
                values.replicas
            );
            return Err(KnobError::new("replicas", message));
        }
        // Each may be replaced or checked this often, and that is work.
        let intervals =
            [("max_lifetime", values.max_lifetime), ("health_check_interval", values.health_check_interval)];
        for (knob, interval) in intervals.into_iter().filter(|(_, interval)| *interval > 0.0) {
            if connections * values.duration * 1e3 / interval > MOST_REQUESTS {
                let message = format!(
                    "is {interval} ms, for {connections} connections and {} s: raise it, or lower one of these",
                    values.duration
                );
                return Err(KnobError::new(knob, message));
            }
        }
        // A pool that gets no connection tries again about once a second.
        if values.replicas * values.duration > MOST_REQUESTS {
            let message = format!("is {}, for {} s: lower one of the two", values.replicas, values.duration);
            return Err(KnobError::new("replicas", message));
        }
        Ok(())
    }
}

/// The names and values of a text.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<(&str, &str), KnobError>> {
    let lines = text.split(['&', '\n']).map(str::trim);
    lines.filter(|pair| !pair.is_empty() && !pair.starts_with('#')).map(|pair| {
        let wrong = || KnobError::new(pair, "has no value: write name=value".to_owned());
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        Ok((name.trim(), value.trim().trim_matches('"')))
    })
}

/// What a text says of a knob.
pub(crate) fn value_of(knob: &Knob, text: &str) -> Result<f64, KnobError> {
    match knob.kind {
        Kind::Choice(words) => {
            let index = words.iter().position(|word| *word == text);
            index.map(|index| index as f64).ok_or_else(|| {
                KnobError::new(knob.name, format!("is {text:?}: choose one of {}", words.join(", ")))
            })
        }
        Kind::Number { unit, least, most, whole, off } => {
            let space = if unit.is_empty() { "" } else { " " };
            let wrong = |what: &str| {
                let or_off = if off { ", or 0 for off" } else { "" };
                let message = format!("is {text:?}: {what} from {least} to {most}{space}{unit}{or_off}");
                Err(KnobError::new(knob.name, message))
            };
            // Half of the world writes a thousand like that.
            if text.contains(',') || text.ends_with(".000") {
                return wrong(
                    "write a point before decimals, and nothing between thousands; choose a number",
                );
            }
            match text.parse::<f64>() {
                Ok(0.0) if off => Ok(0.0),
                Ok(value) if whole && value.is_finite() && value.trunc() != value => {
                    wrong("choose a whole number")
                }
                Ok(value) if (least..=most).contains(&value) => Ok(value),
                _ => wrong("choose a number"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wild_value_is_refused_by_the_name_of_its_knob() {
        let wild = ["-1", "NaN", "inf", "-inf", "1e300", "", "many", "18446744073709551616"];
        for knob in KNOBS {
            for value in wild {
                let error = Scenario::parse(&format!("{}={value}", knob.name)).expect_err(knob.name);
                assert!(error.to_string().starts_with(knob.name), "{error}");
            }
        }
    }

    #[test]
    fn what_no_knob_says_alone_is_refused_too() {
        for (text, knob) in [
            ("min_connections=11", "min_connections"),
            ("warm_up=30", "warm_up"),
            ("rate=10000", "duration"),
            ("arrivals=closed&callers=2000&think=1", "duration"),
            ("max_lifetime=100&max_connections=1000", "max_lifetime"),
            ("max_connections=1000&replicas=6", "replicas"),
            ("health_check_interval=10&max_connections=100", "health_check_interval"),
            ("max_connections=1000&duration=21600&rate=1", "health_check_interval"),
            ("replicas=20&duration=21600&rate=1", "replicas"),
            ("arrivals=burst&trickle=10000", "duration"),
            ("surge=0&fault=deploy", "surge"),
            ("colour=1", "colour"),
            ("rate", "rate"),
            ("seed=0.5", "seed"),
        ] {
            assert_eq!(Scenario::parse(text).expect_err(text).knob, knob, "{text}");
        }
    }

    #[test]
    fn an_address_says_the_same_scenario_again() {
        let text = "arrivals=closed&callers=7&holds=mixed&long_every=9&during_call=releases&max_pending=3\
                    &idle_order=fifo&lifetime_jitter=0.25&seed=9";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(Scenario::parse(&scenario.address()).unwrap(), scenario);
        assert_eq!(Scenario::default().address(), "");
    }

    #[test]
    fn every_default_is_within_its_own_bounds_and_every_name_stands_once() {
        let scenario = Scenario::default();
        for (index, knob) in KNOBS.iter().enumerate() {
            assert_eq!(value_of(knob, &scenario.text(knob)), Ok(knob.default), "{}", knob.name);
            assert!(KNOBS[index + 1..].iter().all(|other| other.name != knob.name));
        }
    }

    /// A knob that has an option's name has its default, unless the lab has a reason.
    #[test]
    fn the_pools_defaults_are_the_defaults() {
        assert_eq!(Scenario::default().config(), PoolConfig::default());
    }
}
