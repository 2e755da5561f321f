//! Attempts to connect: how many may be under way, and what the pool concludes from how they end.
//!
//! A connect that succeeds proves little: a server at its own limit accepts and closes at once. So the pause after
//! failures ends only when somebody has looked at the new connection and found it alive, or when one whose connect began
//! after the latest failure has become idle. If it is found dead instead, its connect has failed after all. An outcome that
//! is older than the latest one changes nothing.

mod patience;

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use self::patience::ConnectTimeEwma;
pub(super) use self::patience::GRACE;
use super::backoff::Backoff;
use super::deadlines::Deadline;
use super::eviction::{Home, Origin};
use super::lifetime::Lifetime;
use super::waiting::Refusal;
use super::{Effects, Entry, FailedConnect, Policy, Span, Tick};
use crate::config::PoolConfig;
use crate::events::RetireReason;
use crate::manager::FailureKind;

pub(super) struct Attempt {
    pub(super) started: Tick,
    /// When its background task has ended it, unless nobody drives the runtime of that task.
    overdue_at: Tick,
    /// It was overdue when another background task made a plan.
    stalled: bool,
    pub(super) origin: Origin,
    /// Its connection was opened elsewhere: this is only for its room.
    adopted: bool,
    /// When its connection has to have gone, if `invalidate_all_over` came while it was under way.
    ends_by: Option<Tick>,
    /// The number of its connection, once the connect has succeeded.
    connection: Option<u64>,
    /// The connection whose lifetime ends soon, if this is for its successor.
    replaces: Option<u64>,
    state: AttemptState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptState {
    Wanted,
    /// Nobody wants it any more. Its background task does not know yet.
    Abandoned,
    /// Its background task has been told to drop it.
    Dropping,
}

impl Attempt {
    /// How long the connect took. What was opened elsewhere says nothing about connecting.
    fn took(&self, opened_at: Tick) -> Duration {
        if self.adopted { Duration::ZERO } else { opened_at.since(self.started) }
    }
}

/// The latest failure to connect, if no connect has succeeded since.
pub(super) struct LastFailure<E> {
    pub(super) error: Arc<E>,
    pub(super) at: Tick,
    pub(super) kind: FailureKind,
    /// Failures since the last connect that succeeded.
    pub(super) in_a_row: u64,
    /// When the first of these was since nothing is open. `None` if the server has answered since that it is busy: it is
    /// not down.
    pub(super) down_since: Option<Tick>,
}

/// How an attempt to connect failed.
pub(crate) struct FailedAttempt<E> {
    pub(crate) error: Arc<E>,
    pub(crate) kind: FailureKind,
}

/// The failure of a connect that succeeded, and whose connection was dead before anybody used it.
pub(crate) struct ClosedAtOnce;

pub(super) struct Connects<E> {
    attempts: Slab<Attempt>,
    /// Of the attempts, those that nobody wants any more, and those for successors.
    abandoned: usize,
    replacing: usize,
    /// Of the attempts, wanted or not, those that have stalled.
    stalled: usize,
    backoff: Backoff,
    pauses: (Duration, Duration),
    max_connecting: usize,
    attempt_timeout: Duration,
    fail_fast_after: Duration,
    connect_time: ConnectTimeEwma,
    last_failure: Option<LastFailure<E>>,
    /// How many failures have said something about the server of their time.
    telling_failures: u64,
    /// Whether a connection has been open since nothing was that proved to work, or was idle.
    worked: bool,
    /// When the youngest connection was opened that proved to work.
    last_success: Option<Tick>,
    last_connection: u64,
}

impl<E> Connects<E> {
    pub(super) fn new(config: &PoolConfig) -> Self {
        Self {
            attempts: Slab::new(),
            abandoned: 0,
            replacing: 0,
            stalled: 0,
            backoff: Backoff::default(),
            pauses: (config.connect_backoff, config.max_connect_backoff),
            max_connecting: config.max_connecting,
            attempt_timeout: config.connect_attempt_timeout,
            fail_fast_after: config.fail_fast_after,
            connect_time: ConnectTimeEwma::default(),
            last_failure: None,
            telling_failures: 0,
            worked: false,
            last_success: None,
            last_connection: 0,
        }
    }

    pub(super) fn set_limits(&mut self, config: &PoolConfig, now: Tick) {
        self.pauses = (config.connect_backoff, config.max_connect_backoff);
        self.max_connecting = config.max_connecting;
        self.attempt_timeout = config.connect_attempt_timeout;
        self.fail_fast_after = config.fail_fast_after;
        let down_since = self.last_failure.as_ref().and_then(|last| last.down_since);
        self.backoff.shorten(self.pauses_for(down_since, now).1);
    }

    /// Attempts that take up room, wanted or not.
    pub(super) fn under_way(&self) -> usize {
        self.attempts.len()
    }

    /// Attempts that are still wanted.
    pub(super) fn coming(&self) -> usize {
        self.attempts.len() - self.abandoned
    }

    /// Of those that are wanted, the ones that do not stand in for a connection that is open.
    pub(super) fn additions(&self) -> usize {
        self.coming().saturating_sub(self.replacing)
    }

    pub(super) fn is_replacing(&self, connection: u64) -> bool {
        let mut attempts = self.attempts.iter().map(|(_, attempt)| attempt);
        attempts.any(|attempt| attempt.replaces == Some(connection) && !attempt.stalled)
    }

    /// How many attempts may begin, if the maximum has room for so many connections.
    pub(super) fn slots(&self, room: usize) -> usize {
        // One probe is enough to learn whether a server that refused is back.
        let at_once = if self.backoff.failing() { 1 } else { self.max_connecting };
        room.min(at_once.saturating_sub(self.attempts.len() - self.stalled))
    }

    /// When the pause after failures ends, while it lasts.
    pub(super) fn pause(&self, now: Tick) -> Option<Tick> {
        self.backoff.pause(now)
    }

    /// When the pause after failures ends or has ended.
    pub(super) fn next_attempt(&self) -> Option<Tick> {
        self.backoff.until()
    }

    pub(super) fn telling_failures(&self) -> u64 {
        self.telling_failures
    }

    pub(super) fn is_failing(&self) -> bool {
        self.backoff.failing()
    }

    pub(super) fn last_failure(&self) -> Option<&LastFailure<E>> {
        self.last_failure.as_ref()
    }

    /// An attempt begins. Returns its key.
    pub(super) fn begin(&mut self, origin: Origin, replaces: Option<u64>, now: Tick) -> usize {
        self.replacing += usize::from(replaces.is_some());
        self.attempts.insert(Attempt {
            started: now,
            overdue_at: now + self.attempt_timeout + GRACE,
            stalled: false,
            origin,
            adopted: false,
            ends_by: None,
            connection: None,
            replaces,
            state: AttemptState::Wanted,
        })
    }

    fn end(&mut self, key: usize) -> Attempt {
        let attempt = self.attempts.remove(key);
        if attempt.state != AttemptState::Wanted {
            self.abandoned -= 1;
        } else if attempt.replaces.is_some() {
            self.replacing -= 1;
        }
        self.stalled -= usize::from(attempt.stalled);
        attempt
    }

    fn next_connection(&mut self) -> u64 {
        self.last_connection += 1;
        self.last_connection
    }

    /// What is opening now has to have gone by then.
    pub(super) fn end_by(&mut self, at: Tick) {
        for (_, attempt) in &mut self.attempts {
            attempt.ends_by = Some(attempt.ends_by.map_or(at, |before| before.min(at)));
        }
    }

    /// Ends the pause after failures. Returns the last error, to be dropped outside of the lock.
    pub(super) fn forget_failures(&mut self) -> Option<Arc<E>> {
        self.backoff.succeeded();
        self.last_failure.take().map(|last| last.error)
    }

    /// How long the server has been down is unknown.
    pub(super) fn forget_outage(&mut self) {
        if let Some(last) = &mut self.last_failure {
            last.down_since = None;
        }
    }

    /// The last connection has gone. What failed while one was open that worked was no outage.
    pub(super) fn on_nothing_open(&mut self) {
        if std::mem::take(&mut self.worked) {
            self.forget_outage();
        }
    }

    /// Notes a failure and draws the pause before the next attempt. Returns the error before it, to be dropped outside of
    /// the lock.
    fn on_failed(
        &mut self,
        FailedAttempt { error, kind }: FailedAttempt<E>,
        nothing_open: bool,
        (started, now): (Tick, Tick),
        rng: &mut fastrand::Rng,
    ) -> Option<Arc<E>> {
        self.telling_failures += 1;
        let before = self.last_failure.take();
        let in_a_row = before.as_ref().map_or(0, |last| last.in_a_row) + 1;
        let down_since = match kind {
            FailureKind::Busy => None,
            FailureKind::Transient | FailureKind::Permanent => {
                let before = before.as_ref().and_then(|last| last.down_since);
                before.or(nothing_open.then_some(now))
            }
        };
        self.backoff.failed(started, now, self.pauses_for(down_since, now), rng);
        self.last_failure = Some(LastFailure { error, at: now, kind, in_a_row, down_since });
        before.map(|last| last.error)
    }

    /// The shortest and the longest pause. Before acquires fail fast the server is tried often enough that a restart of half
    /// that time stays invisible.
    fn pauses_for(&self, down_since: Option<Tick>, now: Tick) -> (Duration, Duration) {
        let (first, most) = self.pauses;
        let fails_fast_soon = down_since.is_some_and(|since| now < since + self.fail_fast_after);
        if !fails_fast_soon {
            return self.pauses;
        }
        let most = most.min(self.fail_fast_after / 4);
        (first.min(most), most)
    }
}

impl<C, E, W> Policy<C, E, W> {
    /// Room for a connection that was opened elsewhere, if there is any: as if it were being opened. Returns the key.
    pub(crate) fn reserve(&mut self, home: Home, now: Tick) -> Option<usize> {
        if !self.eviction.is_in_service() || self.room() == 0 {
            return None;
        }
        let origin = self.eviction.origin(home);
        let key = self.connects.begin(origin, None, now);
        self.connects.attempts[key].adopted = true;
        Some(key)
    }

    /// A connect has succeeded, and `connected` follows. Gives the connection its number, so that the listener can be
    /// told before anybody has it, and says how long the connect took.
    pub(crate) fn announce(&mut self, attempt: usize, now: Tick) -> (u64, Duration) {
        let connection = self.connects.next_connection();
        let attempt = &mut self.connects.attempts[attempt];
        attempt.connection = Some(connection);
        (connection, attempt.took(now))
    }

    /// A connect succeeded at `opened_at`. Returns the connection's number, and how long the connect took.
    pub(crate) fn connected(
        &mut self,
        attempt: usize,
        connection: C,
        (opened_at, now): (Tick, Tick),
        fx: &mut Effects<C, E, W>,
    ) -> (u64, Duration) {
        let attempt = self.attempt_ended(attempt, fx);
        let took = attempt.took(opened_at);
        self.stats.connections_created += 1;
        self.connects.worked |= attempt.adopted;
        if !attempt.adopted {
            self.stats.connect_times.record_micros(Span::from(took).as_micros());
            // One that stalled, or during which the machine slept, says nothing about how long a connect takes.
            if !attempt.stalled {
                self.connects.connect_time.record(took.min(self.config.connect_attempt_timeout));
            }
        }
        let ends_by = attempt.ends_by.map(|at| (at, self.lead()));
        let lifetime = Lifetime::draw(opened_at, ends_by, &self.config, &mut self.rng);
        let id = attempt.connection.unwrap_or_else(|| self.connects.next_connection());
        let record = self.holders.on_opened(id, lifetime, opened_at);
        self.wake_by(Deadline::Successor, lifetime.replace_at, fx);
        // With one more there may be one above the minimum, so the idle time of the others counts.
        if let Some(longest) = self.idle.longest_idle_since() {
            self.wake_by(Deadline::Idle, self.idles_out_at(longest), fx);
        }
        let replaced = attempt.replaces.and_then(|old| self.replace(old, record, fx));
        let entry = Entry {
            connection,
            id,
            use_count: 0,
            record,
            fresh: !attempt.adopted,
            needs_reset: false,
            manager_resets: false,
            manager_closes: false,
            prepared: true,
            origin: attempt.origin,
            connect_began_at: attempt.started,
            opened_at,
            idle_since: replaced.unwrap_or(opened_at),
            held_since: opened_at,
            checked_at: opened_at,
            looked_at: None,
            turn: self.waiting.next_turn(),
        };
        self.place(Box::new(entry), now, fx);
        if attempt.state != AttemptState::Wanted {
            self.abandon_surplus(fx);
        }
        // Room that the pause after failures or `max_connecting` kept closed may be open now.
        self.request_plan_if_work(now, fx);
        (id, took)
    }

    /// The successor of `old` is here. An idle one goes, and hands on how long it has idled, so that replacing a
    /// connection does not keep it from idling out. One that is held or in a chore goes when it comes back.
    fn replace(&mut self, old: u64, successor: u32, fx: &mut Effects<C, E, W>) -> Option<Tick> {
        if let Some(entry) = self.idle.take(old) {
            let idle_since = entry.idle_since;
            let reason = self.holders.lifetime(entry.record).reason;
            self.retire(entry, reason, fx);
            return Some(idle_since);
        }
        self.holders.on_successor(old, successor);
        None
    }

    /// A connect has failed. What began before `invalidate_all` or a suspension says nothing about now, nor does what
    /// has stalled. Returns how long the connect took.
    pub(crate) fn connect_failed(
        &mut self,
        attempt: usize,
        failure: FailedAttempt<E>,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) -> Duration {
        let attempt = self.attempt_ended(attempt, fx);
        self.stats.failed_connects += 1;
        if self.eviction.is_current(attempt.origin) && !attempt.stalled {
            let kind = failure.kind;
            self.note_failure(failure, self.open() == 0, (attempt.started, now), fx);
            self.refuse_if_permanent(kind, fx);
            self.end_waits_in_outage(now, fx);
            self.wake_for_outage(fx);
        } else {
            fx.spent_errors.push(failure.error);
        }
        self.request_plan_if_work(now, fx);
        now.since(attempt.started)
    }

    /// A permanent failure is the answer to everybody who waits, unless a connection is open or about to be: that one
    /// serves them.
    fn refuse_if_permanent(&mut self, kind: FailureKind, fx: &mut Effects<C, E, W>) {
        if kind != FailureKind::Permanent || self.open() + self.connects.coming() > 0 {
            return;
        }
        let Self { connects, waiting, .. } = self;
        let Some(last) = connects.last_failure() else { return };
        let refusal = || {
            let (error, attempts) = (Arc::clone(&last.error), last.in_a_row);
            Refusal::Connect { error, attempts, retry: None }
        };
        waiting.refuse_all(refusal, &mut fx.wake);
    }

    /// A connect went away without an outcome: it was abandoned, the pool closed, or the runtime ended.
    pub(crate) fn connect_lost(&mut self, attempt: usize, now: Tick, fx: &mut Effects<C, E, W>) {
        self.attempt_ended(attempt, fx);
        self.request_plan_if_work(now, fx);
    }

    fn attempt_ended(&mut self, attempt: usize, fx: &mut Effects<C, E, W>) -> Attempt {
        fx.progress = true;
        self.connects.end(attempt)
    }

    /// A new connection has passed the look before its first use: its connect has succeeded indeed.
    pub(crate) fn proven(&mut self, entry: &mut Entry<C>, now: Tick, fx: &mut Effects<C, E, W>) {
        self.note_success(entry, fx);
        self.request_plan_if_work(now, fx);
    }

    /// Ends the pause after failures, unless a failure came later.
    fn note_success(&mut self, entry: &mut Entry<C>, fx: &mut Effects<C, E, W>) {
        if !std::mem::take(&mut entry.fresh) {
            return;
        }
        let last_success = &mut self.connects.last_success;
        *last_success = (*last_success).max(Some(entry.opened_at));
        self.ends_failures(entry, |last, entry| last <= entry.opened_at, fx);
    }

    /// A new connection becomes idle before anybody has looked at it. That proves little, for a server that accepts and closes
    /// gets so far too: it ends the pause only if its connect began after the latest failure. Else two connects at a time,
    /// one for a waiter and one for the minimum, would end each other's pauses without end.
    pub(super) fn note_rest(&mut self, entry: &mut Entry<C>, fx: &mut Effects<C, E, W>) {
        if std::mem::take(&mut entry.fresh) {
            self.ends_failures(entry, |last, entry| last < entry.connect_began_at, fx);
        }
    }

    fn ends_failures(
        &mut self,
        entry: &Entry<C>,
        is_later: impl Fn(Tick, &Entry<C>) -> bool,
        fx: &mut Effects<C, E, W>,
    ) {
        self.connects.worked = true;
        let latest = self.connects.last_failure().is_none_or(|last| is_later(last.at, entry));
        if latest && self.eviction.is_current(entry.origin) {
            fx.spent_errors.extend(self.connects.forget_failures());
        }
    }

    fn note_failure(
        &mut self,
        failure: FailedAttempt<E>,
        nothing_open: bool,
        (started, now): (Tick, Tick),
        fx: &mut Effects<C, E, W>,
    ) {
        let spent = self.connects.on_failed(failure, nothing_open, (started, now), &mut self.rng);
        fx.spent_errors.extend(spent);
    }

    /// A connection that was handed out is dead, as a look at it showed before anybody used it. One that nobody has used
    /// yet counts as a failed attempt, unless a younger one has proved to work: a server that accepts and closes is to
    /// be asked less often, not more.
    pub(crate) fn found_dead(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>)
    where
        E: From<ClosedAtOnce>,
    {
        let latest = self.connects.last_success.is_none_or(|last| last <= entry.opened_at);
        if entry.fresh && latest && self.eviction.is_current(entry.origin) {
            let error = Arc::new(E::from(ClosedAtOnce));
            let took = entry.opened_at.since(entry.connect_began_at);
            fx.failed_connect = Some(Box::new(FailedConnect { error: Arc::clone(&error), took }));
            self.stats.failed_connects += 1;
            let failure = FailedAttempt { error, kind: FailureKind::Transient };
            self.note_failure(failure, self.open() == 1, (entry.connect_began_at, now), fx);
        }
        self.discard(entry, RetireReason::PeerClosed, now, fx);
    }
}
