//! A connect under way, against those who want its connection and those who want it no more.

use model_check::{AcquireError, Dial, PoolConfig, World, block_on, bounded, config, model};

/// The first acquires start one background task between them, and each is served. `size.max`.
#[test]
fn first_acquire_vs_first_acquire() {
    model("first_acquire_vs_first_acquire", &config(1), |world| {
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        drop(block_on(world.pool.acquire()).unwrap());
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// `size.max`: two acquires may open two connections, and no more.
#[test]
fn connects_for_two_acquires() {
    bounded("connects_for_two_acquires", 3, &config(2), |world| {
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        drop(block_on(world.pool.acquire()).unwrap());
        acquire.join().unwrap();
        assert!(world.dialer.attempts() <= 2);
    });
}

/// `cancel.no_loss`: a connection that arrives as its waiter gives up goes to the one behind.
#[test]
fn connect_vs_cancel() {
    model("connect_vs_cancel", &config(1), |world| {
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        drop(block_on(behind).unwrap());
        cancel.join().unwrap();
    });
}

/// `cancel.no_loss`: with nobody behind, the connection that arrives is kept.
#[test]
fn connect_vs_cancel_of_the_last() {
    model("connect_vs_cancel_of_the_last", &config(1), |world| {
        let gives_up = world.queued();
        world.race();
        drop(gives_up);
    });
}

/// `acquire.race`: a waiter takes what comes first, a returned connection or a new one; nobody is left out.
#[test]
fn connect_vs_release() {
    model("connect_vs_release", &config(2), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        drop(held);
        waiter.join().unwrap();
        assert!(world.dialer.attempts() <= 2);
    });
}

/// `acquire.race`, with one who gives up.
#[test]
fn connect_vs_release_vs_cancel() {
    bounded("connect_vs_release_vs_cancel", 3, &config(2), |world| {
        let held = world.held();
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let behind = world.thread(|_| drop(block_on(behind).unwrap()));
        drop(held);
        cancel.join().unwrap();
        behind.join().unwrap();
    });
}

/// `connect.permanent`: the error reaches each acquire that still waits, and one that gives up does not keep
/// it.
#[test]
fn permanent_failure_vs_cancel() {
    model("permanent_failure_vs_cancel", &config(1), |world| {
        world.dialer.script([Dial::Refused]);
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let error = block_on(behind).expect_err("the server refuses");
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        cancel.join().unwrap();
    });
}

/// `connect.permanent`: refused by the server while a connection comes back, a waiter gets one or the other.
#[test]
fn permanent_failure_vs_release() {
    model("permanent_failure_vs_release", &config(2), |world| {
        let held = world.held();
        world.dialer.script([Dial::Refused]);
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| match block_on(waiter) {
            Ok(_held) => {}
            Err(error) => assert!(matches!(error, AcquireError::Connect(_)), "{error}"),
        });
        drop(held);
        waiter.join().unwrap();
    });
}

/// A connect that comes to nothing, and a connection that comes back: it serves the waiter in the pause after the connect.
pub(crate) fn release_serves_after(world: &World, dial: Dial) {
    let held = world.held();
    world.dialer.script([dial]);
    let waiter = world.queued();
    world.race();
    let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
    drop(held);
    waiter.join().unwrap();
}

/// `connect.backoff`: after a failure the waiter is not forgotten; a connection that comes back serves it in the pause.
#[test]
fn failure_vs_release() {
    model("failure_vs_release", &config(2), |world| release_serves_after(world, Dial::Fails));
}

/// `size.min`: the background fills up to the minimum while acquires come and go, and not beyond the maximum.
#[test]
fn refill_vs_acquire() {
    let config = PoolConfig { min_connections: 1, ..config(1) };
    model("refill_vs_acquire", &config, |world| {
        let held = world.held();
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        held.invalidate();
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}
