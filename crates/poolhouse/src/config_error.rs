//! Why a pool cannot have an option.

use std::time::Duration;

use thiserror::Error;

use crate::config::NEVER_OFF;
use crate::error::{Counted, page};

/// An option that no pool can have. The message names the field and says what to change.
///
/// Its text ends with a page of the guide: see `poolhouse::GUIDE`.
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
    /// A duration is so short that the pool's background task would never rest.
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
    /// A number is above another that bounds it.
    ///
    /// Guide: `reference/configuration`.
    #[error(
        "{} is {}, above {}, which is {}: lower it or raise {}; guide: {}",
        low.0, low.1, high.0, high.1, high.0,
        page::CONFIGURATION
    )]
    #[non_exhaustive]
    AboveOther {
        /// The name and the value of the number that is too high.
        low: (&'static str, usize),
        /// The name and the value of what bounds it.
        high: (&'static str, usize),
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
    /// `check_packet` is longer than `max_frame_length`: each health check would close a healthy connection.
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
            Self::AboveOther { low, .. } => low.0,
            Self::BackoffAboveMax { .. } => "connect_backoff",
            Self::JitterOutOfRange { .. } => "lifetime_jitter",
            Self::CheckPacketTooLong { .. } => "check_packet",
        }
    }
}
