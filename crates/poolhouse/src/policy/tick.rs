//! Instants and lengths of time, as the policy computes with them.

use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant, in nanoseconds from a beginning that lies far back. Arithmetic stops at [`Tick::NEVER`], so a limit of
/// `Duration::MAX` needs no case of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// 146 years after the beginning, so a clock may run backwards for as long.
    pub(crate) const START: Self = Self(1 << 62);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.span_since(earlier).into()
    }

    /// The same, without a conversion.
    pub(super) fn span_since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// `None` for never.
    pub(super) fn if_ever(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }
}

/// A length of time in nanoseconds, as limits are kept: adding one to a [`Tick`] takes no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Span {
    pub(super) const FOREVER: Self = Self(u64::MAX);

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    pub(super) fn as_micros(self) -> u64 {
        self.0 / 1000
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        Self(seconds.saturating_add(u64::from(duration.subsec_nanos())))
    }
}

impl Add<Span> for Tick {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self + Span::from(duration)
    }
}

impl Sub<Duration> for Tick {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(Span::from(duration).0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_its_nanoseconds() {
        assert_eq!(Span::from_nanos(7_000).as_nanos(), 7_000);
        assert_eq!(Span::from(Duration::from_micros(7)), Span::from_nanos(7_000));
    }

    #[test]
    fn never_stays_never() {
        assert_eq!(Tick::START + Duration::MAX, Tick::NEVER);
        assert_eq!(Tick::NEVER + Duration::from_secs(1), Tick::NEVER);
        assert_eq!(Tick::START.since(Tick::START + Duration::from_secs(1)), Duration::ZERO);
    }
}
