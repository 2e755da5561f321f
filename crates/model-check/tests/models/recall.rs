//! `invalidate_all` and `suspend` against everything that may be under way.

use model_check::{PooledConnection, block_on, bounded, config, model};

/// `epoch.invalidate_all`: the waiter gets a connection, and the held one is used no more.
#[test]
fn release_vs_invalidate_all() {
    bounded("release_vs_invalidate_all", 4, &config(1), |world| {
        let held = world.held();
        let old = PooledConnection::id(&held);
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(move |_| block_on(waiter).unwrap());
        let invalidate = world.thread(model_check::Pool::invalidate_all);
        drop(held);
        invalidate.join().unwrap();
        // The release may have come first, and the waiter may have looked before the call.
        let got = waiter.join().unwrap();
        assert!(PooledConnection::id(&got) >= old);
        drop(got);
        let next = block_on(world.pool.acquire()).unwrap();
        assert!(PooledConnection::id(&next) > old, "it is from before");
    });
}

/// `epoch.invalidate_all`, `size.max`: a connect under way is given up, and the waiter gets another.
#[test]
fn connect_vs_invalidate_all() {
    bounded("connect_vs_invalidate_all", 3, &config(1), |world| {
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(move |_| block_on(waiter).unwrap());
        world.pool.invalidate_all();
        drop(waiter.join().unwrap());
    });
}

/// `epoch.invalidate_all`, `cancel.no_loss`: a waiter that was served, was recalled, and goes away.
#[test]
fn recall_vs_cancel() {
    bounded("recall_vs_cancel", 3, &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        let behind = world.queued();
        world.race();
        let cancel = world.thread(move |_| drop(waiter));
        let behind = world.thread(move |_| drop(block_on(behind).unwrap()));
        drop(held);
        world.pool.invalidate_all();
        cancel.join().unwrap();
        behind.join().unwrap();
    });
}

/// `suspend.nothing_moves`: an acquire that meets a suspended pool waits, and `resume` serves it.
#[test]
fn suspend_vs_acquire() {
    model("suspend_vs_acquire", &config(1), |world| {
        drop(world.held());
        world.race();
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        world.pool.suspend();
        world.pool.resume();
        acquire.join().unwrap();
    });
}

/// `suspend.nothing_moves`: `drained` ends when what is held has come back, and then nothing is open.
#[test]
fn release_vs_suspend() {
    model("release_vs_suspend", &config(1), |world| {
        let held = world.held();
        world.race();
        let release = world.thread(move |_| drop(held));
        world.pool.suspend();
        block_on(world.pool.drained());
        assert_eq!(world.pool.stats().total_connections, 0);
        world.pool.resume();
        release.join().unwrap();
    });
}

/// `suspend.nothing_moves`, `close.complete`: a waiter on a suspended pool learns that it closes.
#[test]
fn suspended_waiter_vs_close() {
    bounded("suspended_waiter_vs_close", 4, &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(move |_| {
            // It may have been served before.
            drop(block_on(waiter));
        });
        world.pool.suspend();
        drop(held);
        block_on(world.pool.close());
        waiter.join().unwrap();
    });
}
