//! How the policy judges a success, a failure, and what somebody waits for.

use super::*;
use crate::error::Phase;

/// A connection that was handed to a waiter straight from its connect.
fn served(policy: &mut TestPolicy, home: Home, began: Tick, now: Tick) -> Boxed {
    let mut fx = Fx::default();
    let ticket = join(policy, began, 0, &mut fx);
    let key = attempt(policy, home, began);
    policy.connected(key, 1, (now, now), &mut fx);
    got(policy, ticket, now).expect("served").expect("a connection")
}

fn fail(policy: &mut TestPolicy, home: Home, now: Tick) {
    let key = attempt(policy, home, now);
    policy.connect_failed(key, refused(FailureKind::Transient), now, &mut Fx::default());
}

/// `connect.backoff`: failures are counted one by one, until a connection that is younger than the last one is seen to
/// live.
#[test]
fn what_ends_the_pause() {
    let (mut policy, home, now) = policy(config(4));
    let mut fx = Fx::default();
    let mut early = served(&mut policy, home, now, now);
    fail(&mut policy, home, now + SECOND);
    fail(&mut policy, home, now + SECOND * 2);
    assert_eq!((policy.stats().failed_connects, policy.connects.is_failing()), (2, true));
    let Some(Refusal::Connect { attempts: 2, .. }) = policy.last_failure() else { panic!("two in a row") };
    policy.proven(&mut early, now + SECOND * 3, &mut fx);
    assert!(policy.connects.is_failing(), "it was opened before the failures");
    policy.give_back(early, Disposition::Reuse, now + SECOND * 3, &mut fx);
    assert!(policy.connects.is_failing(), "it is nothing new");

    let used = policy.try_take(now + SECOND * 3, here(), &mut fx);
    let mut stale = served(&mut policy, home, now + SECOND * 3, now + SECOND * 4);
    policy.eviction.begin_epoch();
    policy.proven(&mut stale, now + SECOND * 4, &mut fx);
    assert!(policy.connects.is_failing(), "it is from before invalidate_all");

    let mut late = served(&mut policy, home, now + SECOND * 4, now + SECOND * 5);
    policy.proven(&mut late, now + SECOND * 5, &mut fx);
    assert!(!policy.connects.is_failing() && policy.last_failure().is_none());
    drop((used, stale, late));
}

/// `connect.backoff`: a dead connection is a failed connect only if it is fresh, of this epoch, and no older than what
/// has proved to work.
#[test]
fn which_dead_connection_is_a_failure() {
    for (case, expected) in [("fresh", 1), ("used", 0), ("old epoch", 0), ("older than a success", 0)] {
        let (mut policy, home, now) = policy(config(4));
        let mut fx = Fx::default();
        let mut dead = served(&mut policy, home, now, now);
        match case {
            "used" => policy.proven(&mut dead, now, &mut fx),
            "old epoch" => policy.eviction.begin_epoch(),
            "older than a success" => {
                let mut younger = served(&mut policy, home, now, now + SECOND);
                policy.proven(&mut younger, now + SECOND, &mut fx);
                drop(younger);
            }
            _ => {}
        }
        policy.found_dead(dead, now + SECOND, &mut fx);
        assert_eq!(policy.stats().failed_connects, expected, "{case}");
        assert_eq!(policy.connects.is_failing(), expected > 0, "{case}");
    }
}

/// `acquire.diagnosis`: the phase is what stands between a waiter and a connection.
#[test]
fn the_phase_of_a_wait() {
    let waiting = |check_first: bool| {
        let config =
            PoolConfig { check_after_idle: if check_first { SECOND } else { Duration::MAX }, ..config(3) };
        let (mut policy, home, now) = policy(config);
        open(&mut policy, home, 1, now);
        (policy, home, now + SECOND * 2)
    };
    let phase = |policy: &TestPolicy, now| policy.diagnose(SECOND, now).timeout.phase;
    let mut fx = Fx::default();

    let (mut policy, home, now) = waiting(false);
    let held = policy.try_take(now, here(), &mut fx);
    assert_eq!(phase(&policy, now), Phase::Queueing);
    let told = policy.diagnose(SECOND, now).timeout;
    assert_eq!((told.position, told.waiting, told.active, told.idle), (1, 1, 1, 0));
    let coming = attempt(&mut policy, home, now);
    assert_eq!(phase(&policy, now), Phase::Connecting);
    assert!(policy.connects.abandon(1));
    assert_eq!(phase(&policy, now), Phase::Queueing, "nobody wants it any more");
    policy.connect_failed(coming, refused(FailureKind::Transient), now, &mut fx);
    assert_eq!(phase(&policy, now), Phase::Connecting, "in the pause, with room");
    policy.resize(1, now, &mut fx);
    assert_eq!(phase(&policy, now), Phase::Queueing, "in the pause, without room");
    policy.suspend(now, &mut fx);
    assert_eq!(phase(&policy, now), Phase::Suspended);
    drop(held);

    let (mut policy, home, now) = waiting(true);
    for waiter in 0..3 {
        join(&mut policy, now, waiter, &mut fx);
    }
    let checks = policy.plan(now, home, &mut fx).entries();
    assert_eq!((checks.len(), policy.connects.under_way()), (1, 2));
    assert_eq!(phase(&policy, now), Phase::Connecting, "two connects, one check");
    policy.connect_lost(0, now, &mut fx);
    assert_eq!(phase(&policy, now), Phase::Checking, "one and one");
    let told = policy.diagnose(SECOND, now).timeout;
    assert_eq!((told.position, told.waiting, told.active, told.idle), (4, 4, 0, 1));

    let (mut policy, home, now) = waiting(false);
    let checks = policy.plan(now + SECOND * 30, home, &mut fx).entries();
    assert_eq!((checks.len(), phase(&policy, now)), (1, Phase::Checking), "a health check in the way");
}

/// `observe.events`: connections are numbered as they open, and know how long it took.
#[test]
fn connections_are_numbered() {
    let (mut policy, home, now) = policy(config(2));
    for number in 1..=2 {
        let key = attempt(&mut policy, home, now);
        assert_eq!(policy.announce(key, now + SECOND), (number, SECOND));
        assert_eq!(
            policy.connected(key, 9, (now + SECOND, now + SECOND), &mut Fx::default()),
            (number, SECOND)
        );
    }
}

/// `acquire.deadline`: how long a connect takes is smoothed, and never less than the timer can tell.
#[test]
fn patience_follows_the_connects() {
    let (mut policy, home, now) = policy(config(4));
    let millis = Duration::from_millis;
    assert_eq!(policy.connects.patience(), millis(1));
    for (took, patience) in [(80, 80), (160, 90), (10, 80)] {
        let key = attempt(&mut policy, home, now);
        let opened_at = now + millis(took);
        // When the pool hears of it does not count.
        policy.connected(key, 1, (opened_at, opened_at + SECOND), &mut Fx::default());
        assert_eq!(policy.connects.patience(), millis(patience));
    }
}
