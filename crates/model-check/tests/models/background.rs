//! The loop of the background task: a notification reaches it before its plan, between the plan and the wait, during the
//! wait, and as its timer fires. A notification that is lost leaves a waiter unserved, which is a deadlock.

use std::time::Duration;

use model_check::{Dial, PoolConfig, World, block_on, bounded, config, model, pass};

use crate::ok_or_timeout;

const LIMIT: Duration = Duration::from_secs(1);

/// A connection is closed as the timer of a deadline fires. The room it leaves reaches the
/// waiter that has no deadline.
#[test]
fn invalidate_vs_deadline() {
    bounded("invalidate_vs_deadline", 2, &config(1), |world| {
        let held = world.held();
        let hurried = world.queued_within(LIMIT);
        let patient = world.queued();
        // The background sleeps until the deadline.
        world.settle();
        world.race();
        let hurried = world.thread(|_| ok_or_timeout(block_on(hurried)));
        let clock = world.thread(|pool| pass(pool, LIMIT));
        held.invalidate();
        drop(block_on(patient).unwrap());
        clock.join().unwrap();
        let served = hurried.join().unwrap();
        assert_eq!(world.pool.stats().timed_out_acquisitions, u64::from(!served));
    });
}

/// The same, with nobody to look after the deadline but the background: the waiter that has one is not polled.
#[test]
fn invalidate_vs_timer() {
    bounded("invalidate_vs_timer", 4, &config(1), |world| {
        let held = world.held();
        let hurried = world.queued_within(LIMIT);
        let patient = world.queued();
        world.settle();
        world.race();
        let clock = world.thread(|pool| pass(pool, LIMIT));
        held.invalidate();
        clock.join().unwrap();
        ok_or_timeout(block_on(hurried));
        drop(block_on(patient).unwrap());
    });
}

/// Two connections are closed while the background plans for the first.
#[test]
fn invalidate_vs_invalidate() {
    bounded("invalidate_vs_invalidate", 2, &config(2), |world| {
        let (one, other) = (world.held(), world.held());
        let (first, second) = (world.queued(), world.queued());
        world.settle();
        world.race();
        let second = world.thread(|_| {
            other.invalidate();
            drop(block_on(second).unwrap());
        });
        one.invalidate();
        drop(block_on(first).unwrap());
        second.join().unwrap();
    });
}

/// `acquire.deadline`: a release as the timer of a deadline fires serves the one or the other.
#[test]
fn release_vs_deadline_vs_waiter() {
    bounded("release_vs_deadline_vs_waiter", 3, &config(1), |world| {
        let held = world.held();
        let hurried = world.queued_within(LIMIT);
        let patient = world.queued();
        world.settle();
        world.race();
        let hurried = world.thread(|_| ok_or_timeout(block_on(hurried)));
        let clock = world.thread(|pool| pass(pool, LIMIT));
        drop(held);
        drop(block_on(patient).unwrap());
        clock.join().unwrap();
        hurried.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// The background's timer fires as an acquire arrives, in a pool with one idle connection.
fn acquire_vs_timer(name: &'static str, config: &PoolConfig, then: fn(&World)) {
    model(name, config, move |world| {
        world.idle();
        world.settle();
        world.race();
        let clock = world.thread(|pool| pass(pool, LIMIT));
        drop(block_on(world.pool.acquire()).unwrap());
        clock.join().unwrap();
        then(world);
    });
}

/// An acquire that arrives as the idle limit closes the one connection gets it or its
/// successor.
#[test]
fn acquire_vs_idle_timer() {
    let config = PoolConfig { idle_timeout: LIMIT, ..config(1) };
    acquire_vs_timer("acquire_vs_idle_timer", &config, |_| ());
}

/// An acquire that arrives as the regular check begins or ends gets the connection.
#[test]
fn acquire_vs_check_timer() {
    let config = PoolConfig { health_check_interval: LIMIT, ..config(1) };
    acquire_vs_timer("acquire_vs_check_timer", &config, |world| assert_eq!(world.dialer.attempts(), 1));
}

/// An acquire that arrives as a lifetime ends gets the connection or its successor.
#[test]
fn acquire_vs_lifetime_timer() {
    let config = PoolConfig { max_lifetime: LIMIT, ..config(1) };
    acquire_vs_timer("acquire_vs_lifetime_timer", &config, |_| ());
}

/// `connect.backoff`: the pause after a failed connect ends as another acquire arrives. Both are
/// served.
#[test]
fn acquire_vs_backoff_timer() {
    bounded("acquire_vs_backoff_timer", 3, &config(1), |world| {
        world.dialer.script([Dial::Fails]);
        let waiter = world.queued();
        world.settle();
        world.race();
        let clock = world.thread(|pool| pass(pool, Duration::from_secs(3600)));
        let newcomer = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        drop(block_on(waiter).unwrap());
        clock.join().unwrap();
        newcomer.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}

/// `connect.backoff`, `cancel.no_loss`: the pause ends as the first waiter gives up. The one behind is served.
#[test]
fn cancel_vs_backoff_timer() {
    bounded("cancel_vs_backoff_timer", 3, &config(1), |world| {
        world.dialer.script([Dial::Fails]);
        let (gives_up, behind) = (world.queued(), world.queued());
        world.settle();
        world.race();
        let clock = world.thread(|pool| pass(pool, Duration::from_secs(3600)));
        let cancel = world.thread(|_| drop(gives_up));
        drop(block_on(behind).unwrap());
        clock.join().unwrap();
        cancel.join().unwrap();
    });
}

/// `acquire.deadline`: the deadline passes between two readings of any call, and no call moves it.
#[test]
fn release_vs_deadline_by_readings() {
    model("release_vs_deadline_by_readings", &config(1), |world| {
        let held = world.held();
        let hurried = world.queued_within(4 * LIMIT);
        world.settle();
        world.readings_take(LIMIT);
        world.race();
        let hurried = world.thread(|_| ok_or_timeout(block_on(hurried)));
        let other = world.thread(|pool| drop(pool.try_acquire()));
        drop(held);
        hurried.join().unwrap();
        other.join().unwrap();
    });
}
