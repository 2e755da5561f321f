//! What the pool's owner does, against those who use it.

use model_check::{PoolConfig, block_on, bounded, config, model};

use crate::{close, ok_or_closed};

/// `resize.exact`: a waiter is served while the pool shrinks under it, and the pool ends at its new size.
#[test]
fn release_vs_shrink() {
    model("release_vs_shrink", &config(2), |world| {
        let (one, other) = (world.held(), world.held());
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        let shrink = world.thread(|pool| pool.resize(1).unwrap());
        drop(one);
        // The one that is left comes back in any case.
        shrink.join().unwrap();
        drop(other);
        waiter.join().unwrap();
        assert!(world.pool.stats().total_connections <= 1);
    });
}

/// `resize.exact`: a connect that began before the pool shrank does not stay beyond the new size.
#[test]
fn connect_vs_shrink() {
    bounded("connect_vs_shrink", 4, &config(2), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        world.pool.resize(1).unwrap();
        drop(held);
        waiter.join().unwrap();
    });
}

/// `resize.exact`: growing serves a waiter, though nothing comes back.
#[test]
fn grow_vs_waiter() {
    model("grow_vs_waiter", &config(1), |world| {
        world.allow(2);
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        world.pool.resize(2).unwrap();
        waiter.join().unwrap();
        drop(held);
    });
}

/// `resize.exact`: so it does for an acquire that arrives meanwhile.
#[test]
fn grow_vs_acquire() {
    model("grow_vs_acquire", &config(1), |world| {
        world.allow(2);
        let held = world.held();
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        world.pool.resize(2).unwrap();
        acquire.join().unwrap();
        drop(held);
    });
}

/// `resize.exact`: room and a connection that comes back reach one waiter each, or both the one.
#[test]
fn release_vs_grow() {
    bounded("release_vs_grow", 6, &config(1), |world| {
        world.allow(2);
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        let grow = world.thread(|pool| pool.resize(2).unwrap());
        drop(held);
        grow.join().unwrap();
        waiter.join().unwrap();
    });
}

/// `close.complete`: it ends when what is held has come back, and not before.
#[test]
fn release_vs_close() {
    bounded("release_vs_close", 6, &config(1), |world| {
        let held = world.held();
        world.race();
        let release = world.thread(|_| drop(held));
        close(world);
        release.join().unwrap();
    });
}

/// `close.complete`: a waiter gets the connection that comes back or learns of the close, which ends after it.
#[test]
fn release_vs_waiter_vs_close() {
    bounded("release_vs_waiter_vs_close", 3, &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| ok_or_closed(block_on(waiter)));
        let release = world.thread(|_| drop(held));
        close(world);
        waiter.join().unwrap();
        release.join().unwrap();
    });
}

/// `close.complete`: nothing is opened after it, for an acquire that arrives meanwhile neither.
#[test]
fn acquire_vs_close() {
    bounded("acquire_vs_close", 7, &config(1), |world| {
        drop(world.held());
        world.race();
        let acquire = world.thread(|pool| ok_or_closed(block_on(pool.acquire())));
        close(world);
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1, "opened after the close");
    });
}

/// `close.complete`: so for the first acquire of all, which starts the background task.
#[test]
fn first_acquire_vs_close() {
    bounded("first_acquire_vs_close", 4, &config(1), |world| {
        world.race();
        let acquire = world.thread(|pool| ok_or_closed(block_on(pool.acquire())));
        close(world);
        let attempts = world.dialer.attempts();
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), attempts, "opened after the close");
    });
}

/// `close.complete`: a connect under way ends with the pool.
#[test]
fn connect_vs_close() {
    bounded("connect_vs_close", 4, &config(1), |world| {
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| ok_or_closed(block_on(waiter)));
        close(world);
        waiter.join().unwrap();
    });
}

/// `close.complete`: what `min_connections` lacks is not opened after it.
#[test]
fn refill_vs_close() {
    let config = PoolConfig { min_connections: 1, ..config(1) };
    bounded("refill_vs_close", 4, &config, |world| {
        let held = world.held();
        world.race();
        let invalidate = world.thread(|_| held.invalidate());
        close(world);
        let attempts = world.dialer.attempts();
        invalidate.join().unwrap();
        assert_eq!(world.dialer.attempts(), attempts, "opened after the close");
    });
}

/// `close.complete`: a waiter that gives up as the pool closes leaves nothing behind.
#[test]
fn release_vs_cancel_vs_close() {
    bounded("release_vs_cancel_vs_close", 3, &config(1), |world| {
        let held = world.held();
        let gives_up = world.queued();
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let release = world.thread(|_| drop(held));
        close(world);
        cancel.join().unwrap();
        release.join().unwrap();
    });
}

/// `close.complete`: two who close both see the end.
#[test]
fn release_vs_two_closes() {
    bounded("release_vs_two_closes", 2, &config(1), |world| {
        let held = world.held();
        world.race();
        let release = world.thread(|_| drop(held));
        let other = world.thread(|pool| block_on(pool.close()));
        close(world);
        other.join().unwrap();
        release.join().unwrap();
    });
}
