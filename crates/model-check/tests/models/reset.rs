//! A connection that comes back and has to be reset, against those who want it and those who close it.

use model_check::{Held, PoolConfig, World, block_on, bounded, config, model};

use crate::{clean, clean_or_closed, close};

/// A connection in whose holder's footsteps nobody may tread.
pub(crate) fn dirty(world: &World) -> Held {
    world.dialer.wants_resets();
    world.held()
}

/// `reset.between`: a waiter gets the connection that comes back, after its reset.
#[test]
fn dirty_release_vs_waiter() {
    model("dirty_release_vs_waiter", &config(1), releases_to_a_waiter);
}

/// Whichever task does the reset.
pub(crate) fn releases_to_a_waiter(world: &World) {
    let held = dirty(world);
    let waiter = world.queued();
    world.race();
    let waiter = world.thread(|_| drop(clean(block_on(waiter))));
    drop(held);
    waiter.join().unwrap();
    assert_eq!(world.dialer.attempts(), 1);
}

/// `reset.between`, `acquire.race`: so does an acquire that arrives meanwhile.
#[test]
fn dirty_release_vs_acquire() {
    model("dirty_release_vs_acquire", &config(1), |world| {
        let held = dirty(world);
        world.race();
        let acquire = world.thread(|pool| drop(clean(block_on(pool.acquire()))));
        drop(held);
        acquire.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// `reset.between`, `try_acquire.immediate`: one that does not wait gets it after the reset, or nothing.
#[test]
fn dirty_release_vs_try_acquire() {
    model("dirty_release_vs_try_acquire", &config(1), |world| {
        let held = dirty(world);
        world.race();
        let tries = world.thread(|pool| drop(pool.try_acquire().map(|held| clean(Ok(held)))));
        drop(held);
        tries.join().unwrap();
    });
}

/// `reset.between`, `cancel.no_loss`: the first in line gives up during the reset, and the one behind is served.
#[test]
fn dirty_release_vs_cancel() {
    bounded("dirty_release_vs_cancel", 3, &config(1), |world| {
        let held = dirty(world);
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let behind = world.thread(|_| drop(clean(block_on(behind))));
        drop(held);
        cancel.join().unwrap();
        behind.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1, "the connection was lost on its way");
    });
}

/// `reset.between`, `cancel.no_loss`: a waiter that was served after a reset gives up, and the one behind is
/// served.
#[test]
fn served_after_a_reset_vs_cancel() {
    bounded("served_after_a_reset_vs_cancel", 4, &config(1), |world| {
        let held = dirty(world);
        let gives_up = world.queued();
        drop(held);
        world.settle();
        let behind = world.queued();
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        drop(clean(block_on(behind)));
        cancel.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1, "the connection was lost on its way");
    });
}

/// `reset.between`, `close.complete`: a close ends a reset that is under way, or comes before it.
#[test]
fn dirty_release_vs_close() {
    bounded("dirty_release_vs_close", 5, &config(1), |world| {
        let held = dirty(world);
        world.race();
        let release = world.thread(|_| drop(held));
        close(world);
        release.join().unwrap();
    });
}

/// `reset.between`, `close.complete`: a waiter gets what has been reset, or learns of the close.
#[test]
fn dirty_release_vs_waiter_vs_close() {
    bounded("dirty_release_vs_waiter_vs_close", 3, &config(1), |world| {
        let held = dirty(world);
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| clean_or_closed(block_on(waiter)));
        drop(held);
        close(world);
        waiter.join().unwrap();
    });
}

/// `reset.between`, `suspend.nothing_moves`: what is being reset goes with a suspension, and a waiter gets another.
#[test]
fn dirty_release_vs_suspend() {
    bounded("dirty_release_vs_suspend", 3, &config(1), |world| {
        let held = dirty(world);
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(clean(block_on(waiter))));
        let release = world.thread(|_| drop(held));
        world.pool.suspend();
        world.pool.resume();
        waiter.join().unwrap();
        release.join().unwrap();
    });
}

/// `reset.between`, `suspend.nothing_moves`: `drained` waits for what is being reset.
#[test]
fn dirty_release_vs_drained() {
    bounded("dirty_release_vs_drained", 5, &config(1), |world| {
        let held = dirty(world);
        world.race();
        let release = world.thread(|_| drop(held));
        world.pool.suspend();
        block_on(world.pool.drained());
        assert_eq!((world.pool.stats().total_connections, world.dialer.live()), (0, 0));
        world.pool.resume();
        release.join().unwrap();
    });
}

/// `reset.between`, `epoch.invalidate_all`: what is being reset goes, and a waiter gets a connection all the same.
#[test]
fn dirty_release_vs_invalidate_all() {
    bounded("dirty_release_vs_invalidate_all", 3, &config(1), |world| {
        let held = dirty(world);
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(clean(block_on(waiter))));
        let release = world.thread(|_| drop(held));
        world.pool.invalidate_all();
        waiter.join().unwrap();
        release.join().unwrap();
    });
}

/// `reset.between`, `resize.exact`: the pool shrinks while one of two is being reset.
#[test]
fn dirty_release_vs_shrink() {
    bounded("dirty_release_vs_shrink", 2, &config(2), |world| {
        let (one, other) = (dirty(world), world.held());
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(clean(block_on(waiter))));
        let shrink = world.thread(|pool| pool.resize(1).unwrap());
        drop(one);
        drop(other);
        shrink.join().unwrap();
        waiter.join().unwrap();
    });
}

/// `reset.between`: the runtime that resets ends, and a waiter in another is served.
#[test]
fn dirty_release_vs_home_loss() {
    bounded("dirty_release_vs_home_loss", 2, &config(1), |world| {
        world.dialer.wants_resets();
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        world.race();
        let end = world.thread(move |_| runtime.end());
        drop(held);
        drop(clean(block_on(world.pool.acquire())));
        end.join().unwrap();
    });
}

/// `reset.between`: the last acquire of a spare connection and the release of a dirty one, with a minimum of idle ones.
#[test]
fn dirty_release_vs_acquire_of_the_spare() {
    let config = PoolConfig { min_idle: 1, ..config(2) };
    bounded("dirty_release_vs_acquire_of_the_spare", 3, &config, |world| {
        let held = dirty(world);
        world.settle();
        world.race();
        let acquire = world.thread(|pool| drop(clean(block_on(pool.acquire()))));
        drop(held);
        acquire.join().unwrap();
    });
}
