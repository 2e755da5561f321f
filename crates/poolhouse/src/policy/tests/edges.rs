//! Where a count is off by one, or an effect is missing, nothing breaks at once. These tests look.

use super::*;

/// `resize.exact`: of many idle connections a shrink closes as many as are too many, the longest idle first.
#[test]
fn a_shrink_closes_no_more_than_it_must() {
    let (mut core, home, now) = core(config(6));
    open(&mut core, home, 6, now);
    let mut fx = Fx::default();
    core.resize(4, now, &mut fx);
    let closed: Vec<_> = fx.retired.iter().map(|(entry, _)| entry.connection).collect();
    assert_eq!(closed, [1, 2]);
    assert_eq!(core.idle.len(), 4);
}

/// `resize.exact`: attempts that were given up already do not count as coming.
#[test]
fn a_second_shrink_does_not_count_what_the_first_gave_up() {
    let (mut core, home, now) = core(config(6));
    open(&mut core, home, 1, now);
    for _ in 0..3 {
        attempt(&mut core, home, now);
    }
    let mut fx = Fx::default();
    core.resize(3, now, &mut fx);
    assert_eq!((core.idle.len(), core.abandoned), (0, 0), "idle ones go before attempts");
    core.resize(1, now, &mut fx);
    assert_eq!(core.abandoned, 2);
    core.resize(2, now, &mut fx);
    assert_eq!(core.abandoned, 2, "one is still wanted, and two more would fit");
    core.resize(1, now, &mut fx);
    assert_eq!(core.abandoned, 2, "the one that is wanted fits");
}

/// `size.min`: a connection that comes back from a check after its idle limit goes at once, if it is one too many.
#[test]
fn a_check_that_ends_after_the_idle_limit() {
    for (min, closes) in [(0, true), (1, true), (2, false)] {
        let timing = PoolConfig { idle_timeout: SECOND * 40, ..config(2) };
        let (mut core, home, now) = core(PoolConfig { min_connections: min, ..timing });
        open(&mut core, home, 2, now);
        let mut fx = Fx::default();
        let held = core.try_take(now, here(), &mut fx).expect("idle");
        let checks = core.plan(now + SECOND * 30, home, &mut fx).checks;
        assert_eq!(checks.len(), 1);
        for entry in checks {
            core.checked(entry, Checked::Passed, now + SECOND * 41, &mut fx);
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
        let (mut core, home, now) = core(PoolConfig { min_connections: min, ..timing });
        open(&mut core, home, 2, now);
        let mut fx = Fx::default();
        let held = [core.try_take(now, here(), &mut fx), core.try_take(now, here(), &mut fx)];
        core.next_wake = Tick::NEVER;
        for entry in held.into_iter().flatten() {
            core.give_back(entry, Fate::Reuse, now, &mut fx);
        }
        assert_eq!(core.next_wake, now + SECOND * due, "{min}");
    }
}

/// `close.complete`: an acquire whose connection is found dead after close ends with `Closed`, and counts as failed.
#[test]
fn a_dead_connection_after_close_is_a_refusal() {
    let (mut core, home, now) = core(config(1));
    open(&mut core, home, 1, now);
    let mut fx = Fx::default();
    let dead = core.try_take(now, here(), &mut fx).expect("idle");
    core.close(&mut fx);
    let failed = core.stats().failed_acquisitions;
    assert!(matches!(core.rejoin(dead, (now, now), (here(), false), &mut fx), Err(Refusal::Closed)));
    assert_eq!(core.stats().failed_acquisitions, failed + 1);
}

/// `epoch.invalidate_all`: an old attempt that fails is counted, and tells nobody anything.
#[test]
fn a_failure_of_an_old_attempt_is_counted_and_no_more() {
    let (mut core, home, now) = core(config(2));
    let mut fx = Fx::default();
    let ticket = join(&mut core, now, 0, &mut fx);
    let old = core.plan(now, home, &mut fx).connects;
    core.invalidate_all(now, &mut fx);
    core.connect_failed(old[0], refused(FailureKind::Permanent), now, &mut fx);
    let stats = core.stats();
    assert_eq!((stats.failed_connects, stats.pending_requests), (1, 1));
    assert!(got(&mut core, ticket, now).is_none(), "it waits on");
    assert!(core.last_failure().is_none() && !core.backoff.failing());
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
        let (mut core, home, now) = core(config(1));
        open(&mut core, home, 1, now);
        let mut fx = Fx::default();
        let entry = core.plan(now + SECOND * 30, home, &mut fx).checks.pop().expect("due");
        match reason {
            RetireReason::PoolClosed => core.close(&mut fx),
            RetireReason::Suspended => core.suspend(&mut fx),
            RetireReason::InvalidatedAll => core.invalidate_all(now + SECOND * 30, &mut fx),
            _ => {}
        }
        let told = core.plan(now + SECOND * 30, home, &mut fx).cut_checks;
        assert_eq!(
            told,
            matches!(reason, RetireReason::Suspended | RetireReason::InvalidatedAll),
            "{reason}"
        );
        assert!(!core.plan(now + SECOND * 30, home, &mut fx).cut_checks, "told once");
        core.checked(entry, Checked::Cut, now + SECOND * 31, &mut fx);
        assert_eq!(fx.retired.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), [reason]);
        assert_eq!(core.stats().failed_checks, 0);
    }
}
