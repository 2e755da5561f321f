//! What the pool's owner asks for: new limits, an end by some time, a connect now, a close.

use super::deadlines::Deadline;
use super::*;

/// `Pool::reconfigure`: every limit is the new one from the next decision on.
#[test]
fn new_limits_hold_at_once() {
    let (mut policy, home, now) = policy(PoolConfig { max_connecting: 1, ..config(6) });
    open(&mut policy, home, 2, now);
    let newer = PoolConfig { max_connecting: 3, idle_order: IdleOrder::Fifo, ..config(7) };
    policy.reconfigure(newer, now, &mut Fx::default());
    assert_eq!((policy.config().max_connections, policy.config().max_connecting), (7, 3));
    let held = [take(&mut policy, now), take(&mut policy, now)];
    assert_eq!(held.map(|entry| entry.connection), [1, 2], "the longest idle comes first now");
    let mut fx = Fx::default();
    for waiter in 0..4 {
        join(&mut policy, now, waiter, &mut fx);
    }
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 3);
}

/// `Pool::invalidate_all_over`: each connection ends in its own share of the time, one after the other, and so do their
/// successors begin.
#[test]
fn an_end_for_each_in_its_share_of_the_time() {
    let long =
        PoolConfig { max_lifetime: SECOND * 10_000, connect_attempt_timeout: SECOND * 30, ..config(6) };
    let (mut policy, home, now) = policy(long);
    open(&mut policy, home, 4, now);
    let held = take(&mut policy, now);
    let coming = attempt(&mut policy, home, now);
    let mut fx = Fx::default();
    policy.invalidate_all_over(SECOND * 100, now, &mut fx);
    assert!(fx.plan && fx.retired.is_empty());
    let ends = policy.holders.records().map(|record| (record.lifetime.replace_at, record.lifetime.retire_at));
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 4);
    for (share, (replace_at, retire_at)) in (0_u32..).zip(ends) {
        let (from, to) = (now + SECOND * 25 * share, now + SECOND * 25 * (share + 1));
        assert!(from <= retire_at && retire_at <= to, "{share}: {retire_at:?}");
        assert_eq!(retire_at.since(replace_at), SECOND * 25, "no earlier than the share of one");
    }
    policy.connected(coming, 5, (now + SECOND, now + SECOND), &mut fx);
    let last = policy.holders.records().find(|record| record.connection == 5).expect("open");
    assert_eq!(last.lifetime.retire_at, now + SECOND * 100, "what was opening goes with the others");
    drop(held);
}

/// `Pool::connect_now`: the pause after failures ends, and a waiter gets its connect.
#[test]
fn the_owner_ends_the_pause() {
    let (mut policy, home, now) = policy(config(2));
    let mut fx = Fx::default();
    join(&mut policy, now, 0, &mut fx);
    let begun = policy.plan(now, home, &mut fx).connects;
    policy.connect_failed(begun[0], refused(FailureKind::Transient), now, &mut fx);
    assert!(policy.plan(now, home, &mut fx).connects.is_empty());
    let mut fx = Fx::default();
    policy.connect_now(now, &mut fx);
    assert!(fx.plan && fx.spent_errors.len() == 1);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 1);
}

/// `suspend.nothing_moves`: after a suspension a waiter gets its connect.
#[test]
fn who_waits_at_the_end_of_a_suspension() {
    let (mut policy, home, now) = policy(config(2));
    let mut fx = Fx::default();
    policy.suspend(now, &mut fx);
    join(&mut policy, now, 0, &mut fx);
    assert!(policy.plan(now, home, &mut fx).connects.is_empty());
    let mut fx = Fx::default();
    policy.resume(now, &mut fx);
    assert!(fx.plan);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 1);
}

/// `close.complete`: a closed pool says how many are on their way out, and asks for a plan for each that comes or goes.
#[test]
fn what_is_on_its_way_out() {
    let (mut policy, home, now) = policy(config(3));
    open(&mut policy, home, 3, now);
    let held = take(&mut policy, now);
    assert_eq!(policy.leaving(), 0);
    policy.close(now, &mut Fx::default());
    assert_eq!(policy.leaving(), 2);
    let mut fx = Fx::default();
    policy.give_back(held, Disposition::Reuse, now, &mut fx);
    assert!(fx.plan, "it may be the last");
    assert_eq!(policy.leaving(), 3);
    let mut fx = Fx::default();
    policy.connections_gone(1, now, &mut fx);
    assert!(fx.plan && policy.leaving() == 2);
}

/// `PoolConfig::max_idle`: a waiter that goes away leaves one more that may be too many, and the plan looks.
#[test]
fn who_goes_away_may_leave_one_too_many() {
    for (max_idle, asks) in [(Some(1), true), (None, false)] {
        let limits = PoolConfig { max_idle, connection_timeout: SECOND, ..config(1) };
        let (mut policy, home, now) = policy(limits);
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let mut fx = Fx::default();
        let waits = [0, 1].map(|waiter| join(&mut policy, now, waiter, &mut fx));
        let mut fx = Fx::default();
        policy.cancel(waits[0], now, &mut fx);
        assert_eq!(fx.plan, asks, "{max_idle:?}: it goes");
        let mut fx = Fx::default();
        assert!(matches!(ask(&mut policy, waits[1], now + SECOND, &mut fx), Polled::TimedOut(_)));
        assert_eq!(fx.plan, asks, "{max_idle:?}: its time is up");
        let mut fx = Fx::default();
        policy.detach(*held, now, &mut fx);
        assert_eq!(fx.plan, asks, "{max_idle:?}: a connection leaves");
    }
}

/// `PoolConfig::max_idle`: the successor of what is still held is one more, and nothing else is.
#[test]
fn the_successor_of_what_is_held_is_not_too_many() {
    for (case, kept) in [("successor", 2), ("plain", 1)] {
        let (mut policy, home, now) = policy(PoolConfig { max_idle: Some(1), ..config(4) });
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let origin = policy.eviction.origin(home);
        let replaces = (case == "successor").then_some(held.id);
        let mut fx = Fx::default();
        for (connection, replaces) in [(2, replaces), (3, None)] {
            let key = policy.connects.begin(origin, replaces, now);
            policy.connected(key, connection, (now, now), &mut fx);
        }
        assert_eq!((policy.idle.len(), fx.retired.len()), (kept, 2 - kept), "{case}");
        drop(held);
    }
}

/// `PoolConfig::min_idle`: to take the last spare one asks for the next; without it a take asks for nothing.
#[test]
fn a_take_asks_for_the_next_spare() {
    for (min_idle, asks) in [(1, true), (0, false)] {
        let (mut policy, home, now) = policy(PoolConfig { min_idle, min_connections: 2, ..config(4) });
        open(&mut policy, home, 1, now);
        let mut fx = Fx::default();
        let held = policy.try_take(now, here(), &mut fx);
        assert_eq!(fx.plan, asks, "{min_idle}");
        drop(held);
    }
}

/// `PoolConfig::min_idle`, `warm_up`: with a spare one that comes back the others may idle out, and a warm-up is told.
#[test]
fn what_comes_back_may_be_spare() {
    for (min_idle, told) in [(1, true), (0, false)] {
        let timing =
            PoolConfig { idle_timeout: SECOND * 10, health_check_interval: Duration::MAX, ..config(4) };
        let (mut policy, home, now) = policy(PoolConfig { min_idle, ..timing });
        open(&mut policy, home, 2, now);
        let limit = now + SECOND * 10;
        assert_eq!(policy.idles_out_at(now), limit, "two are spare");
        let held = take(&mut policy, now);
        assert_eq!(
            policy.idles_out_at(now) == Tick::NEVER,
            told,
            "{min_idle}: one is as many as there have to be"
        );
        policy.deadlines.clear();
        let mut fx = Fx::default();
        policy.give_back(held, Disposition::Reuse, now + SECOND, &mut fx);
        assert_eq!(fx.progress, told, "{min_idle}");
        let due = policy.deadlines.due(Deadline::Idle);
        assert_eq!(
            due,
            if told { limit } else { limit + SECOND },
            "{min_idle}: the longest idle comes first"
        );
    }
}

/// `size.min`: with one more than the minimum the idle time of the others counts.
#[test]
fn one_more_may_let_the_others_idle_out() {
    let timing = PoolConfig { idle_timeout: SECOND * 10, health_check_interval: Duration::MAX, ..config(4) };
    let (mut policy, home, now) = policy(PoolConfig { min_connections: 1, ..timing });
    open(&mut policy, home, 1, now);
    assert_eq!(policy.deadlines.due(Deadline::Idle), Tick::NEVER);
    let key = attempt(&mut policy, home, now);
    policy.connected(key, 2, (now + SECOND, now + SECOND), &mut Fx::default());
    assert_eq!(policy.deadlines.due(Deadline::Idle), now + SECOND * 10);
}
