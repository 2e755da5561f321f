//! A connection that comes back, or goes for good, against those who want one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model_check::{AcquireError, PoolConfig, PooledConnection, block_on, bounded, config, model, pass};

/// `acquire.race`: an acquire that arrives while a connection comes back gets it.
#[test]
fn release_vs_acquire() {
    model("release_vs_acquire", &config(1), |world| {
        let held = world.held();
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        drop(held);
        acquire.join().unwrap();
    });
}

/// `acquire.race`: so do two of them, one after the other, with no connect of their own.
#[test]
fn release_vs_two_acquires() {
    model("release_vs_two_acquires", &config(1), |world| {
        let held = world.held();
        world.race();
        let acquires = [(), ()].map(|()| world.thread(|pool| drop(block_on(pool.acquire()).unwrap())));
        drop(held);
        for acquire in acquires {
            acquire.join().unwrap();
        }
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// `acquire.fifo`: a waiter is served before a newcomer.
#[test]
fn release_vs_waiter_vs_newcomer() {
    model("release_vs_waiter_vs_newcomer", &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        // Each writes its name while it holds the one connection.
        let order = Arc::new(Mutex::new(Vec::new()));
        world.race();
        let writes = Arc::clone(&order);
        let waiter = world.thread(move |_| {
            let _held = block_on(waiter).unwrap();
            writes.lock().unwrap().push("waiter");
        });
        let writes = Arc::clone(&order);
        let newcomer = world.thread(move |pool| {
            let _held = block_on(pool.acquire()).unwrap();
            writes.lock().unwrap().push("newcomer");
        });
        drop(held);
        waiter.join().unwrap();
        newcomer.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["waiter", "newcomer"]);
    });
}

/// `try_acquire.immediate`: it takes nothing while somebody is in line, or holds what came back.
#[test]
fn release_vs_waiter_vs_try_acquire() {
    model("release_vs_waiter_vs_try_acquire", &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(move |_| block_on(waiter).unwrap());
        let tries = world.thread(|pool| pool.try_acquire().is_some());
        drop(held);
        let held = waiter.join().unwrap();
        assert!(!tries.join().unwrap(), "it overtook a waiter");
        drop(held);
    });
}

/// `try_acquire.immediate`: what it takes and gives back reaches an acquire that arrives meanwhile.
#[test]
fn release_vs_acquire_vs_try_acquire() {
    model("release_vs_acquire_vs_try_acquire", &config(1), |world| {
        let held = world.held();
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        let tries = world.thread(|pool| drop(pool.try_acquire()));
        drop(held);
        acquire.join().unwrap();
        tries.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// `cancel.no_loss`: a connection on its way to a waiter that gives up goes to the one behind.
#[test]
fn release_vs_cancel() {
    model("release_vs_cancel", &config(1), |world| {
        let held = world.held();
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let behind = world.thread(|_| drop(block_on(behind).unwrap()));
        drop(held);
        cancel.join().unwrap();
        behind.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1, "the connection was lost on its way");
    });
}

/// `cancel.no_loss`: two come back, the first of three in line gives up, and the other two are served.
#[test]
fn two_releases_vs_two_waiters_vs_cancel() {
    bounded("two_releases_vs_two_waiters_vs_cancel", 3, &config(2), |world| {
        let (one, other) = (world.held(), world.held());
        let (gives_up, second, third) = (world.queued(), world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let second = world.thread(|_| drop(block_on(second).unwrap()));
        let release = world.thread(|_| drop(other));
        drop(one);
        drop(block_on(third).unwrap());
        for thread in [cancel, second, release] {
            thread.join().unwrap();
        }
    });
}

/// `acquire.deadline`: at its deadline an acquire ends, with the connection that has just come or without; never both.
#[test]
fn release_vs_deadline() {
    let limit = Duration::from_secs(1);
    bounded("release_vs_deadline", 6, &PoolConfig { connection_timeout: limit, ..config(1) }, move |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| match block_on(waiter) {
            Ok(_held) => true,
            Err(error) if error.is_timeout() => false,
            Err(error) => panic!("{error}"),
        });
        let clock = world.thread(move |pool| pass(pool, limit));
        drop(held);
        let served = waiter.join().unwrap();
        clock.join().unwrap();
        let stats = world.pool.stats();
        assert_eq!(stats.timed_out_acquisitions, u64::from(!served), "{stats:?}");
        assert_eq!(stats.total_acquisitions, 1 + u64::from(served), "{stats:?}");
    });
}

/// `acquire.shed`: of two that arrive, one waits at most, and a waiter is served.
#[test]
fn release_vs_two_acquires_with_room_for_one() {
    let config = PoolConfig { max_pending: Some(1), ..config(1) };
    model("release_vs_two_acquires_with_room_for_one", &config, |world| {
        let held = world.held();
        world.race();
        let acquires = [(), ()].map(|()| {
            world.thread(|pool| match block_on(pool.acquire()) {
                Ok(_held) => 1,
                Err(error) => {
                    assert!(matches!(error, AcquireError::Overloaded { .. }), "{error}");
                    0
                }
            })
        });
        drop(held);
        let served: u64 = acquires.into_iter().map(|acquire| acquire.join().unwrap()).sum();
        assert!(served >= 1, "nobody was served");
        assert_eq!(world.pool.stats().failed_acquisitions, 2 - served);
    });
}

/// `size.max`: what is closed makes room for its replacement only when it is gone, and a waiter gets that.
#[test]
fn invalidate_vs_waiter() {
    model("invalidate_vs_waiter", &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        held.invalidate();
        waiter.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}

/// `size.max`, with an acquire that arrives meanwhile.
#[test]
fn invalidate_vs_acquire() {
    model("invalidate_vs_acquire", &config(1), |world| {
        let held = world.held();
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        held.invalidate();
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}

/// `cancel.no_loss`: the room that a detached connection leaves reaches the waiter.
#[test]
fn detach_vs_waiter() {
    model("detach_vs_waiter", &config(1), |world| {
        // The one that left, and its successor.
        world.allow(2);
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        let detached = PooledConnection::detach(held);
        waiter.join().unwrap();
        drop(detached);
    });
}
