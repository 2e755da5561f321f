//! What begins beside what: checks and connects for a waiter, hooks before reuse, successors, reports.

use super::*;

/// `health.off_path`: a waiter has a check under way or a connect. If the one takes longer than connects do, the other comes
/// beside it, and the background is woken for that. When both take long the next check begins.
#[test]
fn a_check_and_a_connect_take_turns() {
    let trust = PoolConfig { check_after_idle: SECOND, max_connecting: 1, ..config(4) };
    let (mut policy, home, now) = policy(trust);
    open(&mut policy, home, 3, now);
    let patience = Duration::from_millis(1);
    let mut fx = Fx::default();
    let first = now + SECOND * 2;
    join(&mut policy, first, 0, &mut fx);
    let mut begun = |at, fx: &mut Fx| {
        let plan = policy.plan(at, home, fx);
        (plan.chores.len(), plan.connects.len(), plan.wake_at)
    };
    let (second, third) = (first + patience, first + patience * 2);
    assert_eq!(begun(first, &mut fx), (1, 0, Some(second)), "the check comes first");
    assert_eq!(begun(second, &mut fx), (0, 1, Some(third)), "it takes long");
    assert_eq!(begun(second, &mut fx), (0, 0, Some(third)), "the connect is young");
    assert_eq!(begun(third, &mut fx).0, 1, "both take long");
    policy.connects.abandon(1);
    assert_eq!(policy.connects.young(second), 0, "nobody wants it any more");
}

/// `health.off_path`: in the pause after failures no connect comes, so the next check does.
#[test]
fn in_the_pause_the_next_check_comes() {
    let trust = PoolConfig { check_after_idle: SECOND, connect_backoff: SECOND, ..config(4) };
    let (mut policy, home, now) = policy(trust);
    open(&mut policy, home, 2, now);
    let (mut fx, first) = (Fx::default(), now + SECOND * 2);
    let failing = attempt(&mut policy, home, first);
    policy.connect_failed(failing, refused(FailureKind::Transient), first, &mut fx);
    join(&mut policy, first, 0, &mut fx);
    assert_eq!(policy.plan(first, home, &mut fx).chores.len(), 1);
    let plan = policy.plan(first + Duration::from_millis(1), home, &mut fx);
    assert_eq!((plan.chores.len(), plan.connects.len()), (1, 0));
}

/// `health.off_path`: a slow connect wakes nobody if nothing is idle that could be checked beside it, or nobody waits.
#[test]
fn a_slow_connect_wakes_nobody_for_nothing() {
    let never = Duration::MAX;
    let timing = PoolConfig {
        health_check_interval: never,
        idle_timeout: never,
        max_lifetime: never,
        connection_timeout: SECOND * 30,
        ..config(2)
    };
    let (mut policy, home, now) = policy(timing);
    let mut fx = Fx::default();
    let wait = join(&mut policy, now, 0, &mut fx);
    let plan = policy.plan(now, home, &mut fx);
    assert_eq!((plan.connects.len(), plan.wake_at), (1, Some(now + SECOND * 30)), "nothing is idle");
    policy.cancel(wait, now, &mut fx);
    open(&mut policy, home, 1, now);
    assert_eq!(policy.plan(now, home, &mut fx).wake_at, None, "nobody waits");
}

/// `PoolBuilder::before_reuse`: the first use is no reuse. Every other needs the hook, also if it has run for a waiter that
/// went away.
#[test]
fn when_the_hook_before_reuse_has_to_run() {
    let (mut policy, home, now) = policy(config(1));
    policy.prepare_before_reuse();
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    let mut entry = policy.try_take(now, here(), &mut fx).expect("nobody has used it");
    entry.use_count += 1;
    let mut fx = Fx::default();
    policy.give_back(entry, Disposition::Reuse, now, &mut fx);
    assert!(policy.try_take(now, here(), &mut fx).is_none(), "it has been used");
    for granted in [false, true] {
        let wait = join(&mut policy, now, 0, &mut fx);
        let (entry, chore) = policy.plan(now, home, &mut fx).chores.pop().expect("the hook runs");
        assert_eq!(chore, Chore::Prepare { check: false });
        if granted {
            policy.chore_ended(entry, ChoreOutcome::Passed, now, &mut fx);
            assert!(matches!(got(&mut policy, wait, now), Some(Ok(_))));
        } else {
            policy.cancel(wait, now, &mut fx);
            policy.chore_ended(entry, ChoreOutcome::Passed, now, &mut fx);
            assert!(
                policy.try_take(now, here(), &mut fx).is_none(),
                "the hook was for a waiter that has gone"
            );
        }
    }
}

/// `lifetime.no_dip`: of those that nobody uses, as many have successors as the minimum needs.
#[test]
fn the_minimum_has_successors_and_the_rest_has_none() {
    let never = Duration::MAX;
    for (min_connections, successors) in [(0, 0), (1, 1), (2, 2), (3, 3)] {
        let timing = PoolConfig { idle_timeout: never, health_check_interval: never, ..config(8) };
        let (mut policy, home, now) =
            policy(PoolConfig { min_connections, max_lifetime: SECOND * 60, ..timing });
        open(&mut policy, home, 3, now);
        let plan = policy.plan(now + SECOND * 55, home, &mut Fx::default());
        assert_eq!(plan.connects.len(), successors, "{min_connections}");
    }
}

/// `leak.report`: each hold is reported once.
#[test]
fn a_leak_is_reported_once() {
    let (mut policy, home, now) = policy(PoolConfig { leak_threshold: SECOND, ..config(1) });
    open(&mut policy, home, 1, now);
    let held = take(&mut policy, now);
    let mut fx = Fx::default();
    let reports = [1, 2].map(|after| policy.plan(now + SECOND * after, home, &mut fx).leaks.len());
    assert_eq!((reports, policy.stats().reported_leaks), ([1, 0], 1));
    drop(held);
}
