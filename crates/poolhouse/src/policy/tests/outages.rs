//! What is an outage and what is not, for how long, and how often the server is tried meanwhile.

use super::deadlines::Deadline;
use super::*;

fn fail(policy: &mut TestPolicy, home: Home, now: Tick, kind: FailureKind) {
    let key = attempt(policy, home, now);
    policy.connect_failed(key, refused(kind), now, &mut Fx::default());
}

/// For how long a connect is kept back, after one failure.
fn pause_after(config: PoolConfig, kind: FailureKind, times: [Duration; 2]) -> Duration {
    let (mut policy, home, now) = policy(config);
    for after in times {
        fail(&mut policy, home, now + after, kind);
    }
    let last = now + times[1];
    policy.connects.pause(last).expect("it pauses").since(last)
}

/// `connect.backoff`, `acquire.fail_fast`: until acquires fail fast no pause is longer than a quarter of that time.
#[test]
fn pauses_are_short_before_acquires_fail_fast() {
    let long = SECOND * 4;
    let limits = PoolConfig {
        connect_backoff: long,
        max_connect_backoff: long,
        fail_fast_after: SECOND * 8,
        ..config(4)
    };
    let transient = FailureKind::Transient;
    let soon = pause_after(limits.clone(), transient, [Duration::ZERO, SECOND * 8 - Duration::from_nanos(1)]);
    assert!(soon <= SECOND * 2, "{soon:?}");
    let late = pause_after(limits.clone(), transient, [Duration::ZERO, SECOND * 8]);
    assert!(late > SECOND * 2, "{late:?}: acquires fail fast by now");
    let busy = pause_after(limits.clone(), FailureKind::Busy, [Duration::ZERO, SECOND]);
    assert!(busy > SECOND * 2, "{busy:?}: it is not down");
    let off = PoolConfig { fail_fast_after: Duration::MAX, ..limits };
    let never = pause_after(off, transient, [Duration::ZERO, SECOND]);
    assert!(never > SECOND * 2, "{never:?}: acquires never fail fast");
}

/// `acquire.fail_fast`: an acquire that waits when the time comes is told, and the background is woken for
/// it, once.
#[test]
fn an_outage_ends_the_waits() {
    let (mut policy, home, now) = policy(PoolConfig { fail_fast_after: SECOND * 3, ..config(1) });
    let mut fx = Fx::default();
    let wait = join(&mut policy, now, 0, &mut fx);
    fail(&mut policy, home, now, FailureKind::Transient);
    let (early, due) = (now + SECOND, now + SECOND * 3);
    policy.plan(early, home, &mut fx);
    assert_eq!(policy.deadlines.due(Deadline::FailFast), due);
    assert!(got(&mut policy, wait, early).is_none());
    policy.plan(due, home, &mut fx);
    assert_eq!(policy.deadlines.due(Deadline::FailFast), Tick::NEVER, "it is no deadline any more");
    assert_eq!(policy.waiting.answer(wait.ticket), Some("refused"));
    assert!(matches!(got(&mut policy, wait, due), Some(Err(Refusal::Connect { retry: Some(_), .. }))));
}

/// `acquire.fail_fast`, `time.fresh`: if nobody has tried for longer than an attempt takes, nothing is known of now.
#[test]
fn an_outage_that_nobody_observes() {
    let limits =
        PoolConfig { fail_fast_after: SECOND * 3, connect_attempt_timeout: SECOND * 20, ..config(1) };
    let (mut policy, home, now) = policy(limits);
    fail(&mut policy, home, now, FailureKind::Transient);
    let begins = policy.connects.next_attempt().expect("after the pause");
    let last = begins + SECOND * 21;
    assert!(policy.outage(last).is_some(), "it has had a second more than the attempt takes");
    assert!(policy.outage(last + Duration::from_nanos(1)).is_none());
}

/// `acquire.fail_fast`: when the last background task has ended, nobody tries, and the outage is forgotten.
#[test]
fn an_outage_ends_with_the_last_runtime() {
    let (mut policy, first, now) = policy(PoolConfig { fail_fast_after: SECOND * 3, ..config(1) });
    let second = policy.home_opened();
    fail(&mut policy, first, now, FailureKind::Transient);
    policy.home_lost(first, now, &mut Fx::default());
    assert!(policy.outage_from().is_some(), "another goes on trying");
    policy.home_lost(second, now, &mut Fx::default());
    assert_eq!(policy.outage_from(), None);
    assert!(policy.last_failure().is_some(), "the error is still the latest");
}

/// `acquire.fail_fast`: a failure of a time at which a connection was open that worked is no outage, whether it was opened
/// here and somebody looked at it, or was added.
#[test]
fn what_failed_beside_a_connection_that_worked_is_no_outage() {
    for (case, is_outage) in
        [("proven", false), ("added", false), ("added, then another", false), ("nobody looked", true)]
    {
        let (mut policy, home, now) = policy(PoolConfig { fail_fast_after: SECOND * 3, ..config(4) });
        let mut fx = Fx::default();
        let wait = join(&mut policy, now, 0, &mut fx);
        let key = if case.starts_with("added") {
            policy.reserve(home, now).expect("room")
        } else {
            attempt(&mut policy, home, now)
        };
        // It was opened before the failure, and the pool hears of it after.
        fail(&mut policy, home, now + SECOND, FailureKind::Transient);
        policy.connected(key, 1, (now, now + SECOND), &mut fx);
        let mut entry = got(&mut policy, wait, now + SECOND).expect("served").expect("a connection");
        match case {
            "proven" => policy.proven(&mut entry, now + SECOND, &mut fx),
            "added, then another" => {
                let wait = join(&mut policy, now, 1, &mut fx);
                let key = attempt(&mut policy, home, now);
                policy.connected(key, 2, (now, now + SECOND), &mut fx);
                let other = got(&mut policy, wait, now + SECOND).expect("served").expect("a connection");
                policy.give_back(
                    other,
                    Disposition::Retire(RetireReason::Invalidated),
                    now + SECOND,
                    &mut fx,
                );
            }
            _ => {}
        }
        assert!(policy.connects.is_failing(), "{case}: it was opened before the failure");
        assert_eq!(policy.outage_from(), None, "{case}: one is open");
        policy.give_back(entry, Disposition::Retire(RetireReason::Invalidated), now + SECOND, &mut fx);
        assert_eq!(policy.outage_from().is_some(), is_outage, "{case}");
    }
}

/// `acquire.fail_fast`: a connection that was dead at the first look is the beginning of an outage if it was the only one.
#[test]
fn a_dead_connection_may_begin_an_outage() {
    for (opened, is_outage) in [(0, true), (1, false)] {
        let (mut policy, home, now) = policy(PoolConfig { fail_fast_after: SECOND * 3, ..config(4) });
        let mut fx = Fx::default();
        open(&mut policy, home, opened, now);
        let held = (opened > 0).then(|| take(&mut policy, now));
        let wait = join(&mut policy, now, 0, &mut fx);
        let key = attempt(&mut policy, home, now);
        policy.connected(key, 9, (now, now), &mut fx);
        let dead = got(&mut policy, wait, now).expect("served").expect("a connection");
        policy.found_dead(dead, now + SECOND, &mut fx);
        let last = policy.connects.last_failure().expect("it counts as a failed connect");
        assert_eq!(last.down_since.is_some(), is_outage, "{opened} open beside it");
        drop(held);
    }
}

/// `connect.backoff`: a new connection that becomes idle unseen ends the pause only if its connect began after the failure.
#[test]
fn an_unseen_connection_ends_the_pause_if_it_is_younger() {
    for (began_after, fails_on) in [(Duration::ZERO, true), (Duration::from_nanos(1), false)] {
        let (mut policy, home, now) = policy(config(4));
        fail(&mut policy, home, now, FailureKind::Transient);
        let key = attempt(&mut policy, home, now + began_after);
        policy.connected(key, 1, (now + SECOND, now + SECOND), &mut Fx::default());
        assert_eq!(policy.idle.len(), 1);
        assert_eq!(policy.connects.is_failing(), fails_on, "{began_after:?}");
    }
}
