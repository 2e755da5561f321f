//! Where a count is off by one, or an effect is missing, nothing breaks at once. These tests look.

use super::*;

/// `resize.exact`: of many idle connections a shrink closes as many as are too many, the longest idle first.
#[test]
fn a_shrink_closes_no_more_than_it_must() {
    let (mut policy, home, now) = policy(config(6));
    open(&mut policy, home, 6, now);
    let mut fx = Fx::default();
    policy.resize(4, now, &mut fx);
    let closed: Vec<_> = fx.retired.iter().map(|(entry, _)| entry.connection).collect();
    assert_eq!(closed, [1, 2]);
    assert_eq!(policy.idle.len(), 4);
}

/// `resize.exact`: attempts that were given up already do not count as coming.
#[test]
fn a_second_shrink_does_not_count_what_the_first_gave_up() {
    let (mut policy, home, now) = policy(config(6));
    open(&mut policy, home, 1, now);
    for _ in 0..3 {
        attempt(&mut policy, home, now);
    }
    let mut fx = Fx::default();
    policy.resize(3, now, &mut fx);
    assert_eq!((policy.idle.len(), abandoned(&policy)), (0, 0), "idle ones go before attempts");
    policy.resize(1, now, &mut fx);
    assert_eq!(abandoned(&policy), 2);
    policy.resize(2, now, &mut fx);
    assert_eq!(abandoned(&policy), 2, "one is still wanted, and two more would fit");
    policy.resize(1, now, &mut fx);
    assert_eq!(abandoned(&policy), 2, "the one that is wanted fits");
}

/// `resize.exact`: an attempt that was given up and succeeds all the same takes the place of one that was not.
#[test]
fn an_attempt_that_was_given_up_succeeds() {
    let (mut policy, home, now) = policy(config(2));
    let kept = attempt(&mut policy, home, now);
    let given_up = attempt(&mut policy, home, now);
    let mut fx = Fx::default();
    policy.resize(1, now, &mut fx);
    assert_eq!(abandoned(&policy), 1);
    policy.connected(given_up, 1, (now, now), &mut fx);
    assert_eq!((policy.idle.len(), abandoned(&policy)), (1, 1));
    let mut fx = Fx::default();
    assert_eq!(policy.plan(now, home, &mut fx).abandoned_connects, [kept]);
}

/// `size.min`: a connection that comes back from a check after its idle limit goes at once, if it is one too many.
#[test]
fn a_check_that_ends_after_the_idle_limit() {
    for (min, closes) in [(0, true), (1, true), (2, false)] {
        let timing = PoolConfig { idle_timeout: SECOND * 40, ..config(2) };
        let (mut policy, home, now) = policy(PoolConfig { min_connections: min, ..timing });
        open(&mut policy, home, 2, now);
        let mut fx = Fx::default();
        let held = policy.try_take(now, here(), &mut fx).expect("idle");
        let checks = policy.plan(now + SECOND * 30, home, &mut fx).entries();
        assert_eq!(checks.len(), 1);
        for entry in checks {
            policy.chore_ended(entry, ChoreOutcome::Passed, now + SECOND * 41, &mut fx);
        }
        assert_eq!(fx.retired.len(), usize::from(closes), "{min}");
        drop(held);
    }
}

/// `size.min`: what becomes idle counts itself when it asks to be woken for the idle limit.
#[test]
fn one_more_than_the_minimum_asks_to_be_woken() {
    for (min, due) in [(0, 10), (1, 10), (2, 30)] {
        let timing = PoolConfig { idle_timeout: SECOND * 10, ..config(2) };
        let (mut policy, home, now) = policy(PoolConfig { min_connections: min, ..timing });
        open(&mut policy, home, 2, now);
        let mut fx = Fx::default();
        let held = [policy.try_take(now, here(), &mut fx), policy.try_take(now, here(), &mut fx)];
        policy.deadlines.clear();
        for entry in held.into_iter().flatten() {
            policy.give_back(entry, Disposition::Reuse, now, &mut fx);
        }
        assert_eq!(policy.deadlines.next_wake(), now + SECOND * due, "{min}");
    }
}

/// `size.min`: what idled out and stays for the minimum is for waiters, without a check: only the plan says
/// which.
#[test]
fn the_plan_hands_out_what_the_minimum_keeps() {
    let timing = PoolConfig { idle_timeout: SECOND * 10, ..config(2) };
    let (mut policy, home, now) = policy(PoolConfig { min_connections: 1, ..timing });
    open(&mut policy, home, 2, now);
    let (mut fx, late) = (Fx::default(), now + SECOND * 10);
    let wait = join(&mut policy, late, 0, &mut fx);
    assert!(fx.plan, "both have idled out, and only one may go");
    let plan = policy.plan(late, home, &mut fx);
    assert_eq!((retired(&fx), plan.chores.len()), (vec![(1, RetireReason::Idle)], 0));
    assert_eq!(got(&mut policy, wait, late).expect("served").expect("a connection").connection, 2);
}

/// `size.min`: a connection whose check is told to stop is as good as gone when the idle limit is applied.
#[test]
fn a_cut_check_does_not_count_towards_the_minimum() {
    let timing = PoolConfig { idle_timeout: SECOND * 40, ..config(3) };
    let (mut policy, home, now) = policy(PoolConfig { min_connections: 2, ..timing });
    open(&mut policy, home, 3, now);
    let mut fx = Fx::default();
    let entry = policy.plan(now + SECOND * 30, home, &mut fx).entries().pop().expect("due");
    policy.resize(2, now + SECOND * 30, &mut fx);
    policy.plan(now + SECOND * 40, home, &mut fx);
    policy.chore_ended(entry, ChoreOutcome::Dropped, now + SECOND * 40, &mut fx);
    assert_eq!((policy.open(), fx.retired.len()), (2, 1));
}

/// `close.complete`: an acquire whose connection is found dead after close ends with `Closed`, and counts as failed.
#[test]
fn a_dead_connection_after_close_is_a_refusal() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    let dead = policy.try_take(now, here(), &mut fx).expect("idle");
    policy.close(now, &mut fx);
    let failed = policy.stats().failed_acquisitions;
    assert!(matches!(policy.rejoin(dead, (now, None), now, here(), &mut fx), Err(Refusal::Closed)));
    assert_eq!(policy.stats().failed_acquisitions, failed + 1);
}

/// `epoch.invalidate_all`, `suspend.nothing_moves`, `connect.permanent`: an old attempt that fails is counted, and tells
/// nobody anything.
#[test]
fn a_failure_of_an_old_attempt_is_counted_and_no_more() {
    for case in ["invalidated", "suspended", "suspended and resumed"] {
        let (mut policy, home, now) = policy(config(2));
        let mut fx = Fx::default();
        let ticket = join(&mut policy, now, 0, &mut fx);
        let old = policy.plan(now, home, &mut fx).connects;
        match case {
            "invalidated" => policy.invalidate_all(now, &mut fx),
            _ => policy.suspend(now, &mut fx),
        }
        if case == "suspended and resumed" {
            policy.resume(now, &mut fx);
        }
        policy.connect_failed(old[0], refused(FailureKind::Permanent), now, &mut fx);
        let stats = policy.stats();
        assert_eq!((stats.failed_connects, stats.pending_requests), (1, 1), "{case}");
        assert!(got(&mut policy, ticket, now).is_none(), "{case}: it waits on");
        assert!(policy.last_failure().is_none() && !policy.connects.is_failing(), "{case}");
        assert_eq!(policy.telling_failures(), 0, "{case}: nor does it end a `warm_up`");
    }
}

/// `suspend.nothing_moves`, `connect.backoff`: a connection that was opened before a suspension says as little, whether it
/// is found dead or alive after it.
#[test]
fn a_first_look_at_an_old_connection_says_nothing() {
    for dead in [true, false] {
        let (mut policy, home, now) = policy(config(2));
        let mut fx = Fx::default();
        let wait = join(&mut policy, now, 0, &mut fx);
        let coming = policy.plan(now, home, &mut fx).connects;
        policy.connected(coming[0], 1, (now, now), &mut fx);
        let mut fresh = got(&mut policy, wait, now).expect("served").expect("a connection");
        policy.suspend(now, &mut fx);
        policy.resume(now, &mut fx);
        let failing = attempt(&mut policy, home, now);
        policy.connect_failed(failing, refused(FailureKind::Transient), now, &mut fx);
        if dead {
            policy.found_dead(fresh, now, &mut fx);
        } else {
            policy.proven(&mut fresh, now, &mut fx);
        }
        assert_eq!((policy.stats().failed_connects, policy.telling_failures()), (1, 1), "dead: {dead}");
        assert!(policy.connects.is_failing(), "the failure of now counts on");
    }
}

/// `try_acquire.immediate`: what is overdue is left to the background, which is told.
#[test]
fn an_overdue_connection_is_the_backgrounds_to_close() {
    let (mut policy, home, now) =
        policy(PoolConfig { max_lifetime: SECOND, lifetime_jitter: 0.0, ..config(1) });
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    assert!(policy.try_take(now + SECOND, here(), &mut fx).is_none());
    assert!(fx.plan && fx.retired.is_empty());
}

/// `suspend.nothing_moves`, `connect.backoff`: what failed before a suspension draws no pause after it.
#[test]
fn a_suspension_ends_the_pause() {
    let (mut policy, home, now) = policy(config(2));
    let mut fx = Fx::default();
    let failing = attempt(&mut policy, home, now);
    policy.connect_failed(failing, refused(FailureKind::Transient), now, &mut fx);
    assert!(policy.connects.pause(now).is_some());
    policy.suspend(now, &mut fx);
    policy.resume(now, &mut fx);
    assert!(policy.connects.pause(now).is_none() && policy.last_failure().is_none());
}

/// `health.known_dead`, `health.off_path`: a waiter that goes without its connection has proved nothing of it.
#[test]
fn what_nobody_used_is_checked_before_the_next_has_it() {
    let second = Duration::from_secs(1);
    let (mut policy, home, now) = policy(PoolConfig { check_after_idle: second, ..config(1) });
    open(&mut policy, home, 1, now);
    let held = take(&mut policy, now);
    let mut fx = Fx::default();
    let (first, next) = (join(&mut policy, now, 0, &mut fx), join(&mut policy, now, 1, &mut fx));
    policy.give_back(held, Disposition::Reuse, now, &mut fx);
    // The first is served, and its runtime stands still for longer than a connection is trusted.
    let later = now + second;
    policy.cancel(first, later, &mut fx);
    assert!(matches!(ask(&mut policy, next, later, &mut fx), Polled::Waiting(_)));
    assert_eq!(policy.plan(later, home, &mut fx).entries().len(), 1);
}

/// `close.complete`: a check that is cut short says why its connection goes, and is not a failed one.
#[test]
fn a_check_cut_short_is_no_failed_check() {
    let reasons = [
        RetireReason::PoolClosed,
        RetireReason::Suspended,
        RetireReason::InvalidatedAll,
        RetireReason::RuntimeGone,
    ];
    for reason in reasons {
        let (mut policy, home, now) = policy(config(1));
        open(&mut policy, home, 1, now);
        let mut fx = Fx::default();
        let entry = policy.plan(now + SECOND * 30, home, &mut fx).entries().pop().expect("due");
        match reason {
            RetireReason::PoolClosed => assert!(policy.close(now, &mut fx)),
            RetireReason::Suspended => policy.suspend(now, &mut fx),
            RetireReason::InvalidatedAll => policy.invalidate_all(now + SECOND * 30, &mut fx),
            _ => {}
        }
        let told = policy.plan(now + SECOND * 30, home, &mut fx).abandoned_chores;
        assert_eq!(
            !told.is_empty(),
            matches!(reason, RetireReason::Suspended | RetireReason::InvalidatedAll),
            "{reason}"
        );
        assert!(policy.plan(now + SECOND * 30, home, &mut fx).abandoned_chores.is_empty(), "told once");
        policy.chore_ended(entry, ChoreOutcome::Dropped, now + SECOND * 31, &mut fx);
        assert_eq!(fx.retired.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), [reason]);
        assert_eq!(policy.stats().failed_checks, 0);
    }
}
