//! How the core judges a success, a failure, and what somebody waits for.

use super::*;
use crate::error::Phase;

/// A connection that was handed to a waiter straight from its connect.
fn served(core: &mut TestCore, home: Home, began: Tick, now: Tick) -> Boxed {
    let mut fx = Fx::default();
    let ticket = join(core, began, 0, &mut fx);
    let key = attempt(core, home, began);
    core.connected(key, 1, now, &mut fx);
    got(core, ticket, now).expect("served").expect("a connection")
}

fn fail(core: &mut TestCore, home: Home, now: Tick) {
    let key = attempt(core, home, now);
    core.connect_failed(key, refused(FailureKind::Transient), now, &mut Fx::default());
}

/// `connect.backoff`: failures are counted one by one, until a connection that is younger than the last one is seen to
/// live.
#[test]
fn what_ends_the_pause() {
    let (mut core, home, now) = core(config(4));
    let mut fx = Fx::default();
    let mut early = served(&mut core, home, now, now);
    fail(&mut core, home, now + SECOND);
    fail(&mut core, home, now + SECOND * 2);
    assert_eq!((core.failed_connects(), core.backoff.failing()), (2, true));
    let Some(Refusal::Connect { attempts: 2, .. }) = core.last_failure() else { panic!("two in a row") };
    core.proven(&mut early, now + SECOND * 3, &mut fx);
    assert!(core.backoff.failing(), "it was opened before the failures");
    core.give_back(early, Fate::Reuse, now + SECOND * 3, &mut fx);
    assert!(core.backoff.failing(), "it is nothing new");

    let used = core.try_take(now + SECOND * 3, here(), &mut fx);
    let mut stale = served(&mut core, home, now + SECOND * 3, now + SECOND * 4);
    core.epoch += 1;
    core.proven(&mut stale, now + SECOND * 4, &mut fx);
    assert!(core.backoff.failing(), "it is from before invalidate_all");

    let mut late = served(&mut core, home, now + SECOND * 4, now + SECOND * 5);
    core.proven(&mut late, now + SECOND * 5, &mut fx);
    assert!(!core.backoff.failing() && core.last_failure().is_none());
    drop((used, stale, late));
}

/// `connect.backoff`: a dead connection is a failed connect only if it is fresh, of this epoch, and no older than what
/// has proved to work.
#[test]
fn which_dead_connection_is_a_failure() {
    for (case, expected) in [("fresh", 1), ("used", 0), ("old epoch", 0), ("older than a success", 0)] {
        let (mut core, home, now) = core(config(4));
        let mut fx = Fx::default();
        let mut dead = served(&mut core, home, now, now);
        match case {
            "used" => core.proven(&mut dead, now, &mut fx),
            "old epoch" => core.epoch += 1,
            "older than a success" => {
                let mut younger = served(&mut core, home, now, now + SECOND);
                core.proven(&mut younger, now + SECOND, &mut fx);
                drop(younger);
            }
            _ => {}
        }
        core.found_dead(dead, now + SECOND, &mut fx);
        assert_eq!(core.failed_connects(), expected, "{case}");
        assert_eq!(core.backoff.failing(), expected > 0, "{case}");
    }
}

/// `acquire.diagnosis`: the phase is what stands between a waiter and a connection.
#[test]
fn the_phase_of_a_wait() {
    let waiting = |check_first: bool| {
        let config = PoolConfig { check_after_idle: check_first.then_some(SECOND), ..config(3) };
        let (mut core, home, now) = core(config);
        open(&mut core, home, 1, now);
        (core, home, now + SECOND * 2)
    };
    let phase = |core: &TestCore, now| core.diagnose(SECOND, now).phase;
    let mut fx = Fx::default();

    let (mut core, home, now) = waiting(false);
    let held = core.try_take(now, here(), &mut fx);
    assert_eq!(phase(&core, now), Phase::Queueing);
    let told = core.diagnose(SECOND, now);
    assert_eq!((told.position, told.waiting, told.active, told.idle), (1, 1, 1, 0));
    let coming = attempt(&mut core, home, now);
    assert_eq!(phase(&core, now), Phase::Connecting);
    core.abandon(1, &mut fx);
    assert_eq!(phase(&core, now), Phase::Queueing, "nobody wants it any more");
    core.connect_failed(coming, refused(FailureKind::Transient), now, &mut fx);
    assert_eq!(phase(&core, now), Phase::Connecting, "in the pause, with room");
    core.resize(1, now, &mut fx);
    assert_eq!(phase(&core, now), Phase::Queueing, "in the pause, without room");
    core.suspend(&mut fx);
    assert_eq!(phase(&core, now), Phase::Suspended);
    drop(held);

    let (mut core, home, now) = waiting(true);
    for waiter in 0..3 {
        join(&mut core, now, waiter, &mut fx);
    }
    let checks = core.plan(now, home, &mut fx).checks;
    assert_eq!((checks.len(), core.attempts.len()), (1, 2));
    assert_eq!(phase(&core, now), Phase::Connecting, "two connects, one check");
    core.attempts.remove(0);
    assert_eq!(phase(&core, now), Phase::Checking, "one and one");
    let told = core.diagnose(SECOND, now);
    assert_eq!((told.position, told.waiting, told.active, told.idle), (4, 4, 0, 1));

    let (mut core, home, now) = waiting(false);
    let checks = core.plan(now + SECOND * 30, home, &mut fx).checks;
    assert_eq!((checks.len(), phase(&core, now)), (1, Phase::Checking), "a health check in the way");
}

/// `observe.events`: connections are numbered as they open, and know how long it took.
#[test]
fn connections_are_numbered() {
    let (mut core, home, now) = core(config(2));
    for number in 1..=2 {
        let key = attempt(&mut core, home, now);
        assert_eq!(core.announce(key, now + SECOND), (number, SECOND));
        assert_eq!(core.connected(key, 9, now + SECOND, &mut Fx::default()), (number, SECOND));
    }
}

/// `acquire.deadline`: how long a connect takes is smoothed, and never less than the timer can tell.
#[test]
fn patience_follows_the_connects() {
    let mut pace = Pace::default();
    let millis = Duration::from_millis;
    assert_eq!(pace.patience(), millis(1));
    pace.record(millis(80));
    assert_eq!(pace.patience(), millis(80));
    pace.record(millis(160));
    assert_eq!(pace.patience(), millis(90));
    pace.record(millis(10));
    assert_eq!(pace.patience(), millis(80));
}
