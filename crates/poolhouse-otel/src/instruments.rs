//! What is exported: each name, unit and description, once for all exporters.

use crate::pools::Reading;

/// The attribute by which one pool is told from another.
pub(crate) const POOL_NAME: &str = "db.client.connection.pool.name";
/// The name of pools without one.
pub(crate) const UNNAMED: &str = "unnamed";
pub(crate) const ERROR: &str = "error.type";
pub(crate) const REASON: &str = "poolhouse.close.reason";
const STATE: &str = "db.client.connection.state";

/// What a value is told apart by, beside the pool's name.
pub(crate) type Attribute = (&'static str, &'static str);

/// Upper bounds in seconds for the buckets of the times. Those of the exporters are made for milliseconds, and would put
/// every time into the first. A hand-out takes microseconds, and the longest deadline that people set is half a minute.
pub(crate) const BOUNDS: [f64; 13] =
    [0.000_01, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// A metric. The unit is one of UCUM, as OpenTelemetry writes it.
#[derive(Clone, Copy)]
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) what: &'static str,
}

const fn instrument(name: &'static str, unit: &'static str, what: &'static str) -> Instrument {
    Instrument { name, unit, what }
}

/// A counter. Its number is its place in [`COUNTERS`].
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Timeouts,
    FailedAcquires,
    FailedConnects,
    Closed,
    Leaked,
}

/// The first has a name in the conventions. The others have none there.
pub(crate) const COUNTERS: [Instrument; 5] = [
    instrument("db.client.connection.timeouts", "{timeout}", "How many acquires have timed out."),
    instrument(
        "poolhouse.acquire.failures",
        "{acquire}",
        "How many acquires gave no connection, by the kind of error.",
    ),
    instrument(
        "poolhouse.connect.failures",
        "{connect}",
        "How many attempts to open a connection failed, by what retrying can do about it.",
    ),
    instrument(
        "poolhouse.connection.closed",
        "{connection}",
        "How many connections the pool has closed, by reason.",
    ),
    instrument(
        "poolhouse.connection.leaked",
        "{connection}",
        "How many holds lasted longer than leak_threshold.",
    ),
];

/// A histogram of times. Its number is its place in [`TIMES`].
#[derive(Clone, Copy)]
pub(crate) enum Time {
    Create,
    Wait,
    Use,
}

pub(crate) const TIMES: [Instrument; 3] = [
    instrument("db.client.connection.create_time", "s", "How long it took to open a connection."),
    instrument(
        "db.client.connection.wait_time",
        "s",
        "How long it took to get a connection from the pool, or to time out.",
    ),
    instrument("db.client.connection.use_time", "s", "How long a connection was held."),
];

/// Takes one value of a gauge, with what it is told apart by.
pub(crate) type Tell<'a> = dyn FnMut(usize, Option<Attribute>) + 'a;

/// A number that goes up and down, read from a pool's statistics.
pub(crate) struct Gauge {
    pub(crate) instrument: Instrument,
    /// Tells each value that a pool has.
    pub(crate) read: fn(&Reading, &mut Tell<'_>),
}

pub(crate) const GAUGES: [Gauge; 5] = [
    Gauge {
        instrument: instrument(
            "db.client.connection.count",
            "{connection}",
            "How many connections are open, by their state.",
        ),
        read: |reading, tell| {
            tell(reading.idle, Some((STATE, "idle")));
            tell(reading.used, Some((STATE, "used")));
        },
    },
    Gauge {
        instrument: instrument(
            "db.client.connection.pending_requests",
            "{request}",
            "How many acquires wait for a connection.",
        ),
        read: |reading, tell| tell(reading.pending, None),
    },
    Gauge {
        instrument: instrument(
            "db.client.connection.max",
            "{connection}",
            "How many connections may be open.",
        ),
        read: |reading, tell| tell(reading.max, None),
    },
    Gauge {
        instrument: instrument(
            "db.client.connection.idle.max",
            "{connection}",
            "How many connections may be idle.",
        ),
        read: |reading, tell| tell(reading.max_idle, None),
    },
    Gauge {
        instrument: instrument(
            "db.client.connection.idle.min",
            "{connection}",
            "How many idle connections the pool keeps ready.",
        ),
        read: |reading, tell| tell(reading.min_idle, None),
    },
];
