//! Each machine by itself: what it counts, and when it says yes.

use super::deadlines::Deadline;
use super::lifetime::Lifetime;
use super::*;
use crate::error::Phase;

/// A connection that nobody has used, and the policy that has it.
fn fresh() -> (TestPolicy, Home, Boxed, Tick) {
    let (mut policy, home, now) = policy(config(4));
    let mut fx = Fx::default();
    let wait = join(&mut policy, now, 0, &mut fx);
    let key = attempt(&mut policy, home, now);
    policy.connected(key, 1, (now, now), &mut fx);
    let entry = got(&mut policy, wait, now).expect("served").expect("a connection");
    (policy, home, entry, now)
}

/// `health.known_dead`: a look once a millisecond, and always at what nobody has used.
#[test]
fn when_a_connection_has_to_be_looked_at() {
    let (mut policy, _, mut entry, now) = fresh();
    let after = |micros| now + Duration::from_micros(micros);
    assert!(entry.fresh && entry.needs_look(now));
    entry.looked_at = Some(now);
    assert!(entry.needs_look(now), "nobody has used it");
    policy.proven(&mut entry, now, &mut Fx::default());
    assert!(!entry.fresh);
    let needs: Vec<_> = [0, 999, 1000, 1001].map(|micros| entry.needs_look(after(micros))).into();
    assert_eq!(needs, [false, false, true, true]);
    assert!(entry.needs_look(now - Duration::from_micros(1)), "a clock that went back says nothing");
    entry.looked_at = Some(after(5000));
    assert!(!entry.needs_look(after(5999)) && entry.needs_look(after(6000)));
}

/// `PooledConnection::idle_time`, `Pool::retain`.
#[test]
fn how_long_nobody_has_used_a_connection() {
    let (mut policy, _, entry, now) = fresh();
    let mut fx = Fx::default();
    assert_eq!(entry.idle_time(), Duration::ZERO, "straight from its connect");
    policy.give_back(entry, Disposition::Reuse, now + SECOND, &mut fx);
    let entry = take(&mut policy, now + SECOND * 4);
    assert_eq!(entry.idle_time(), SECOND * 3);
    assert_eq!(entry.unused_for(now + SECOND * 9), SECOND * 8);
}

/// Whatever there is to carry out is seen.
#[test]
fn effects_are_empty_only_if_nothing_is_to_be_done() {
    assert!(Fx::default().is_empty());
    let (mut policy, home, entry, now) = fresh();
    let mut retired = Fx::default();
    policy.give_back(entry, Disposition::Retire(RetireReason::Invalidated), now, &mut retired);
    retired.plan = false;
    let failed_connect = Some(Box::new(FailedConnect { error: Arc::new("no"), took: SECOND }));
    let failed = Fx { failed_connect, ..Fx::default() };
    let mut woken = Fx::default();
    woken.wake.push(1);
    let mut error = Fx::default();
    error.spent_errors.push(Arc::new("no"));
    let waker = Fx { spent_waker: Some(1), ..Fx::default() };
    let plan = Fx { plan: true, ..Fx::default() };
    let progress = Fx { progress: true, ..Fx::default() };
    for fx in [retired, failed, woken, error, waker, plan, progress] {
        assert!(!fx.is_empty());
    }
    let _ = home;
}

/// `close.complete`: each of what is open, opening and closing keeps the pool from being drained.
#[test]
fn what_keeps_a_pool_from_being_drained() {
    let (mut policy, home, now) = policy(config(4));
    assert!(policy.is_drained());
    let mut fx = Fx::default();
    let key = attempt(&mut policy, home, now);
    assert!(!policy.is_drained(), "one is opening");
    policy.connected(key, 1, (now, now), &mut fx);
    assert!(!policy.is_drained(), "one is open");
    let entry = take(&mut policy, now);
    let key = attempt(&mut policy, home, now);
    policy.give_back(entry, Disposition::Retire(RetireReason::Invalidated), now, &mut fx);
    assert!(!policy.is_drained(), "one is opening and one closing");
    policy.connect_lost(key, now, &mut fx);
    assert!(!policy.is_drained(), "one is closing");
    policy.connections_gone(1, now, &mut fx);
    assert!(policy.is_drained());
}

/// `warm_up`: what the minimum lacks, within the maximum.
#[test]
fn what_the_minimum_lacks() {
    let (mut policy, home, now) = policy(PoolConfig { min_connections: 3, ..config(4) });
    assert_eq!(policy.minimum_missing(), 3);
    open(&mut policy, home, 2, now);
    assert_eq!(policy.minimum_missing(), 1);
    policy.resize(2, now, &mut Fx::default());
    assert_eq!(policy.minimum_missing(), 0, "there is no room for it");
    policy.reconfigure(PoolConfig { min_connections: 1, min_idle: 4, ..config(5) }, now, &mut Fx::default());
    assert_eq!(policy.minimum_missing(), 2, "what is open is idle");
}

/// `warm_up`, `size.min`: what is told to stop does not count, nor does what a successor is open for; and however large the
/// minimum is, it can be counted.
#[test]
fn what_goes_soon_is_no_part_of_the_minimum() {
    let (mut policy, home, mut now) = policy(PoolConfig { min_connections: 1, ..config(2) });
    let mut fx = Fx::default();
    open(&mut policy, home, 1, now);
    now = now + Duration::from_secs(40);
    assert_eq!(policy.plan(now, home, &mut fx).chores.len(), 1, "its check has begun");
    assert_eq!(policy.minimum_missing(), 0);
    policy.invalidate_all(now, &mut fx);
    assert_eq!(policy.minimum_missing(), 1);
    let most = PoolConfig { min_connections: usize::MAX, max_connections: usize::MAX, ..config(2) };
    policy.reconfigure(most, now, &mut fx);
    policy.plan(now, home, &mut fx);
}

/// `size.max`: whoever wants all connections idle beside the waiters gets as many as there may be.
#[test]
fn a_min_idle_without_end_is_bounded_by_the_maximum() {
    let (mut policy, home, now) = policy(PoolConfig { min_idle: usize::MAX, max_connecting: 9, ..config(3) });
    let mut fx = Fx::default();
    join(&mut policy, now, 0, &mut fx);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 3);
    assert_eq!(policy.minimum_missing(), 3, "nothing is open yet");
}

/// `acquire.diagnosis`: what a task holds, and nobody else's.
#[test]
fn what_a_task_holds_already() {
    let (mut policy, home, now) = policy(config(4));
    open(&mut policy, home, 2, now);
    let caller = Some(Caller::current());
    let own = Site { at: Location::caller(), caller };
    let held = policy.try_take(now, own, &mut Fx::default()).expect("idle");
    let other = take(&mut policy, now);
    let nested = policy.nested(caller, now + SECOND);
    assert_eq!(nested.len(), 1);
    assert_eq!((nested[0].connection, nested[0].held_for), (held.id, SECOND));
    assert!(policy.nested(None, now).is_empty());
    drop(other);
}

/// `lifetime.no_dip`: attempts for successors are no additions, until they are given up.
#[test]
fn a_successor_is_no_addition() {
    let (mut policy, home, now) = policy(config(9));
    let origin = policy.eviction.origin(home);
    let connects = &mut policy.connects;
    let successor = connects.begin(origin, Some(1), now);
    let plain = connects.begin(origin, None, now + SECOND);
    assert_eq!((connects.under_way(), connects.coming(), connects.additions()), (2, 2, 1));
    assert!(connects.is_replacing(1) && !connects.is_replacing(2));
    assert!(!connects.abandon(0));
    assert!(connects.abandon(1), "the youngest");
    assert_eq!((connects.coming(), connects.additions()), (1, 0));
    assert!(connects.abandon(5));
    assert_eq!((connects.under_way(), connects.coming(), connects.additions()), (2, 0, 0));
    assert!(!connects.abandon(5), "all are given up");
    let other = connects.begin(origin, None, now);
    assert_eq!((connects.coming(), connects.additions()), (1, 1));
    let mut fx = Fx::default();
    policy.connect_lost(successor, now, &mut fx);
    policy.connect_lost(plain, now, &mut fx);
    policy.connect_lost(other, now, &mut fx);
    let origin = policy.eviction.origin(home);
    let again = policy.connects.begin(origin, Some(1), now);
    policy.connect_lost(again, now, &mut fx);
    let connects = &mut policy.connects;
    assert_eq!((connects.under_way(), connects.coming(), connects.additions()), (0, 0, 0));
    connects.begin(origin, None, now);
    assert_eq!(connects.additions(), 1, "the successor that is gone is forgotten");
}

/// `connect.permanent`: only a permanent failure refuses, and only while nothing is open and nothing else comes.
#[test]
fn who_is_told_of_a_failed_connect() {
    let cases = [
        (FailureKind::Permanent, false, false, true),
        (FailureKind::Permanent, true, false, false),
        (FailureKind::Permanent, false, true, false),
        (FailureKind::Transient, false, false, false),
        (FailureKind::Busy, false, false, false),
    ];
    for (kind, one_open, one_coming, told) in cases {
        let (mut policy, home, now) = policy(config(4));
        let mut fx = Fx::default();
        if one_open {
            open(&mut policy, home, 1, now);
        }
        let held = one_open.then(|| take(&mut policy, now));
        let wait = join(&mut policy, now, 0, &mut fx);
        let key = attempt(&mut policy, home, now);
        if one_coming {
            attempt(&mut policy, home, now);
        }
        policy.connect_failed(key, refused(kind), now, &mut fx);
        let refused = matches!(got(&mut policy, wait, now), Some(Err(Refusal::Connect { retry: None, .. })));
        assert_eq!(refused, told, "{kind:?}, open: {one_open}, coming: {one_coming}");
        drop(held);
    }
}

/// `lifetime.jitter`: a connection retires early by up to the jitter's share, and its successor is opened ahead.
#[test]
fn when_a_life_ends() {
    let config = PoolConfig { max_lifetime: SECOND * 100, lifetime_jitter: 0.2, ..config(4) };
    let now = Tick::START;
    let mut rng = fastrand::Rng::with_seed(3);
    let lives: Vec<_> = (0..200).map(|_| Lifetime::draw(now, None, &config, &mut rng)).collect();
    for life in &lives {
        let (age, lead) = (life.retire_at.since(now), life.retire_at.since(life.replace_at));
        assert!(age > SECOND * 80 && age <= SECOND * 100, "{age:?}");
        assert_eq!(lead, (age / 10).min(SECOND * 10), "{age:?}");
    }
    let ages = lives.iter().map(|life| life.retire_at.since(now));
    assert!(ages.clone().min() < Some(SECOND * 82) && ages.max() > Some(SECOND * 98), "spread");
    // The whole share: it lives for a moment all the same.
    let shortest = PoolConfig { lifetime_jitter: 1.0, ..config };
    let lives = (0..200).map(|_| Lifetime::draw(now, None, &shortest, &mut rng).retire_at.since(now));
    assert!(lives.min() >= Some(SECOND / 10));
}

/// `Pool::reconfigure`: a life is counted anew with the share that it has drawn; an earlier end that the owner has said stays.
#[test]
fn a_life_is_counted_anew() {
    let long = PoolConfig { max_lifetime: SECOND * 100, ..config(4) };
    let short = PoolConfig { max_lifetime: SECOND * 50, ..config(4) };
    let now = Tick::START;
    let mut life = Lifetime::draw(now, None, &long, &mut fastrand::Rng::with_seed(3));
    life.recount(&short);
    assert_eq!((life.retire_at, life.replace_at), (now + SECOND * 50, now + SECOND * 45));
    assert_eq!(life.reason, RetireReason::Lifetime);
    for later in [50, 60] {
        life.end_by(now + SECOND * later, SECOND);
        assert_eq!(life.reason, RetireReason::Lifetime, "it ends by itself");
    }
    life.end_by(now + SECOND * 20, SECOND);
    assert_eq!((life.retire_at, life.replace_at), (now + SECOND * 20, now + SECOND * 19));
    life.recount(&long);
    assert_eq!((life.retire_at, life.reason), (now + SECOND * 20, RetireReason::InvalidatedAll));
    life.end_by(now + SECOND * 20, SECOND * 9);
    life.recount(&long);
    assert_eq!(life.replace_at, now + SECOND * 19, "the same said again changes nothing");
    life.recount(&PoolConfig { max_lifetime: SECOND * 10, ..config(4) });
    assert_eq!((life.retire_at, life.reason), (now + SECOND * 10, RetireReason::Lifetime));
}

/// `acquire.fail_fast`: from when acquires are told at once, and what makes them wait instead.
#[test]
fn when_acquires_fail_fast() {
    let options = PoolConfig { fail_fast_after: SECOND * 3, ..config(4) };
    let (mut policy, home, now) = policy(options);
    let mut fx = Fx::default();
    assert_eq!((policy.outage_from(), policy.probes_wanted()), (None, 0), "nothing has failed");
    let fail = |policy: &mut TestPolicy, kind, at| {
        let key = attempt(policy, home, at);
        policy.connect_failed(key, refused(kind), at, &mut Fx::default());
    };
    fail(&mut policy, FailureKind::Transient, now);
    fail(&mut policy, FailureKind::Transient, now + SECOND * 2);
    assert_eq!(policy.outage_from(), Some(now + SECOND * 3), "from the first of them");
    assert!(policy.outage(now + SECOND * 3 - Duration::from_nanos(1)).is_none());
    let Some(Refusal::Connect { retry: Some(retry), attempts: 2, .. }) = policy.outage(now + SECOND * 3)
    else {
        panic!("the time is up")
    };
    assert_eq!(retry.age, SECOND);
    assert_eq!(policy.probes_wanted(), 1);
    let probe = attempt(&mut policy, home, now + SECOND * 3);
    assert_eq!(policy.probes_wanted(), 0, "one is under way");
    policy.connect_failed(probe, refused(FailureKind::Busy), now + SECOND * 3, &mut fx);
    assert_eq!(policy.outage_from(), None, "it answers: it is not down");
    fail(&mut policy, FailureKind::Transient, now + SECOND * 5);
    assert_eq!(policy.outage_from(), Some(now + SECOND * 8));
    policy.suspend(now + SECOND * 5, &mut fx);
    assert_eq!(policy.outage_from(), None, "suspended");
    policy.resume(now + SECOND * 5, &mut fx);
    fail(&mut policy, FailureKind::Permanent, now + SECOND * 6);
    open(&mut policy, home, 1, now + SECOND * 6);
    assert_eq!(policy.outage_from(), None, "one is open");
}

/// `acquire.fail_fast`: off, nobody is told; on, the background is woken when the time comes.
#[test]
fn when_the_background_looks_for_an_outage() {
    for (after, woken_at) in [(SECOND * 3, Some(SECOND * 3)), (Duration::MAX, None)] {
        let (mut policy, home, now) = policy(PoolConfig { fail_fast_after: after, ..config(4) });
        let key = attempt(&mut policy, home, now);
        policy.connect_failed(key, refused(FailureKind::Transient), now, &mut Fx::default());
        let due = policy.deadlines.due(Deadline::FailFast).if_ever();
        assert_eq!(due.map(|at| at.since(now)), woken_at);
        assert_eq!(policy.outage_from().map(|at| at.since(now)), woken_at);
    }
}

/// `warm_up_within`: only a permanent failure says that waiting is in vain.
#[test]
fn which_failure_is_for_good() {
    let (mut policy, home, now) = policy(config(4));
    assert!(!policy.fails_for_good());
    for kind in [FailureKind::Transient, FailureKind::Busy, FailureKind::Permanent] {
        let key = attempt(&mut policy, home, now);
        policy.connect_failed(key, refused(kind), now, &mut Fx::default());
        assert_eq!(policy.fails_for_good(), kind == FailureKind::Permanent);
    }
}

/// `reset.between`: what waits for its reset is not for the owner to look at.
#[test]
fn what_the_owner_may_look_at() {
    let (mut policy, home, now) = policy(config(4));
    open(&mut policy, home, 2, now);
    let used = take(&mut policy, now);
    let id = used.id;
    policy.give_back(used, Disposition::Reset, now, &mut Fx::default());
    let taken = policy.take_all_idle(now);
    assert_eq!(taken.len(), 1);
    assert_ne!(taken[0].id, id);
}

/// `stats.consistent`: how long connects took.
#[test]
fn how_long_connects_took() {
    let (mut policy, home, now) = policy(config(4));
    let key = attempt(&mut policy, home, now);
    policy.connected(key, 1, (now + SECOND, now + SECOND), &mut Fx::default());
    let times = policy.stats().connect_times;
    assert_eq!((times.count(), times.sum()), (1, SECOND));
    // What was opened elsewhere is no connect.
    let key = policy.reserve(home, now).expect("there is room");
    assert_eq!(policy.announce(key, now + SECOND).1, Duration::ZERO);
    let (_, took) = policy.connected(key, 2, (now + SECOND, now + SECOND), &mut Fx::default());
    assert_eq!((took, policy.stats().connect_times.count()), (Duration::ZERO, 1));
}

/// `stats.consistent`: how long acquires waited and holders held, and how many waited at all.
#[test]
fn how_long_waits_and_holds_took() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    let held = take(&mut policy, now);
    let waits = [0, 1].map(|waiter| join(&mut policy, now, waiter, &mut fx));
    policy.give_back(held, Disposition::Reuse, now + SECOND * 2, &mut fx);
    let held = got(&mut policy, waits[0], now + SECOND * 2).expect("served").expect("a connection");
    policy.give_back(held, Disposition::Reuse, now + SECOND * 5, &mut fx);
    let stats = policy.stats();
    let (waits, holds) = (stats.wait_times, stats.hold_times);
    assert_eq!((waits.count(), waits.sum()), (3, SECOND * 7));
    assert_eq!((holds.count(), holds.sum()), (2, SECOND * 5));
    assert_eq!(stats.waited_acquisitions, 2);
}

/// `reset.between`, `acquire.diagnosis`: what is being reset is no check.
#[test]
fn what_is_being_reset() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let used = take(&mut policy, now);
    let mut fx = Fx::default();
    policy.give_back(used, Disposition::Reset, now, &mut fx);
    assert_eq!(policy.plan(now, home, &mut fx).chores.len(), 1);
    let stats = policy.stats();
    assert_eq!((stats.resetting, stats.checking), (1, 0));
    assert_eq!(policy.diagnose(SECOND, now).timeout.phase, Phase::Resetting);
}

/// `size.max`: an added connection takes room like one that is being opened.
#[test]
fn room_for_an_added_connection() {
    let (mut policy, home, now) = policy(config(1));
    let mut fx = Fx::default();
    let key = policy.reserve(home, now).expect("room");
    assert_eq!(policy.reserve(home, now), None);
    policy.connect_lost(key, now, &mut fx);
    policy.suspend(now, &mut fx);
    assert_eq!(policy.reserve(home, now), None, "suspended");
    policy.resume(now, &mut fx);
    assert!(policy.reserve(home, now).is_some());
    policy.close(now, &mut fx);
    assert_eq!(policy.reserve(home, now), None, "closed");
}

/// `Pool::check_now`: what has not proved to work since is asked for, and nothing else.
#[test]
fn what_is_left_to_check() {
    let (mut policy, home, now) = policy(config(4));
    let mut fx = Fx::default();
    assert!(!policy.any_unproven_since(now));
    open(&mut policy, home, 2, now);
    assert!(!policy.any_unproven_since(now), "they were opened then");
    policy.check_now(now + SECOND, &mut fx);
    assert!(fx.plan && policy.any_unproven_since(now + SECOND));
    let mut under_check = policy.plan(now + SECOND, home, &mut fx).entries();
    assert_eq!((under_check.len(), policy.any_unproven_since(now + SECOND)), (2, true));
    assert!(!policy.any_unproven_since(now), "not since they were opened");
    policy.chore_ended(under_check.pop().expect("two"), ChoreOutcome::Passed, now + SECOND, &mut fx);
    assert!(policy.any_unproven_since(now + SECOND), "one is left");
    policy.chore_ended(under_check.pop().expect("one"), ChoreOutcome::Failed, now + SECOND, &mut fx);
    assert!(!policy.any_unproven_since(now + SECOND));
}

/// `acquire.diagnosis`: a server at its own limit is in the way only while the pool has connections to live with.
#[test]
fn what_a_busy_server_means_to_who_waits() {
    for (kind, opened, phase) in [
        (FailureKind::Busy, 1, Phase::Queueing),
        (FailureKind::Busy, 0, Phase::Connecting),
        (FailureKind::Transient, 1, Phase::Connecting),
    ] {
        let (mut policy, home, now) = policy(config(4));
        open(&mut policy, home, opened, now);
        let held = (opened > 0).then(|| take(&mut policy, now));
        let key = attempt(&mut policy, home, now);
        policy.connect_failed(key, refused(kind), now + SECOND, &mut Fx::default());
        let said = policy.diagnose(SECOND, now + SECOND).timeout;
        assert_eq!(said.phase, phase, "{kind:?}, {opened} open");
        assert_eq!(said.server_is_busy, kind == FailureKind::Busy, "{kind:?}, {opened} open");
        drop(held);
    }
}
