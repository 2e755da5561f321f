//! When the background is asked for a plan, and what is in it.

use super::*;
use crate::error::Phase;

/// `health.off_path`: an acquire that finds nothing to begin does not wake the background.
#[test]
fn a_wait_for_which_nothing_can_be_begun_asks_for_no_plan() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let held = policy.try_take(now, here(), &mut Fx::default());
    let mut fx = Fx::default();
    join(&mut policy, now, 0, &mut fx);
    assert!(!fx.plan);
    drop(held);
}

/// `health.off_path`: a release asks to be woken only if nothing else is due as early.
#[test]
fn a_second_release_at_one_instant_asks_for_no_plan() {
    let (mut policy, home, now) = policy(config(2));
    open(&mut policy, home, 2, now);
    let held = [0, 1].map(|_| policy.try_take(now, here(), &mut Fx::default()).expect("idle"));
    policy.deadlines.clear();
    let asked = held.map(|entry| {
        let mut fx = Fx::default();
        policy.give_back(entry, Disposition::Reuse, now, &mut fx);
        fx.plan
    });
    assert_eq!(asked, [true, false]);
}

/// `health.off_path`: a plan made while a connection is out foresees its return, which asks for no other.
#[test]
fn a_return_after_a_plan_asks_for_no_plan() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    let held = policy.try_take(now, here(), &mut fx).expect("idle");
    let wake_at = policy.plan(now, home, &mut fx).wake_at.expect("it may come back");
    let mut fx = Fx::default();
    policy.give_back(held, Disposition::Reuse, now + SECOND, &mut fx);
    assert!(!fx.plan);
    // And what is due then is not forgotten.
    assert!(policy.plan(wake_at, home, &mut fx).wake_at.is_some_and(|at| at > wake_at));
}

/// `epoch.invalidate_all`: a waiter gets a new attempt at once, though the old one is not gone yet.
#[test]
fn an_abandoned_attempt_serves_nobody() {
    let (mut policy, home, now) = policy(config(4));
    let mut fx = Fx::default();
    join(&mut policy, now, 0, &mut fx);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 1);
    policy.invalidate_all(now, &mut fx);
    let plan = policy.plan(now, home, &mut fx);
    assert_eq!((plan.connects.len(), plan.abandoned_connects.len()), (1, 1));
    assert!(policy.plan(now, home, &mut fx).abandoned_connects.is_empty(), "told once");
}

/// `release.anywhere`: what one runtime opened goes with it, and what another opened stays.
#[test]
fn each_home_is_its_own() {
    let (mut policy, first, now) = policy(config(4));
    let second = policy.home_opened();
    assert_ne!(first, second);
    open(&mut policy, first, 1, now);
    let key = attempt(&mut policy, second, now);
    policy.connected(key, 2, (now, now), &mut Fx::default());
    let mut fx = Fx::default();
    policy.home_lost(first, now, &mut fx);
    let gone: Vec<_> = fx.retired.iter().map(|(entry, reason)| (entry.connection, *reason)).collect();
    assert_eq!(gone, [(1, RetireReason::RuntimeGone)]);
    assert_eq!(policy.idle.len(), 1);
    policy.home_lost(second, now, &mut fx);
    assert_eq!(retired(&fx)[1..], [(2, RetireReason::RuntimeGone)]);
    assert_eq!(policy.idle.len(), 0);
}

/// `acquire.deadline`: an attempt in a runtime that nobody drives is given up by the background of another, which begins one
/// of its own. What becomes of the first says nothing any more.
#[test]
fn an_attempt_that_stalls_elsewhere_is_relied_on_no_longer() {
    for (max, fails) in [(1, false), (2, false), (2, true)] {
        let context = format!("a maximum of {max}, a failure before: {fails}");
        let timing = PoolConfig { connection_timeout: Duration::MAX, max_connecting: 1, ..config(max) };
        let (mut policy, first, now) = policy(timing);
        let second = policy.home_opened();
        let mut fx = Fx::default();
        join(&mut policy, now, 0, &mut fx);
        let mut begin = |now| policy.plan(now, first, &mut fx).connects;
        let mut stalls = begin(now)[0];
        let mut began = now;
        if fails {
            policy.connect_failed(stalls, refused(FailureKind::Transient), now, &mut fx);
            began = policy.connects.pause(now).expect("it has failed");
            stalls = policy.plan(began, first, &mut fx).connects[0];
        }
        let plan = policy.plan(began, second, &mut fx);
        assert!(plan.connects.is_empty(), "one comes: {context}");
        let overdue = began + policy.config.connect_attempt_timeout + SECOND;
        assert_eq!(plan.wake_at, Some(overdue), "{context}");
        assert_eq!(
            policy.plan(overdue, first, &mut fx).abandoned_connects,
            [],
            "its own task ends it: {context}"
        );

        let plan = policy.plan(overdue, second, &mut fx);
        assert_eq!(plan.connects.len(), max - 1, "it keeps its share: {context}");
        assert_eq!(plan.abandoned_connects, [], "it is not this task's to drop: {context}");
        assert_eq!(policy.plan(overdue, first, &mut fx).abandoned_connects, [stalls], "{context}");
        let phase = policy.diagnose(SECOND, overdue).timeout.phase;
        assert_eq!(phase, Phase::Connecting, "there is nothing to release: {context}");
        let told = policy.telling_failures();
        policy.connect_failed(stalls, refused(FailureKind::Permanent), overdue, &mut fx);
        assert_eq!((policy.telling_failures(), policy.somebody_waits()), (told, true), "{context}");
        assert_eq!(policy.connects.stalled(), 0, "{context}");
    }
}

/// A machine that slept makes each task late, and a task that comes late gives the others as long as they had again. What an
/// attempt that stalled took says nothing about connecting.
#[test]
fn an_attempt_is_not_given_up_by_a_task_that_is_late_itself() {
    let timing = PoolConfig { connection_timeout: Duration::MAX, max_connecting: 1, ..config(2) };
    let (mut policy, first, now) = policy(timing);
    let second = policy.home_opened();
    let mut fx = Fx::default();
    join(&mut policy, now, 0, &mut fx);
    let attempt = policy.plan(now, first, &mut fx).connects[0];
    let overdue = now + policy.config.connect_attempt_timeout + SECOND;
    let woken = overdue + 60 * SECOND;
    let plan = policy.plan(woken, second, &mut fx);
    assert_eq!((plan.connects.len(), plan.wake_at), (0, Some(woken + SECOND)));
    assert_eq!(policy.plan(woken + SECOND, second, &mut fx).connects.len(), 1);
    let patience = policy.connects.patience();
    policy.connected(attempt, 7, (woken + SECOND, woken + SECOND), &mut fx);
    assert_eq!(policy.connects.patience(), patience);
}

/// `release.anywhere`: all who wait are woken when a runtime ends, for one of them may have to start the next task.
#[test]
fn who_waits_is_woken_when_a_runtime_ends() {
    let (mut policy, home, now) = policy(config(1));
    let mut fx = Fx::default();
    for waiter in 0..3 {
        join(&mut policy, now, waiter, &mut fx);
    }
    let mut fx = Fx::default();
    policy.home_lost(home, now, &mut fx);
    assert_eq!(fx.wake.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

/// `size.min`: held and checked connections count when the plan decides whether an idle one is too many.
#[test]
fn what_is_held_or_checked_counts_towards_the_minimum() {
    for (held, checked) in [(1, 0), (0, 1)] {
        let timing = PoolConfig { idle_timeout: SECOND * 40, max_lifetime: Duration::MAX, ..config(2) };
        let (mut policy, home, now) = policy(PoolConfig { min_connections: 1, ..timing });
        open(&mut policy, home, 2, now);
        let mut fx = Fx::default();
        let in_use = (held > 0).then(|| policy.try_take(now, here(), &mut fx).expect("idle"));
        if checked > 0 {
            assert_eq!(policy.plan(now + SECOND * 30, home, &mut fx).entries().len(), checked);
        }
        policy.plan(now + SECOND * 40, home, &mut fx);
        assert_eq!(fx.retired.len(), 1, "{held} {checked}");
        drop(in_use);
    }
}

/// One idle connection, which the minimum needs, and of which nothing but its lifetime ends.
fn ageing_at_the_minimum() -> (TestPolicy, Home, Tick) {
    let never = Duration::MAX;
    let timing = PoolConfig { idle_timeout: never, health_check_interval: never, ..config(4) };
    let (mut policy, home, now) =
        policy(PoolConfig { min_connections: 1, max_lifetime: SECOND * 60, ..timing });
    open(&mut policy, home, 1, now);
    (policy, home, now)
}

/// `lifetime.no_dip`: a connection that has a successor under way gets no second one.
#[test]
fn one_successor_is_enough() {
    let (mut policy, home, now) = ageing_at_the_minimum();
    let mut fx = Fx::default();
    let due = now + SECOND * 54;
    assert_eq!(policy.plan(due, home, &mut fx).connects.len(), 1);
    join_two(&mut policy, due, &mut fx);
    assert_eq!(
        policy.plan(due, home, &mut fx).connects.len(),
        1,
        "for the second waiter, not for the old connection"
    );
    assert_eq!(policy.connects.coming() - policy.connects.additions(), 1);
}

/// Takes what is idle, and lets two wait.
fn join_two(policy: &mut TestPolicy, now: Tick, fx: &mut Fx) {
    let held = policy.try_take(now, here(), fx);
    assert!(held.is_some());
    join(policy, now, 1, fx);
    join(policy, now, 2, fx);
}

/// `lifetime.no_dip`: a successor is for what is in use and will not idle out first, and for what the minimum needs.
#[test]
fn who_has_a_successor() {
    for (min, idle_timeout, last_use, successors) in
        [(0, 5, 50, 0), (0, 45, 50, 1), (0, 45, 10, 0), (1, 5, 50, 1), (1, 45, 10, 1)]
    {
        let timing = PoolConfig {
            max_lifetime: SECOND * 60,
            idle_timeout: SECOND * idle_timeout,
            health_check_interval: Duration::MAX,
            ..config(4)
        };
        let (mut policy, home, now) = policy(PoolConfig { min_connections: min, ..timing });
        open(&mut policy, home, 1, now);
        let mut fx = Fx::default();
        let used = policy.try_take(now, here(), &mut fx).expect("idle");
        policy.give_back(used, Disposition::Reuse, now + SECOND * last_use, &mut fx);
        let plan = policy.plan(now + SECOND * 54, home, &mut fx);
        assert_eq!(plan.connects.len(), successors, "{min} {idle_timeout} {last_use}");
        assert!(fx.retired.is_empty());
    }
}

/// `lifetime.no_dip`: a successor takes over for how long its predecessor has idled.
#[test]
fn a_successor_has_idled_as_long() {
    let (mut policy, home, now) = ageing_at_the_minimum();
    let mut fx = Fx::default();
    let key = policy.plan(now + SECOND * 54, home, &mut fx).connects[0];
    policy.connected(key, 2, (now + SECOND * 55, now + SECOND * 55), &mut fx);
    let idle: Vec<_> = policy.idle.iter().map(|entry| (entry.connection, entry.idle_since)).collect();
    assert_eq!(idle, [(2, now)]);
    let gone: Vec<_> = fx.retired.iter().map(|(entry, reason)| (entry.connection, *reason)).collect();
    assert_eq!(gone, [(1, RetireReason::Lifetime)]);
}

/// `leak.report`: while connections are used the background looks once in the threshold, and not when none is.
#[test]
fn the_look_for_leaks_keeps_pace_with_use() {
    let never = Duration::MAX;
    let timing =
        PoolConfig { max_lifetime: never, idle_timeout: never, health_check_interval: never, ..config(2) };
    let (mut policy, home, now) = policy(PoolConfig { leak_threshold: SECOND * 5, ..timing });
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    assert_eq!(policy.plan(now, home, &mut fx).wake_at, None, "nobody has used it");
    let used = policy.try_take(now, here(), &mut fx).expect("idle");
    policy.give_back(used, Disposition::Reuse, now + SECOND, &mut fx);
    let next = policy.plan(now + SECOND, home, &mut fx).wake_at;
    assert_eq!(next, Some(now + SECOND * 6), "it was used since the last plan");
    let mut again = Fx::default();
    let used = policy.try_take(now + SECOND * 2, here(), &mut again).expect("idle");
    assert!(!again.plan, "the look to come is early enough");
    policy.give_back(used, Disposition::Reuse, now + SECOND * 2, &mut fx);
    assert!(policy.plan(now + SECOND * 6, home, &mut fx).wake_at.is_some());
    assert_eq!(policy.plan(now + SECOND * 11, home, &mut fx).wake_at, None, "not used since");
}

/// `lifetime.no_dip`: room for a successor whose time has come asks for a plan, and nothing less does.
#[test]
fn a_successor_that_waited_for_room() {
    for (case, asks) in
        [("room", true), ("no room", false), ("not yet", false), ("suspended", false), ("closed", false)]
    {
        let never = Duration::MAX;
        let timing = PoolConfig { idle_timeout: never, health_check_interval: never, ..config(2) };
        let (mut policy, home, now) = policy(PoolConfig { max_lifetime: SECOND * 60, ..timing });
        open(&mut policy, home, 2, now);
        let mut fx = Fx::default();
        let held = [0, 1].map(|_| policy.try_take(now, here(), &mut fx).expect("idle"));
        let due = now + SECOND * if case == "not yet" { 10 } else { 55 };
        assert!(policy.plan(due, home, &mut fx).connects.is_empty(), "no room");
        match case {
            "suspended" => policy.suspend(now, &mut fx),
            "closed" => assert!(policy.close(now, &mut fx)),
            _ => {}
        }
        let mut fx = Fx::default();
        policy.resize(if case == "no room" { 2 } else { 3 }, due, &mut fx);
        assert_eq!(fx.plan, asks, "{case}");
        drop(held);
    }
}

/// `suspend.nothing_moves`: each runtime is told to drop its own checks, also when another has ended meanwhile.
#[test]
fn every_home_is_told_to_drop_its_checks() {
    let (mut policy, first, now) = policy(config(20));
    let second = policy.home_opened();
    open(&mut policy, first, 20, now);
    let (mut fx, due) = (Fx::default(), now + SECOND * 30);
    let mut begun = policy.plan(due, first, &mut fx).entries();
    let ended = begun.pop().expect("two at a time");
    policy.chore_ended(ended, ChoreOutcome::Passed, due, &mut fx);
    begun.extend(policy.plan(due, second, &mut fx).entries());
    let ids: Vec<_> = begun.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), 2);
    policy.suspend(due, &mut fx);
    assert_eq!(policy.plan(due, first, &mut fx).abandoned_chores, ids[..1]);
    policy.home_lost(first, due, &mut fx);
    assert_eq!(policy.plan(due, second, &mut fx).abandoned_chores, ids[1..]);
    assert!(policy.plan(due, second, &mut fx).abandoned_chores.is_empty(), "told once");
}
