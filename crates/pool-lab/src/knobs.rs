//! What can be turned: one table for the check of a value, the address of a page, its controls and their units.

/// What a knob's value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A number with a unit.
    Number {
        /// The unit, such as `ms`. Empty for a count.
        unit: &'static str,
        /// The least value, 0 aside if that means off.
        least: f64,
        /// The greatest value.
        most: f64,
        /// Whether only whole numbers make sense.
        whole: bool,
        /// Whether 0 is allowed and switches it off.
        off: bool,
    },
    /// One of these words. The value is its index.
    Choice(&'static [&'static str]),
}

/// One knob.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Knob {
    /// Its name in a preset, an address and an error. For an option of the pool: the option's own name.
    pub name: &'static str,
    /// Under which heading it stands.
    pub group: &'static str,
    /// Its label in words.
    pub label: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value unless a preset or an address says another.
    pub default: f64,
}

const fn count(least: f64, most: f64) -> Kind {
    Kind::Number { unit: "", least, most, whole: true, off: false }
}

const fn number(unit: &'static str, least: f64, most: f64) -> Kind {
    Kind::Number { unit, least, most, whole: false, off: false }
}

const fn millis(least: f64, most: f64) -> Kind {
    Kind::Number { unit: "ms", least, most, whole: true, off: false }
}

/// The same, with 0 for off.
const fn or_off(kind: Kind) -> Kind {
    match kind {
        Kind::Number { unit, least, most, whole, .. } => Kind::Number { unit, least, most, whole, off: true },
        Kind::Choice(words) => Kind::Choice(words),
    }
}

const SWITCH: Kind = Kind::Choice(&["no", "yes"]);

macro_rules! knobs {
    ($($group:literal { $($name:ident: $kind:expr, $default:literal, $label:literal;)* })*) => {
        /// The value of every knob, by name.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Values { $($(pub(crate) $name: f64,)*)* }

        impl Default for Values {
            fn default() -> Self {
                Self { $($($name: $default,)*)* }
            }
        }

        impl Values {
            pub(crate) fn get(&self, name: &str) -> Option<f64> {
                match name {
                    $($(stringify!($name) => Some(self.$name),)*)*
                    _ => None,
                }
            }

            pub(crate) fn put(&mut self, name: &str, value: f64) {
                match name {
                    $($(stringify!($name) => self.$name = value,)*)*
                    _ => {}
                }
            }
        }

        /// Every knob, in the order in which a page shows them.
        pub const KNOBS: &[Knob] = &[$($(
            Knob { name: stringify!($name), group: $group, label: $label, kind: $kind, default: $default },
        )*)*];
    };
}

const HOUR: f64 = 3_600_000.0;

knobs! {
    "Callers" {
        arrivals: Kind::Choice(&["poisson", "constant", "closed", "burst"]), 0.0, "How requests arrive";
        rate: number("requests/s", 0.1, 10_000.0), 100.0, "Rate, if they arrive at random or evenly";
        callers: count(1.0, 2_000.0), 20.0, "Callers in a closed loop, or requests in a burst";
        think: millis(1.0, HOUR), 100.0, "Pause between a caller's requests, or between bursts";
        trickle: or_off(number("requests/s", 0.1, 10_000.0)), 0.0, "Requests at random beside the bursts";
        holds: Kind::Choice(&["exponential", "constant", "mixed"]), 0.0, "How hold times are spread";
        hold: number("ms", 0.01, 60_000.0), 50.0, "Mean hold time";
        long_every: count(2.0, 1_000.0), 20.0, "Mixed holds: one in so many is long";
        long_factor: number("", 1.0, 100_000.0), 11.0, "Mixed holds: a long one is so many times longer than a short one";
        call: or_off(millis(1.0, 60_000.0)), 0.0, "A call to another service in the middle of each request";
        during_call: Kind::Choice(&["keeps", "releases"]), 0.0, "What it does with its connection during the call";
        nested: SWITCH, 0.0, "Each request acquires a second connection while it holds one";
        patience: or_off(millis(1.0, 600_000.0)), 0.0, "An answer later than this is useless";
        target: millis(1.0, 60_000.0), 20.0, "Target: 99 of 100 acquires wait no longer";
    }
    "Pool" {
        max_connections: count(1.0, 1_000.0), 10.0, "max_connections";
        min_connections: count(0.0, 1_000.0), 1.0, "min_connections";
        connection_timeout: millis(1.0, 600_000.0), 30_000.0, "connection_timeout";
        max_pending: or_off(count(1.0, 100_000.0)), 0.0, "max_pending";
        idle_timeout: or_off(millis(10.0, HOUR)), 300_000.0, "idle_timeout";
        max_lifetime: or_off(millis(100.0, HOUR)), 3_600_000.0, "max_lifetime";
        lifetime_jitter: number("", 0.0, 1.0), 0.1, "lifetime_jitter";
        health_check_interval: or_off(millis(10.0, HOUR)), 30_000.0, "health_check_interval";
        check_after_idle: or_off(millis(1.0, HOUR)), 0.0, "check_after_idle";
        fail_fast_after: or_off(millis(1.0, HOUR)), 0.0, "fail_fast_after";
        max_connecting: count(1.0, 1_000.0), 8.0, "max_connecting";
        idle_order: Kind::Choice(&["lifo", "fifo"]), 0.0, "idle_order";
        detect_nested_acquires: SWITCH, 0.0, "detect_nested_acquires";
        warm: SWITCH, 1.0, "Open the minimum before the first request";
    }
    "Server" {
        replicas: count(1.0, 500.0), 1.0, "Copies of the program (replicas), each with such a pool";
        surge: count(0.0, 500.0), 1.0, "Copies that a deploy starts before it ends as many old ones";
        connect: millis(1.0, 60_000.0), 20.0, "Time to open a connection";
        server_limit: or_off(count(1.0, 50_000.0)), 0.0, "Connections that the server accepts";
        cores: or_off(count(1.0, 1_000.0)), 0.0, "Requests that the server works on at once; others wait inside it";
        contention: number("%", 0.0, 100.0), 0.0, "Slow-down of a request by every other in progress";
        kill_idle: or_off(millis(10.0, HOUR)), 0.0, "A firewall silently drops connections that idle longer";
    }
    "Faults" {
        fault: Kind::Choice(&["none", "outage", "slow", "deploy", "silent"]), 0.0, "Fault; silent: connects get no answer";
        fault_at: number("s", 0.0, 600.0), 10.0, "It begins at";
        fault_for: number("s", 0.0, 600.0), 10.0, "It lasts; in a deploy: an old copy takes so long to end";
        boot: number("s", 0.0, 300.0), 5.0, "In a deploy: a new copy takes so long to start";
        ending: Kind::Choice(&["keeps", "closes"]), 0.0, "In a deploy: an old copy keeps its pool to the end, or closes it first";
        slow_factor: number("", 1.0, 100.0), 5.0, "A slow server is so many times slower";
        leak_every: or_off(count(1.0, 1_000_000.0)), 0.0, "One request in so many never gives its connection back";
    }
    "Run" {
        duration: number("s", 0.1, 6.0 * HOUR / 1e3), 30.0, "Length";
        warm_up: number("s", 0.0, HOUR / 1e3), 0.0, "Leave out of the figures what arrives before";
        seed: count(0.0, 1_000_000_000.0), 1.0, "Seed";
    }
}
