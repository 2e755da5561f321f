//! What a pool may do: the options, their defaults and their bounds.

use std::time::Duration;

use thiserror::Error;

use crate::error::{Counted, page};

/// The least of the limits by which the background sets its timers again and again, which count in milliseconds. Below it
/// the background would be at work without a pause.
///
/// Not of `idle_timeout`, which closes what comes back at once and opens nothing, nor of the limits of one acquire, one
/// connect and one check.
const LEAST: Duration = Duration::from_millis(1);

/// The options that [`Duration::MAX`] does not switch off.
pub(crate) const NEVER_OFF: [&str; 2] = ["connect_backoff", "max_connect_backoff"];

/// The options of a pool.
///
/// Write the options that you change and take the rest from [`PoolConfig::default`]. New options may
/// be added in any release, so always end with `..PoolConfig::default()`.
///
/// Set a timeout, an interval or `max_lifetime` to [`Duration::MAX`] to switch it off. A backoff is not for switching
/// off: with `MAX` the first failed connect is the last attempt for a day.
///
/// ```
/// use std::time::Duration;
/// use poolhouse::PoolConfig;
///
/// let config = PoolConfig {
///     min_connections: 2,
///     max_connections: 20,
///     connection_timeout: Duration::from_secs(5),
///     ..PoolConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
///
/// # As text
///
/// With the feature `serde`, a `PoolConfig` can be read from any format that says of each value what it is, such as TOML,
/// JSON or YAML, and written to it. The names are those of the fields. What is left out has its default. A duration is a
/// text with a unit, such as `"30s"`, `"5m"` or `"250ms"`. `"off"` is [`Duration::MAX`] or `None`. An [`IdleOrder`] is
/// `"lifo"` or `"fifo"`.
///
/// It is an error, with the name of the option, if there is no such option, if its value has another form, or if
/// [`validate`](PoolConfig::validate) refuses it.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use std::time::Duration;
/// use poolhouse::PoolConfig;
///
/// let settings = r#"{ "max_connections": 20, "idle_timeout": "90s", "max_lifetime": "off" }"#;
/// let config: PoolConfig = serde_json::from_str(settings)?;
/// assert_eq!(config.idle_timeout, Duration::from_secs(90));
/// assert_eq!(config.max_lifetime, Duration::MAX);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// How many connections the pool keeps open, from the first acquire or `warm_up` on. The background opens what is
    /// missing, and idle reaping stops here.
    pub min_connections: usize,
    /// The most connections that are open, opening and closing together, at any instant.
    pub max_connections: usize,
    /// The deadline of one acquire. It covers waiting in the queue, connecting and checking together. Like all times here it
    /// is measured on tokio's clock. On Linux and Windows it counts the time that the machine sleeps, on macOS it does not.
    pub connection_timeout: Duration,
    /// How long a connection may lie idle before it is closed. It never takes the pool below `min_connections`.
    pub idle_timeout: Duration,
    /// How long a connection may go unused before the background checks it with
    /// [`Manager::check`](crate::Manager::check), at most a tenth of the unused ones at a time. At least 1 ms.
    pub health_check_interval: Duration,
    /// How old a connection may grow. A held one is never interrupted: it is closed when it comes back. The successor of
    /// one that is in use, or that the minimum needs, is opened a little before, by a tenth of the lifetime or
    /// `connect_attempt_timeout`, whichever is less. At least 1 ms.
    pub max_lifetime: Duration,
    /// How long a connection may go unused before an acquire has it checked first, within its own deadline. Zero checks
    /// each idle connection every time; one that goes from its holder straight to somebody who waits is not idle. `None` trusts every idle connection whose peer has not closed it. Set it where
    /// peers vanish without a word: behind a firewall or a load balancer that drops idle connections.
    pub check_after_idle: Option<Duration>,
    /// How long one attempt to connect may take. Keep it below `connection_timeout`, or no acquire sees a second
    /// attempt.
    pub connect_attempt_timeout: Duration,
    /// How long one health check may take. A connection that has not answered by then is closed.
    pub health_check_timeout: Duration,
    /// The most attempts to connect under way at once. After a failure it is one, until a connect succeeds.
    pub max_connecting: usize,
    /// The most acquires that may wait. The next one fails at once with
    /// [`Overloaded`](crate::AcquireError::Overloaded); `None` is no limit. It is never exceeded: if a waiter has to come back
    /// to its turn, the youngest beyond it are refused.
    pub max_pending: Option<usize>,
    /// The share of `max_lifetime`, 0.0 to 1.0, by which a connection may retire early. It is drawn once, when the
    /// connection opens.
    pub lifetime_jitter: f64,
    /// The pause after the first failed connect. It doubles with each failure after it, and is shortened by up to half
    /// at random. At least 1 ms.
    pub connect_backoff: Duration,
    /// The longest pause between failed connects. At least 1 ms.
    pub max_connect_backoff: Duration,
    /// Which idle connection is used next: the last returned, or the longest idle.
    pub idle_order: IdleOrder,
    /// How long a connection may be held before it is reported as a leak, once, with the line that acquired it. `None`
    /// reports none. It ends nothing: the holder keeps the connection. At least 1 ms.
    pub leak_threshold: Option<Duration>,
    /// Whether to notice a task that waits for a connection while it holds one of the same pool. It is logged, and
    /// named in the text of the timeout. It makes each acquire a little slower.
    pub detect_nested_acquires: bool,
}

/// Which idle connection the next acquire gets. It never changes the order of those who wait: that is arrival.
///
/// ```
/// use poolhouse::{IdleOrder, PoolConfig};
///
/// // Spread the use over all connections, so that none idles long enough for a firewall to drop it.
/// let config = PoolConfig { idle_order: IdleOrder::Fifo, ..PoolConfig::default() };
/// assert_eq!(config.idle_order, IdleOrder::Fifo);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IdleOrder {
    /// The connection that came back last. Surplus connections go unused and reach `idle_timeout`: the pool shrinks.
    #[default]
    Lifo,
    /// The connection that has idled longest. All are used in turn, and the pool shrinks late or never.
    Fifo,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            min_connections: 1,
            max_connections: 10,
            connection_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60),
            health_check_interval: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(60 * 60),
            check_after_idle: None,
            connect_attempt_timeout: Duration::from_secs(10),
            health_check_timeout: Duration::from_secs(5),
            max_connecting: 8,
            max_pending: None,
            lifetime_jitter: 0.1,
            connect_backoff: Duration::from_millis(100),
            max_connect_backoff: Duration::from_secs(5),
            idle_order: IdleOrder::Lifo,
            leak_threshold: None,
            detect_nested_acquires: false,
        }
    }
}

impl PoolConfig {
    /// Checks every option against its bounds and against the others.
    ///
    /// [`Pool::new`](crate::Pool::new) calls it. Call it yourself to report a bad setting at start-up.
    ///
    /// # Errors
    ///
    /// The first option that is out of bounds, by its name.
    ///
    /// ```
    /// use poolhouse::PoolConfig;
    ///
    /// let config = PoolConfig { min_connections: 11, ..PoolConfig::default() };
    /// let error = config.validate().unwrap_err();
    /// assert_eq!(error.field(), "min_connections");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "min_connections is 11, above max_connections, which is 10: lower it or raise max_connections; \
    ///      guide: reference/configuration"
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.max_connections == 0 {
            return Err(ConfigError::Zero { field: "max_connections" });
        }
        if self.min_connections > self.max_connections {
            return Err(ConfigError::MinAboveMax { min: self.min_connections, max: self.max_connections });
        }
        if self.max_connecting == 0 {
            return Err(ConfigError::Zero { field: "max_connecting" });
        }
        // Nobody could wait for the first connection, so there would never be one.
        if self.max_pending == Some(0) {
            return Err(ConfigError::Zero { field: "max_pending" });
        }
        let limits = [
            ("connection_timeout", self.connection_timeout),
            ("idle_timeout", self.idle_timeout),
            ("connect_attempt_timeout", self.connect_attempt_timeout),
            ("health_check_timeout", self.health_check_timeout),
        ];
        if let Some((field, _)) = limits.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(ConfigError::NoTime { field });
        }
        let rhythms = [
            ("health_check_interval", self.health_check_interval),
            ("max_lifetime", self.max_lifetime),
            ("connect_backoff", self.connect_backoff),
            ("max_connect_backoff", self.max_connect_backoff),
            ("leak_threshold", self.leak_threshold.unwrap_or(Duration::MAX)),
        ];
        if let Some((field, value)) = rhythms.into_iter().find(|(_, value)| *value < LEAST) {
            return Err(ConfigError::TooShort { field, value, least: LEAST });
        }
        if self.connect_backoff > self.max_connect_backoff {
            return Err(ConfigError::BackoffAboveMax {
                first: self.connect_backoff,
                max: self.max_connect_backoff,
            });
        }
        if !(0.0..=1.0).contains(&self.lifetime_jitter) {
            return Err(ConfigError::JitterOutOfRange { jitter: self.lifetime_jitter });
        }
        Ok(())
    }

    /// The name and the value of every option, to log at start-up. The order is that of the fields.
    ///
    /// ```
    /// let options = poolhouse::PoolConfig::default().options();
    /// assert!(options.contains(&("idle_timeout", "5 min".to_string())));
    /// ```
    pub fn options(&self) -> Vec<(&'static str, String)> {
        // Taken apart by name, so that an option cannot be forgotten here.
        let Self {
            min_connections,
            max_connections,
            connection_timeout,
            idle_timeout,
            health_check_interval,
            max_lifetime,
            check_after_idle,
            connect_attempt_timeout,
            health_check_timeout,
            max_connecting,
            max_pending,
            lifetime_jitter,
            connect_backoff,
            max_connect_backoff,
            idle_order,
            leak_threshold,
            detect_nested_acquires,
        } = self;
        let optional = |duration: &Option<Duration>| duration.map_or_else(|| "None".to_string(), in_units);
        vec![
            ("min_connections", min_connections.to_string()),
            ("max_connections", max_connections.to_string()),
            ("connection_timeout", in_units(*connection_timeout)),
            ("idle_timeout", in_units(*idle_timeout)),
            ("health_check_interval", in_units(*health_check_interval)),
            ("max_lifetime", in_units(*max_lifetime)),
            ("check_after_idle", optional(check_after_idle)),
            ("connect_attempt_timeout", in_units(*connect_attempt_timeout)),
            ("health_check_timeout", in_units(*health_check_timeout)),
            ("max_connecting", max_connecting.to_string()),
            ("max_pending", max_pending.map_or_else(|| "None".to_string(), |n| n.to_string())),
            ("lifetime_jitter", lifetime_jitter.to_string()),
            ("connect_backoff", in_units(*connect_backoff)),
            ("max_connect_backoff", in_units(*max_connect_backoff)),
            ("idle_order", format!("{idle_order:?}")),
            ("leak_threshold", optional(leak_threshold)),
            ("detect_nested_acquires", detect_nested_acquires.to_string()),
        ]
    }
}

fn in_units(duration: Duration) -> String {
    let whole = |unit: u64| duration.subsec_nanos() == 0 && duration.as_secs().is_multiple_of(unit);
    match duration.as_secs() {
        _ if duration == Duration::MAX => "never".to_string(),
        secs if secs >= 3600 && whole(3600) => format!("{} h", secs / 3600),
        secs if secs >= 60 && whole(60) => format!("{} min", secs / 60),
        secs if whole(1) => format!("{secs} s"),
        _ => format!("{} ms", duration.as_secs_f64() * 1e3),
    }
}

/// An option that no pool can have. The message names the field and says what to change.
///
/// ```
/// use poolhouse::{ConfigError, PoolConfig};
///
/// let config = PoolConfig { max_connections: 0, ..PoolConfig::default() };
/// assert!(matches!(config.validate(), Err(ConfigError::Zero { field: "max_connections", .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number that must be above zero is zero.
    ///
    /// Guide: `reference/configuration`.
    #[error("{field} is zero: set it to one or more; guide: {}", page::CONFIGURATION)]
    #[non_exhaustive]
    Zero {
        /// The option's name.
        field: &'static str,
    },
    /// A duration that must be above zero is zero.
    ///
    /// Guide: `reference/configuration`.
    #[error("{field} is zero: give it some time{}; guide: {}", or_off(field), page::CONFIGURATION)]
    #[non_exhaustive]
    NoTime {
        /// The option's name.
        field: &'static str,
    },
    /// A duration is so short that the pool's background would be at work without a pause.
    ///
    /// Guide: `reference/configuration`.
    #[error(
        "{field} is {value:?}, below {least:?}, and would keep the pool busy without a pause: \
         set it to {least:?} or more{}; guide: {}",
        or_off(field),
        page::CONFIGURATION
    )]
    #[non_exhaustive]
    TooShort {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: Duration,
        /// The least that it may be.
        least: Duration,
    },
    /// `min_connections` is above `max_connections`.
    ///
    /// Guide: `reference/configuration`.
    #[error(
        "min_connections is {min}, above max_connections, which is {max}: lower it or raise max_connections; guide: {}",
        page::CONFIGURATION
    )]
    #[non_exhaustive]
    MinAboveMax {
        /// The value of `min_connections`.
        min: usize,
        /// The value of `max_connections`.
        max: usize,
    },
    /// `connect_backoff` is above `max_connect_backoff`.
    ///
    /// Guide: `reference/configuration`.
    #[error(
        "connect_backoff is {first:?}, above max_connect_backoff, which is {max:?}: lower it; guide: {}",
        page::CONFIGURATION
    )]
    #[non_exhaustive]
    BackoffAboveMax {
        /// The value of `connect_backoff`.
        first: Duration,
        /// The value of `max_connect_backoff`.
        max: Duration,
    },
    /// `lifetime_jitter` is not a share.
    ///
    /// Guide: `reference/configuration`.
    #[error(
        "lifetime_jitter is {jitter}: it is a share of max_lifetime, from 0.0 to 1.0; guide: {}",
        page::CONFIGURATION
    )]
    #[non_exhaustive]
    JitterOutOfRange {
        /// The value of `lifetime_jitter`.
        jitter: f64,
    },
    /// `check_packet` is longer than `max_frame_length`: each health check would close a sound connection.
    ///
    /// Guide: `reference/packet-protocol`.
    #[error(
        "check_packet has {}, above max_frame_length, which is {max}: shorten it or raise max_frame_length; guide: {}",
        Counted(*.length, "byte"),
        page::PACKET_PROTOCOL
    )]
    #[non_exhaustive]
    CheckPacketTooLong {
        /// The length of `check_packet`.
        length: usize,
        /// The value of `max_frame_length`.
        max: usize,
    },
}

/// How a duration is switched off, if it can be.
fn or_off(field: &str) -> &'static str {
    match field {
        "leak_threshold" => ", or None to report no leak",
        field if NEVER_OFF.contains(&field) => "",
        _ => ", or Duration::MAX to switch it off",
    }
}

impl ConfigError {
    /// The name of the option that is wrong.
    ///
    /// ```
    /// use poolhouse::PoolConfig;
    ///
    /// let config = PoolConfig { lifetime_jitter: 2.0, ..PoolConfig::default() };
    /// assert_eq!(config.validate().unwrap_err().field(), "lifetime_jitter");
    /// ```
    pub fn field(&self) -> &'static str {
        match self {
            Self::Zero { field } | Self::NoTime { field } | Self::TooShort { field, .. } => field,
            Self::MinAboveMax { .. } => "min_connections",
            Self::BackoffAboveMax { .. } => "connect_backoff",
            Self::JitterOutOfRange { .. } => "lifetime_jitter",
            Self::CheckPacketTooLong { .. } => "check_packet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_checked_and_names_its_field() {
        const SHORT: Duration = Duration::from_nanos(999_999);
        let base = PoolConfig::default;
        let cases = [
            ("max_connections", PoolConfig { max_connections: 0, min_connections: 0, ..base() }),
            ("min_connections", PoolConfig { min_connections: 11, ..base() }),
            ("max_connecting", PoolConfig { max_connecting: 0, ..base() }),
            ("max_pending", PoolConfig { max_pending: Some(0), ..base() }),
            ("connection_timeout", PoolConfig { connection_timeout: Duration::ZERO, ..base() }),
            ("idle_timeout", PoolConfig { idle_timeout: Duration::ZERO, ..base() }),
            ("health_check_interval", PoolConfig { health_check_interval: Duration::ZERO, ..base() }),
            ("max_lifetime", PoolConfig { max_lifetime: Duration::ZERO, ..base() }),
            ("connect_attempt_timeout", PoolConfig { connect_attempt_timeout: Duration::ZERO, ..base() }),
            ("health_check_timeout", PoolConfig { health_check_timeout: Duration::ZERO, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: Duration::ZERO, ..base() }),
            ("max_connect_backoff", PoolConfig { max_connect_backoff: Duration::ZERO, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: Duration::from_secs(6), ..base() }),
            ("leak_threshold", PoolConfig { leak_threshold: Some(Duration::ZERO), ..base() }),
            ("health_check_interval", PoolConfig { health_check_interval: SHORT, ..base() }),
            ("max_lifetime", PoolConfig { max_lifetime: SHORT, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: SHORT, ..base() }),
            (
                "max_connect_backoff",
                PoolConfig { connect_backoff: LEAST, max_connect_backoff: SHORT, ..base() },
            ),
            ("leak_threshold", PoolConfig { leak_threshold: Some(SHORT), ..base() }),
            ("lifetime_jitter", PoolConfig { lifetime_jitter: -0.1, ..base() }),
            ("lifetime_jitter", PoolConfig { lifetime_jitter: f64::NAN, ..base() }),
        ];
        for (field, config) in &cases {
            let error = config.validate().expect_err(field);
            assert_eq!(error.field(), *field);
            assert!(error.to_string().contains(field), "{error}");
        }
        let unbounded = ["check_after_idle", "idle_order", "detect_nested_acquires"];
        for (option, _) in base().options() {
            let bounded = cases.iter().any(|(field, _)| *field == option);
            assert_ne!(
                bounded,
                unbounded.contains(&option),
                "{option}: add a case, or say that it has no bound"
            );
        }
        let error = PoolConfig { max_lifetime: SHORT, ..base() }.validate().unwrap_err().to_string();
        assert!(
            error.contains(": set it to 1ms or more, or Duration::MAX to switch it off; guide: "),
            "{error}"
        );
        let least = PoolConfig {
            health_check_interval: LEAST,
            max_lifetime: LEAST,
            connect_backoff: LEAST,
            max_connect_backoff: LEAST,
            leak_threshold: Some(LEAST),
            idle_timeout: Duration::from_nanos(1),
            ..base()
        };
        assert_eq!(least.validate(), Ok(()));
        assert_eq!(base().validate(), Ok(()));
    }

    #[test]
    fn durations_are_shown_in_the_unit_a_person_would_use() {
        for (millis, text) in
            [(250, "250 ms"), (1500, "1500 ms"), (90_000, "90 s"), (300_000, "5 min"), (7_200_000, "2 h")]
        {
            assert_eq!(in_units(Duration::from_millis(millis)), text);
        }
        assert_eq!(in_units(Duration::MAX), "never");
    }
}
