//! The pool's time, and how often the clock is read for it.
//!
//! To read the clock costs more than to hand out a connection. So the core is given a way to read it, and decides whether
//! to. As long as calls are rare it reads the clock for each. When [`BURST`] calls have come within [`WINDOW`], one
//! reading serves as many calls again, or as many more as come within [`EXACT`]. The background comes by every [`WINDOW`]
//! while that goes on, and ends it when the calls no longer come so fast: without that, the first call after a lull would
//! be told a time from before it.
//!
//! A clock that stands still, as tokio's does in a test that has paused it, is read for each call: readings that do not
//! differ prove no haste.

use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant, in nanoseconds from some beginning that lies far back. Arithmetic stops at [`Tick::NEVER`], so that a limit of
/// `Duration::MAX` needs no case of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// 146 years after the beginning: as long may a clock run backwards.
    pub(crate) const START: Self = Self(1 << 62);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// From what `Core::tick_at_hand` says.
    pub(crate) fn at_hand(tick: u64) -> Option<Self> {
        (tick > 0).then_some(Self(tick))
    }

    /// The same, but very many if `earlier` is later.
    #[inline]
    pub(super) fn nanos_from(self, earlier: Self) -> u64 {
        self.0.wrapping_sub(earlier.0)
    }

    pub(super) fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// `None` for never.
    pub(super) fn if_ever(self) -> Option<Self> {
        (!self.is_never()).then_some(self)
    }
}

/// A length of time in nanoseconds, as limits are kept: to add one to a [`Tick`] takes no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(u64);

impl Span {
    pub(super) const FOREVER: Self = Self(u64::MAX);

    #[inline]
    pub(super) fn is_forever(self) -> bool {
        self == Self::FOREVER
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

    #[inline]
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

impl Sub<Span> for Tick {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub<Duration> for Tick {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(Span::from(duration).0))
    }
}

/// A span of time that ends when the background wakes.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Window {
    from: u64,
    length: u64,
}

impl Window {
    /// The last of the time until `end`.
    pub(super) fn before(end: Tick, span: Span) -> Self {
        let from = end - span;
        Self { from: from.0, length: end.nanos_since(from) }
    }

    /// One comparison, for both ends.
    #[inline]
    pub(super) fn contains(&self, now: Tick) -> bool {
        now.0.wrapping_sub(self.from) < self.length
    }
}

/// The time: known already, or how to find it out.
pub(crate) trait Time: Copy {
    fn tick(self) -> Tick;
}

impl Time for Tick {
    fn tick(self) -> Tick {
        self
    }
}

impl<F: FnOnce() -> Tick + Copy> Time for F {
    fn tick(self) -> Tick {
        self()
    }
}

/// How many calls make haste, and how many one reading serves then at the least.
pub(super) const BURST: u32 = 64;
/// Where instructions are counted, a program runs some fifty times slower, and it is the fast way that is to be counted.
pub(super) const WINDOW: Duration = Duration::from_millis(if cfg!(poolhouse_counted) { 1000 } else { 1 });
/// For how long one reading is to do, unless that is too short for [`BURST`] calls.
const EXACT: Duration = Duration::from_micros(8);
const LONGEST: u32 = 16 * BURST;

/// The last reading, for the calls that it serves. Small, for each call looks at it: what only a reading looks at is in
/// [`Haste`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Clock {
    last: Tick,
    /// How many more calls the last reading serves.
    credit: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Tick::START, credit: 0 }
    }
}

impl Clock {
    /// The time of the last reading, if that serves this call.
    #[inline]
    pub(super) fn at_hand(&mut self) -> Option<Tick> {
        if self.credit == 0 {
            return None;
        }
        self.credit -= 1;
        Some(self.last)
    }

    /// The time of the last reading, and whether it serves this call: then `spend` has to follow.
    #[inline]
    pub(super) fn peek(&self) -> (Tick, bool) {
        (self.last, self.credit > 0)
    }

    #[inline]
    pub(super) fn spend(&mut self) {
        self.credit -= 1;
    }

    /// The time of the last reading, as a number for others to look at; zero if it serves no further call.
    pub(super) fn tick_at_hand(&self) -> u64 {
        if self.credit > 0 { self.last.0 } else { 0 }
    }
}

/// Decides how many calls a reading serves.
#[derive(Debug)]
pub(super) struct Haste {
    /// When the window began, and how many calls have come in it.
    began: Tick,
    calls: u32,
    /// How many calls a reading serves at present.
    share: u32,
    /// Whether the background comes by.
    watched: bool,
}

impl Default for Haste {
    fn default() -> Self {
        Self { began: Tick::START, calls: 0, share: BURST, watched: false }
    }
}

impl Haste {
    /// The clock has been read for a call. Says whether the background has to begin to come by.
    pub(super) fn read(&mut self, clock: &mut Clock, now: Tick) -> bool {
        let moved = now > clock.last;
        let lasted = now.since(clock.last);
        clock.last = now;
        if now.since(self.began) > WINDOW || now < self.began {
            (self.began, self.calls, self.share) = (now, 0, BURST);
        }
        self.calls += u32::from(moved);
        if !moved || self.calls < BURST {
            return false;
        }
        if self.calls > BURST {
            // One reading has served its share.
            self.share = match lasted {
                _ if lasted > EXACT => (self.share / 2).max(BURST),
                _ if lasted < EXACT / 2 => (self.share * 2).min(LONGEST),
                _ => self.share,
            };
        }
        (self.began, self.calls, clock.credit) = (now, BURST, self.share - 1);
        !std::mem::replace(&mut self.watched, true)
    }

    /// The background has come by.
    pub(super) fn visit(&mut self, clock: &mut Clock, now: Tick) {
        clock.last = clock.last.max(now);
        if now.since(self.began) >= WINDOW {
            clock.credit = 0;
            (self.calls, self.share, self.watched) = (0, BURST, false);
        }
    }

    /// When the background is to come by next.
    pub(super) fn visit_due(&self) -> Tick {
        if self.watched { self.began + WINDOW } else { Tick::NEVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Both(Clock, Haste);

    impl Both {
        fn read(&mut self, now: Tick) -> bool {
            self.1.read(&mut self.0, now)
        }

        fn visit(&mut self, now: Tick) {
            self.1.visit(&mut self.0, now);
        }
    }

    /// Calls that are `apart` from each other; returns how often the clock was read for them.
    fn play(clock: &mut Both, now: &mut Tick, calls: u32, apart: Duration) -> u32 {
        let mut readings = 0;
        for _ in 0..calls {
            *now = *now + apart;
            if clock.0.at_hand().is_none() {
                clock.read(*now);
                readings += 1;
            }
        }
        readings
    }

    #[test]
    fn calls_in_haste_share_a_reading() {
        for (apart, calls, readings) in [(2000, 6400, 100), (50, 16_000, 100), (5, 102_400, 100)] {
            let (mut clock, mut now) = (Both::default(), Tick::START);
            let apart = Duration::from_nanos(apart);
            assert_eq!(play(&mut clock, &mut now, BURST, apart), BURST, "haste has to be shown first");
            play(&mut clock, &mut now, 10_000, apart);
            let read = play(&mut clock, &mut now, calls, apart);
            assert!(read.abs_diff(readings) <= 30, "{apart:?}: {read} readings for {calls} calls");
        }
    }

    #[test]
    fn a_reading_is_never_much_older_than_it_should_be() {
        for apart in [5, 20, 50, 125, 1000, 10_000] {
            let (mut clock, mut now) = (Both::default(), Tick::START);
            for _ in 0..10_000 {
                now = now + Duration::from_nanos(apart);
                match clock.0.at_hand() {
                    Some(told) => {
                        let most = (EXACT * 2).max(Duration::from_nanos(apart) * BURST);
                        assert!(now.since(told) <= most, "{apart}: {:?}", now.since(told));
                    }
                    None => drop(clock.read(now)),
                }
            }
        }
    }

    #[test]
    fn calls_at_leisure_have_their_own() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        assert_eq!(play(&mut clock, &mut now, 1000, WINDOW / 50), 1000);
        assert!(clock.1.visit_due().is_never());
    }

    #[test]
    fn what_slows_down_has_its_own_again() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        play(&mut clock, &mut now, 2 * BURST, Duration::from_nanos(50));
        let slow = play(&mut clock, &mut now, 100 * BURST, WINDOW / 32);
        assert!(slow > 98 * BURST, "{slow}");
    }

    #[test]
    fn after_a_lull_no_call_is_told_an_old_time() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        play(&mut clock, &mut now, BURST + 10, Duration::from_nanos(50));
        let due = clock.1.visit_due();
        assert!(due > now && due <= now + WINDOW);
        clock.visit(now);
        assert!(clock.0.at_hand().is_some(), "it goes on");
        clock.visit(due);
        assert!(clock.0.at_hand().is_none());
        assert!(clock.1.visit_due().is_never());
    }

    #[test]
    fn the_background_is_asked_once() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        let mut asked = 0;
        for _ in 0..10_000 {
            now = now + Duration::from_nanos(50);
            if clock.0.at_hand().is_none() {
                asked += u32::from(clock.read(now));
            }
        }
        assert_eq!(asked, 1);
    }

    #[test]
    fn a_clock_that_stands_still_is_read_each_time() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        for _ in 0..10 {
            assert_eq!(play(&mut clock, &mut now, 1000, Duration::ZERO), 1000);
            now = now + WINDOW;
        }
    }

    #[test]
    fn a_clock_that_is_stopped_in_a_burst_is_read_again() {
        let (mut clock, mut now) = (Both::default(), Tick::START);
        play(&mut clock, &mut now, BURST, Duration::from_nanos(50));
        assert!(play(&mut clock, &mut now, 2 * BURST, Duration::ZERO) > BURST);
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let (mut clock, mut now) = (Both::default(), Tick::START + Duration::from_secs(60));
        play(&mut clock, &mut now, 10, WINDOW);
        let mut back = Tick::START;
        assert_eq!(play(&mut clock, &mut back, 10, WINDOW), 10);
        assert_eq!(clock.0.last, back);
    }

    #[test]
    fn never_stays_never() {
        assert!((Tick::START + Duration::MAX).is_never());
        assert!((Tick::NEVER + Duration::from_secs(1)).is_never());
        assert_eq!(Tick::START.since(Tick::START + Duration::from_secs(1)), Duration::ZERO);
    }
}
