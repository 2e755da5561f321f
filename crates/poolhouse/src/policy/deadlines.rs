//! The times at which the background has to act, one for each kind of work, in one table.
//!
//! Between two plans a time can only be brought forward. A plan clears the table and enters what is due after it.

use super::Tick;

/// What falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The wait of an acquire ends.
    Wait,
    /// An idle connection reaches `idle_timeout`.
    Idle,
    /// A connection reaches its lifetime.
    Lifetime,
    /// A connection needs a successor, a little before its lifetime ends.
    Successor,
    /// An idle connection needs its regular health check.
    Check,
    /// A chore or a connect for a waiter takes so long that a connect begins beside it.
    Patience,
    /// A hold becomes too long.
    Leak,
    /// Connecting has failed for `fail_fast_after`.
    FailFast,
    /// The pause after failed connects ends.
    Backoff,
}

const KINDS: usize = Deadline::Backoff as usize + 1;

#[derive(Debug)]
pub(super) struct Deadlines {
    due: [Tick; KINDS],
    next: Tick,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { due: [Tick::NEVER; KINDS], next: Tick::NEVER }
    }
}

impl Deadlines {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Enters a time. Returns whether it comes before all others, so that a sleeping background has to be told.
    #[inline]
    pub(super) fn bring_forward(&mut self, which: Deadline, at: Tick) -> bool {
        let due = &mut self.due[which as usize];
        *due = at.min(*due);
        let first = at < self.next;
        self.next = at.min(self.next);
        first
    }

    /// When the background has to act next, whatever for.
    pub(super) fn next_wake(&self) -> Tick {
        self.next
    }

    #[cfg(test)]
    pub(super) fn due(&self, which: Deadline) -> Tick {
        self.due[which as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_the_earliest_time_has_to_be_told() {
        let (mut deadlines, now) = (Deadlines::default(), Tick::START);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(deadlines.bring_forward(Deadline::Idle, after(9)));
        assert!(!deadlines.bring_forward(Deadline::Check, after(9)));
        assert!(deadlines.bring_forward(Deadline::Check, after(3)));
        assert!(!deadlines.bring_forward(Deadline::Idle, after(5)));
        assert_eq!(deadlines.next_wake(), after(3));
        assert_eq!(deadlines.due(Deadline::Idle), after(5));
        deadlines.clear();
        assert_eq!(deadlines.next_wake(), Tick::NEVER);
    }
}
