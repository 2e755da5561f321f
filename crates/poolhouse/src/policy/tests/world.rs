//! What is outside of the policy, and what it has been promised. `random.rs` plays the events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::*;

/// A waiter and its number. The numbers follow arrival.
pub(super) type Waiter = (u32, Wait);

/// Who holds a connection: its number, and the wait that it goes on with if the connection is dead.
type Holding = (u32, Tick, Option<Span>);

/// Which `invalidate_all`, suspension and runtime a connect began under.
type Era = (u32, u32, Home);

/// How the policy stands between two events.
pub(super) struct Picture {
    waiting: Vec<u32>,
    answers: HashMap<u32, &'static str>,
    /// Open, opening and closing, at the moment when nothing of it has been carried out.
    share: usize,
    /// Open or wanted, without what is told to go.
    pub(super) staying: usize,
}

pub(super) struct World {
    pub(super) policy: TestPolicy,
    pub(super) homes: Vec<Home>,
    pub(super) now: Tick,
    pub(super) rng: fastrand::Rng,
    pub(super) context: String,
    /// Everybody who has joined and not left, in arrival order, answered or not.
    pub(super) waits: Vec<Waiter>,
    /// Of these, the waiters that sleep until they are woken.
    pub(super) asleep: HashSet<u32>,
    /// The place in the queue of those whose time was up.
    positions: HashMap<u32, usize>,
    pub(super) held: Vec<(Holding, Boxed)>,
    pub(super) checking: Vec<(Boxed, Chore)>,
    /// Of these and of the idle, what its last holder wants reset, and what has been used since the hook before reuse.
    pub(super) dirty: HashSet<u64>,
    pub(super) used: HashSet<u64>,
    pub(super) prepares: bool,
    pub(super) connects: Vec<(usize, Era)>,
    eras: HashMap<u64, Era>,
    pub(super) epoch: u32,
    pub(super) suspensions: u32,
    /// When the youngest check began that failed.
    pub(super) doubt: Option<Tick>,
    pub(super) began: HashMap<u64, Tick>,
    /// The highest `max_uses` that there has been.
    pub(super) most_uses: u64,
    /// The connections whose chores have ended in this step because they were told to stop.
    pub(super) cut_in_step: HashSet<u64>,
    next_waiter: u32,
    pub(super) next_connection: u32,
    pub(super) tally: Tally,
}

/// What has happened, as the world has seen it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) arrivals: u64,
    pub(super) granted: u64,
    pub(super) failed: u64,
    pub(super) overloaded: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) taken_back: u64,
    pub(super) failed_checks: u64,
    pub(super) cut_checks: u64,
    pub(super) resets: u64,
    pub(super) failed_resets: u64,
    pub(super) prepared: u64,
    pub(super) dead: u64,
}

/// Any options that a pool can have.
pub(super) fn options(rng: &mut fastrand::Rng) -> PoolConfig {
    let max = rng.usize(1..6);
    PoolConfig {
        min_connections: rng.usize(0..=max),
        min_idle: if rng.bool() { rng.usize(0..=max) } else { 0 },
        max_idle: (rng.u8(0..4) == 0).then_some(max),
        max_uses: (rng.u8(0..4) == 0).then(|| rng.u64(1..20)),
        fail_fast_after: if rng.bool() { SECOND * rng.u32(1..10) } else { Duration::MAX },
        max_connecting: rng.usize(1..4),
        max_pending: rng.bool().then(|| rng.usize(1..6)),
        idle_timeout: SECOND * rng.u32(1..20),
        max_lifetime: SECOND * rng.u32(5..60),
        health_check_interval: SECOND * rng.u32(1..10),
        check_after_idle: if rng.bool() { SECOND * rng.u32(1..10) } else { Duration::MAX },
        leak_threshold: if rng.bool() { SECOND * rng.u32(1..10) } else { Duration::MAX },
        connection_timeout: if rng.bool() { SECOND * rng.u32(5..40) } else { Duration::MAX },
        idle_order: if rng.bool() { IdleOrder::Lifo } else { IdleOrder::Fifo },
        ..config(max)
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let config = options(&mut rng);
        let context = format!("seed {seed}, {config:?}");
        let (mut policy, home, now) = policy(config);
        let prepares = rng.u8(0..4) == 0;
        if prepares {
            policy.prepare_before_reuse();
        }
        Self {
            policy,
            homes: vec![home],
            now,
            rng,
            context,
            waits: Vec::new(),
            asleep: HashSet::new(),
            positions: HashMap::new(),
            held: Vec::new(),
            checking: Vec::new(),
            dirty: HashSet::new(),
            used: HashSet::new(),
            prepares,
            connects: Vec::new(),
            eras: HashMap::new(),
            epoch: 0,
            suspensions: 0,
            doubt: None,
            began: HashMap::new(),
            most_uses: 0,
            next_waiter: 0,
            cut_in_step: HashSet::new(),
            next_connection: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn pick<T>(rng: &mut fastrand::Rng, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(rng.usize(..from.len())))
    }

    pub(super) fn arrive(&mut self) -> u32 {
        self.next_waiter += 1;
        self.tally.arrivals += 1;
        self.next_waiter
    }

    /// Somebody waits, in the place that its number says.
    pub(super) fn wait(&mut self, waiter: Waiter) {
        let place = self.waits.partition_point(|(id, _)| *id < waiter.0);
        self.waits.insert(place, waiter);
    }

    pub(super) fn leave(&mut self, id: u32) {
        self.waits.retain(|(other, _)| *other != id);
        self.asleep.remove(&id);
    }

    pub(super) fn deadline(&self, wait: Wait) -> Tick {
        let common = Span::from(self.policy.config.connection_timeout);
        wait.since + wait.own_limit.unwrap_or(common)
    }

    /// `epoch.invalidate_all`, `suspend.nothing_moves`, `health.off_path`: what is handed out was opened after the last
    /// event that ended what came before, in a runtime that is there, and is in no doubt.
    pub(super) fn hand_out(&mut self, holder: Holding, mut entry: Boxed) {
        let context = &self.context;
        assert!(!self.dirty.contains(&entry.id), "handed out without its reset: {context}");
        assert!(!self.prepares || !self.used.contains(&entry.id), "handed out without the hook: {context}");
        entry.use_count += 1;
        let uses = self.policy.config.max_uses.unwrap_or(u64::MAX);
        assert!(entry.use_count <= uses.max(self.most_uses), "handed out too often: {context}");
        let (epoch, suspension, home) = self.eras[&entry.id];
        assert_eq!(
            (epoch, suspension),
            (self.epoch, self.suspensions),
            "{} is from before: {context}",
            entry.id
        );
        assert!(self.homes.contains(&home), "its runtime is gone: {context}");
        assert!(!self.policy.is_suspended(), "handed out while suspended: {context}");
        assert!(
            self.policy.holders.lifetime(entry.record).retire_at > self.now,
            "handed out after its lifetime: {context}"
        );
        let proven_at = entry.idle_since.max(entry.checked_at);
        assert!(self.doubt.is_none_or(|doubt| proven_at >= doubt), "handed out in doubt: {context}");
        // What was served by the limits of then is handed out by them.
        let reconfigured = self.most_uses > 0;
        assert!(reconfigured || self.policy.due_chore(&entry, self.now).is_none(), "unchecked: {context}");
        self.tally.granted += 1;
        self.held.push((holder, entry));
    }

    /// The era of a connect that begins now.
    pub(super) fn era(&self, home: Home) -> Era {
        (self.epoch, self.suspensions, home)
    }

    pub(super) fn opened(&mut self, connection: u64, era: Era) {
        assert!(self.eras.insert(connection, era).is_none(), "a number was given twice: {}", self.context);
    }

    pub(super) fn picture(&mut self) -> Picture {
        let tickets: BTreeMap<Ticket, u32> = self.waits.iter().map(|(id, wait)| (wait.ticket, *id)).collect();
        assert_eq!(tickets.len(), self.waits.len(), "two have one place: {}", self.context);
        let policy = &mut self.policy;
        let waiting = policy.waiting.tickets().into_iter().map(|ticket| tickets[&ticket]).collect();
        let answers =
            self.waits.iter().filter_map(|(id, wait)| Some((*id, policy.waiting.answer(wait.ticket)?)));
        Picture {
            waiting,
            answers: answers.collect(),
            share: policy.open() + policy.connects.under_way() + policy.leaving,
            staying: policy.open() - policy.chores.abandoned() + policy.connects.coming(),
        }
    }

    /// What one event may do to those who wait, and to the connections.
    pub(super) fn compare(&mut self, before: &Picture, fx: &mut Fx) {
        let after = self.picture();
        let context = &self.context;
        for id in std::mem::take(&mut fx.wake) {
            assert!(self.asleep.remove(&id), "{id} was woken and did not sleep: {context}");
        }
        assert!(after.waiting.is_sorted(), "the queue is out of order: {context}");
        let newly = |which| -> BTreeSet<u32> {
            let new = |(id, answer): (&u32, &&'static str)| {
                (*answer == which && before.answers.get(id) != Some(&which)).then_some(*id)
            };
            after.answers.iter().filter_map(|(id, answer)| new((id, answer))).collect()
        };
        // acquire.fifo: nobody is served before somebody who came earlier and still waits.
        let (served, refused, timed_out) = (newly("granted"), newly("refused"), newly("timed out"));
        let (first, last) = (after.waiting.first(), after.waiting.last());
        assert!(first.is_none_or(|first| served.iter().all(|id| id < first)), "out of turn: {context}");
        // acquire.shed, connect.permanent: the youngest are refused, or all.
        assert!(last.is_none_or(|last| refused.iter().all(|id| id > last)), "not the youngest: {context}");
        // A waiter that is taken back to its turn in the same call moves the places of the others.
        let mut had = before.answers.iter().filter(|(_, answer)| **answer == "granted");
        let queue_changed = had.any(|(id, _)| after.answers.get(id) != Some(&"granted"));
        for id in timed_out {
            let (_, wait) = self.waits.iter().find(|(other, _)| *other == id).expect("it has not left");
            assert!(self.deadline(*wait) <= self.now, "{id} ends too early: {}", self.context);
            if !queue_changed && let Some(index) = before.waiting.iter().position(|other| *other == id) {
                self.positions.insert(id, index + 1);
            }
        }
        let taken_back = after.waiting.iter().filter(|id| before.answers.contains_key(id)).count();
        self.tally.taken_back += taken_back as u64;
        let max = self.policy.config.max_connections;
        assert!(after.share <= max.max(before.share), "opened above the maximum: {}", self.context);
        self.check_reasons(&after, fx);
    }

    /// `resize.exact`, `size.min`: nothing goes as one too many unless it is.
    fn check_reasons(&self, after: &Picture, fx: &Fx) {
        let (policy, context) = (&self.policy, &self.context);
        let count = |which| fx.retired.iter().filter(|(_, reason)| *reason == which).count();
        let reaped = count(RetireReason::Idle);
        let left = policy.open() - policy.chores.abandoned() + fx.retired.len() - reaped;
        assert!(reaped == 0 || left >= policy.config.min_connections, "reaped below the minimum: {context}");
        // What was told to stop goes, whether or not it would fit by now.
        let shrunk = fx.retired.iter().filter(|(entry, reason)| {
            *reason == RetireReason::Shrunk && !self.cut_in_step.contains(&entry.id)
        });
        let room = policy.config.max_connections;
        assert!(shrunk.count() == 0 || after.staying >= room, "closed one that fits: {context}");
    }

    /// acquire.diagnosis: the place that a waiter had when its time was up.
    pub(super) fn expected_position(&mut self, id: u32) -> Option<usize> {
        self.positions.remove(&id)
    }

    pub(super) fn check(&mut self) {
        let picture = self.picture();
        let (policy, context) = (&self.policy, &self.context);
        let stats = policy.stats();
        let count = |which| picture.answers.values().filter(|answer| **answer == which).count();
        let served = count("granted");

        // One place for each connection.
        let idle: Vec<u64> = policy.idle.iter().map(|entry| entry.id).collect();
        let held = self.held.iter().map(|(_, entry)| entry.id);
        let ids: HashSet<u64> =
            idle.iter().copied().chain(held).chain(self.checking.iter().map(|(entry, _)| entry.id)).collect();
        let places = idle.len() + self.held.len() + self.checking.len();
        assert_eq!(ids.len(), places, "in two places: {context}");
        assert_eq!(policy.open(), places + served, "{context}");
        assert_eq!(policy.held(), self.held.len() + served, "{context}");
        assert_eq!(policy.holders(self.now).len(), policy.held(), "{context}");
        assert_eq!(policy.chores.under_way(), self.checking.len(), "{context}");
        assert_eq!(policy.connects.under_way(), self.connects.len(), "{context}");
        assert_eq!(policy.leaving, 0, "{context}");

        // size.max, resize.exact: only held ones may be above a maximum that shrank.
        assert!(picture.staying <= policy.config.max_connections.max(policy.held()), "{context}");
        let driven = policy.connects.under_way() - policy.connects.stalled();
        assert!(driven <= policy.config.max_connecting, "{context}");

        // acquire.shed, and nobody sleeps through an answer.
        assert_eq!(stats.pending_requests, picture.waiting.len(), "{context}");
        assert!(policy.config.max_pending.is_none_or(|most| picture.waiting.len() <= most), "{context}");
        assert!(
            picture.answers.keys().all(|id| !self.asleep.contains(id)),
            "asleep, and answered: {context}"
        );
        assert_eq!(picture.answers.len() + picture.waiting.len(), self.waits.len(), "{context}");

        // acquire.race. What has idled out may become fit again, and is handed out by the next plan.
        let reaped_at = Span::from(policy.config.idle_timeout);
        let fit = |entry: &&Entry<u32>| {
            policy.retire_reason(entry, self.now).is_none()
                && policy.due_chore(entry, self.now).is_none()
                && entry.idle_since + reaped_at > self.now
        };
        let fit = policy.idle.iter().filter(fit).count();
        assert!(picture.waiting.is_empty() || fit == 0, "fit and idle while somebody waits: {context}");
        assert!(policy.idle.iter().is_sorted_by_key(|entry| entry.idle_since), "{context}");
        assert!(!policy.is_suspended() || (idle.is_empty() && served == 0), "{context}");

        self.check_stats(&stats);
    }

    /// `stats.consistent`.
    fn check_stats(&self, stats: &PoolStats) {
        let (context, tally) = (&self.context, &self.tally);
        assert_eq!(stats.total_connections, stats.idle_connections + stats.active_connections, "{context}");
        let total = stats.total_connections as u64;
        assert_eq!(stats.connections_created, stats.connections_destroyed + total, "{context}");
        let active = stats.active_connections as u64;
        assert_eq!(stats.total_acquisitions, stats.total_releases + active, "{context}");
        assert_eq!(stats.failed_checks, tally.failed_checks, "{context}");
        assert_eq!(stats.failed_resets, tally.failed_resets, "{context}");
        assert_eq!(stats.closed.total(), stats.connections_destroyed, "{context}");
        assert!(stats.waited_acquisitions <= stats.total_acquisitions, "{context}");
        assert_eq!(stats.timed_out_acquisitions, tally.timed_out, "{context}");
        assert_eq!(stats.failed_acquisitions, tally.failed, "{context}");
        assert_eq!(stats.cancelled_acquisitions, tally.cancelled, "{context}");
        let ended = tally.granted + tally.failed + tally.cancelled;
        assert_eq!(tally.arrivals, ended + self.waits.len() as u64, "an acquire is lost: {context}");
    }
}
