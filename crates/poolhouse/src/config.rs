//! What a pool may do: the options, their defaults and their bounds.

use std::time::Duration;

pub use crate::config_error::ConfigError;

/// The smallest value of the limits that set a timer of the background task again and again. Timers count in
/// milliseconds: below this value, the background task would run without a pause.
///
/// It does not apply to `idle_timeout`, which closes what comes back at once and opens nothing. Nor does it apply to
/// the limits of one acquire, one connect and one check.
const LEAST: Duration = Duration::from_millis(1);

/// The options that [`Duration::MAX`] does not switch off.
pub(crate) const NEVER_OFF: [&str; 2] = ["connect_backoff", "max_connect_backoff"];

/// The options of a pool.
///
/// Write the options that you change and take the rest from [`PoolConfig::default`]. Any release may add options. So
/// that none breaks your code, the compiler requires `..PoolConfig::default()` at the end: one field is not for you to
/// set.
///
/// One convention means "off": a time is off at [`Duration::MAX`], a number at `None`. Do not switch off a backoff:
/// with `MAX`, the first failed connect is the last attempt for a day.
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
/// With the feature `serde`, a `PoolConfig` can be read from any self-describing format, such as TOML, JSON or YAML,
/// and written to it. The names are those of the fields. An option that is left out has its default. A duration is a
/// text with a unit, such as `"30s"`, `"5m"` or `"250ms"`. `"off"` is [`Duration::MAX`] or `None`. An [`IdleOrder`] is
/// `"lifo"` or `"fifo"`.
///
/// An unknown option is an error that names the option. So is a value that has another form, or that
/// [`validate`](PoolConfig::validate) refuses.
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
    /// How many connections the pool keeps open, from the first acquire or `warm_up` on. A background task opens
    /// missing connections, and `idle_timeout` closes none below this number.
    pub min_connections: usize,
    /// The most connections at any instant: open, opening and closing ones together.
    pub max_connections: usize,
    /// The deadline of one acquire. It covers waiting in the queue, connecting and checking together. Like all times
    /// here, it is measured on tokio's clock. It counts the time that the machine sleeps on Linux and Windows, but not
    /// on macOS.
    pub connection_timeout: Duration,
    /// How many idle connections the pool keeps, besides the held ones, if the maximum has room. The next callers find
    /// them ready. A background task opens missing connections, and `idle_timeout` closes none below this number.
    pub min_idle: usize,
    /// The most idle connections. When one more becomes idle, the pool closes the one that has idled longest, of those
    /// that are not under a check or a reset. It may not be below `min_connections` or `min_idle`.
    pub max_idle: Option<usize>,
    /// How long a connection may be idle before the pool closes it. It never takes the pool below
    /// `min_connections`, or the idle ones below `min_idle`.
    pub idle_timeout: Duration,
    /// How long a connection may be unused before a background task checks it with
    /// [`Manager::check`](crate::Manager::check). At most a tenth of the unused connections, and at least one,
    /// are checked at a time. At least 1 ms.
    pub health_check_interval: Duration,
    /// The age at which the pool closes a connection. It never interrupts a held one, but closes it when it comes back.
    /// For connections that are in use, or that the minimum needs, the pool opens the replacement earlier: by a tenth
    /// of the lifetime or by `connect_attempt_timeout`, whichever is less. At least 1 ms.
    pub max_lifetime: Duration,
    /// How many holders a connection may have, one after another, before the pool closes it.
    pub max_uses: Option<u64>,
    /// How long a connection may be unused before an acquire has it checked first, within the acquire's own deadline.
    /// Zero checks each idle connection every time. A connection that goes from its holder straight to a waiter is not
    /// idle and is not checked, unless there is a hook [`before_reuse`](crate::PoolBuilder::before_reuse). When off,
    /// the pool trusts every idle connection that the peer has not closed. Set it if peers may vanish silently: behind
    /// a firewall or a load balancer that drops idle connections.
    pub check_after_idle: Duration,
    /// How long one attempt to connect may take. Keep it below `connection_timeout`, or an attempt that hangs
    /// leaves an acquire no time for a second one.
    pub connect_attempt_timeout: Duration,
    /// How long one health check may take. A connection that has not answered by then is closed.
    pub health_check_timeout: Duration,
    /// How long one [`reset`](crate::Manager::reset) between two holders may take. A connection that has not finished by
    /// then is closed.
    pub reset_timeout: Duration,
    /// How long one graceful [`close`](crate::Manager::close) may take. The connection counts towards the maximum until
    /// the close has ended, and is dropped when the time is up.
    pub close_timeout: Duration,
    /// The most attempts to connect at once. After a failure it is one, until a connect succeeds.
    pub max_connecting: usize,
    /// The most acquires that may wait. The next one fails at once with
    /// [`Overloaded`](crate::AcquireError::Overloaded). If it is `None`, there is no limit. The limit is never
    /// exceeded: if a waiter returns to its place in the queue, the newest waiters beyond the limit are refused.
    pub max_pending: Option<usize>,
    /// The share of `max_lifetime`, 0.0 to 1.0, by which a connection may retire early. It is drawn once for each
    /// connection, when it opens.
    pub lifetime_jitter: f64,
    /// The pause after the first failed connect. It doubles with each further failure, and each pause is shortened by
    /// up to half at random. At least 1 ms.
    pub connect_backoff: Duration,
    /// The longest pause between failed connects. At least 1 ms.
    pub max_connect_backoff: Duration,
    /// How long connects may keep failing, while no connection is open, before acquires get the failure at once instead
    /// of waiting. The error is [`Connect`](crate::AcquireError::Connect), with the age of the failure and the time of
    /// the next attempt. The first connect that succeeds ends this state. Until then a background task keeps trying,
    /// with the pauses of the backoff. A server that is [`Busy`](crate::FailureKind::Busy) does not count. Off by
    /// default: acquires wait until their deadline. With one second, callers do not notice a restart of half a second,
    /// and learn of an outage quickly. Before acquires fail at once, the pauses between attempts are at most a quarter
    /// of this time. At least 1 ms.
    pub fail_fast_after: Duration,
    /// Which idle connection is used next: the last returned, or the longest idle.
    pub idle_order: IdleOrder,
    /// How long a connection may be held before the pool reports it as a leak, once, with the line that acquired it.
    /// The report ends nothing: the holder keeps the connection. At least 1 ms.
    pub leak_threshold: Duration,
    /// Whether to notice a task that waits for a connection while it holds one of the same pool. The pool logs such a
    /// task, and names it in the text of the timeout. This makes each acquire a little slower.
    pub detect_nested_acquires: bool,
    /// Not an option. Without this field a literal could name every option, and the next new option would break that
    /// code.
    #[doc(hidden)]
    pub _non_exhaustive: (),
}

/// Which idle connection the next acquire gets. It never changes the order of waiters, which is the order of arrival.
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
    /// The connection that came back last. Surplus connections go unused and reach `idle_timeout`, so the pool shrinks.
    #[default]
    Lifo,
    /// The connection that has idled longest. All connections are used in turn, so the pool shrinks late or never.
    Fifo,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            min_connections: 1,
            max_connections: 10,
            connection_timeout: Duration::from_secs(30),
            min_idle: 0,
            max_idle: None,
            idle_timeout: Duration::from_secs(5 * 60),
            health_check_interval: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(60 * 60),
            max_uses: None,
            check_after_idle: Duration::MAX,
            connect_attempt_timeout: Duration::from_secs(10),
            health_check_timeout: Duration::from_secs(5),
            reset_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            max_connecting: 8,
            max_pending: None,
            lifetime_jitter: 0.1,
            connect_backoff: Duration::from_millis(100),
            max_connect_backoff: Duration::from_secs(5),
            fail_fast_after: Duration::MAX,
            idle_order: IdleOrder::Lifo,
            leak_threshold: Duration::MAX,
            detect_nested_acquires: false,
            _non_exhaustive: (),
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
    /// use poolhouse::{GUIDE, PoolConfig};
    ///
    /// let config = PoolConfig { min_connections: 11, ..PoolConfig::default() };
    /// let error = config.validate().unwrap_err();
    /// assert_eq!(error.field(), "min_connections");
    /// assert_eq!(
    ///     error.to_string(),
    ///     format!(
    ///         "min_connections is 11, above max_connections, which is 10: lower it or raise max_connections; \
    ///          guide: {GUIDE}/reference/configuration.html"
    ///     )
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.max_connections == 0 {
            return Err(ConfigError::Zero { field: "max_connections" });
        }
        let lows = [("min_connections", self.min_connections), ("min_idle", self.min_idle)];
        let highs =
            [Some(("max_connections", self.max_connections)), self.max_idle.map(|max| ("max_idle", max))];
        for high in highs.into_iter().flatten() {
            if let Some(low) = lows.into_iter().find(|(_, low)| *low > high.1) {
                return Err(ConfigError::AboveOther { low, high });
            }
        }
        if self.max_uses == Some(0) {
            return Err(ConfigError::Zero { field: "max_uses" });
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
            ("reset_timeout", self.reset_timeout),
            ("close_timeout", self.close_timeout),
        ];
        if let Some((field, _)) = limits.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(ConfigError::NoTime { field });
        }
        let rhythms = [
            ("health_check_interval", self.health_check_interval),
            ("max_lifetime", self.max_lifetime),
            ("connect_backoff", self.connect_backoff),
            ("max_connect_backoff", self.max_connect_backoff),
            ("leak_threshold", self.leak_threshold),
            ("fail_fast_after", self.fail_fast_after),
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
        // Takes `Self` apart by name, so that an option cannot be forgotten here.
        macro_rules! options {
            ($($name:ident => $shown:expr,)+) => {{
                let Self { $($name,)+ _non_exhaustive: () } = self;
                vec![$((stringify!($name), $shown)),+]
            }};
        }
        options! {
            min_connections => min_connections.to_string(),
            max_connections => max_connections.to_string(),
            connection_timeout => in_units(*connection_timeout),
            min_idle => min_idle.to_string(),
            max_idle => or_none(max_idle),
            idle_timeout => in_units(*idle_timeout),
            health_check_interval => in_units(*health_check_interval),
            max_lifetime => in_units(*max_lifetime),
            max_uses => or_none(max_uses),
            check_after_idle => in_units(*check_after_idle),
            connect_attempt_timeout => in_units(*connect_attempt_timeout),
            health_check_timeout => in_units(*health_check_timeout),
            reset_timeout => in_units(*reset_timeout),
            close_timeout => in_units(*close_timeout),
            max_connecting => max_connecting.to_string(),
            max_pending => or_none(max_pending),
            lifetime_jitter => lifetime_jitter.to_string(),
            connect_backoff => in_units(*connect_backoff),
            max_connect_backoff => in_units(*max_connect_backoff),
            fail_fast_after => in_units(*fail_fast_after),
            idle_order => format!("{idle_order:?}"),
            leak_threshold => in_units(*leak_threshold),
            detect_nested_acquires => detect_nested_acquires.to_string(),
        }
    }
}

fn or_none(number: &Option<impl ToString>) -> String {
    number.as_ref().map_or_else(|| "None".to_string(), ToString::to_string)
}

fn in_units(duration: Duration) -> String {
    let whole = |unit: u64| duration.subsec_nanos() == 0 && duration.as_secs().is_multiple_of(unit);
    match duration.as_secs() {
        _ if duration == Duration::MAX => "never".to_string(),
        secs if secs >= 3600 && whole(3600) => format!("{} h", secs / 3600),
        secs if secs >= 60 && whole(60) => format!("{} min", secs / 60),
        secs if whole(1) => format!("{secs} s"),
        _ if duration.subsec_nanos().is_multiple_of(1_000_000) => format!("{} ms", duration.as_millis()),
        _ => format!("{} ms", duration.as_secs_f64() * 1e3),
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
            ("min_idle", PoolConfig { min_idle: 11, ..base() }),
            ("min_idle", PoolConfig { min_idle: 3, max_idle: Some(2), ..base() }),
            ("min_connections", PoolConfig { max_idle: Some(0), ..base() }),
            ("max_uses", PoolConfig { max_uses: Some(0), ..base() }),
            ("max_connecting", PoolConfig { max_connecting: 0, ..base() }),
            ("max_pending", PoolConfig { max_pending: Some(0), ..base() }),
            ("connection_timeout", PoolConfig { connection_timeout: Duration::ZERO, ..base() }),
            ("idle_timeout", PoolConfig { idle_timeout: Duration::ZERO, ..base() }),
            ("health_check_interval", PoolConfig { health_check_interval: Duration::ZERO, ..base() }),
            ("max_lifetime", PoolConfig { max_lifetime: Duration::ZERO, ..base() }),
            ("connect_attempt_timeout", PoolConfig { connect_attempt_timeout: Duration::ZERO, ..base() }),
            ("health_check_timeout", PoolConfig { health_check_timeout: Duration::ZERO, ..base() }),
            ("reset_timeout", PoolConfig { reset_timeout: Duration::ZERO, ..base() }),
            ("close_timeout", PoolConfig { close_timeout: Duration::ZERO, ..base() }),
            ("fail_fast_after", PoolConfig { fail_fast_after: Duration::ZERO, ..base() }),
            ("fail_fast_after", PoolConfig { fail_fast_after: SHORT, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: Duration::ZERO, ..base() }),
            ("max_connect_backoff", PoolConfig { max_connect_backoff: Duration::ZERO, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: Duration::from_secs(6), ..base() }),
            ("leak_threshold", PoolConfig { leak_threshold: Duration::ZERO, ..base() }),
            ("health_check_interval", PoolConfig { health_check_interval: SHORT, ..base() }),
            ("max_lifetime", PoolConfig { max_lifetime: SHORT, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: SHORT, ..base() }),
            (
                "max_connect_backoff",
                PoolConfig { connect_backoff: LEAST, max_connect_backoff: SHORT, ..base() },
            ),
            ("leak_threshold", PoolConfig { leak_threshold: SHORT, ..base() }),
            ("lifetime_jitter", PoolConfig { lifetime_jitter: -0.1, ..base() }),
            ("lifetime_jitter", PoolConfig { lifetime_jitter: f64::NAN, ..base() }),
        ];
        for (field, config) in &cases {
            let error = config.validate().expect_err(field);
            assert_eq!(error.field(), *field);
            assert!(error.to_string().contains(field), "{error}");
        }
        // Of `max_idle` the error names the number that is above it.
        let unbounded = ["max_idle", "check_after_idle", "idle_order", "detect_nested_acquires"];
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
            leak_threshold: LEAST,
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
