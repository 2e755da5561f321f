//! A waiter that has been served and has not looked yet, against those who take its connection back.

use model_check::{Dialer, Pool, World, block_on, bounded, config, model};

use crate::{close, ok_or_closed};

/// A served waiter looks while `act` takes its connection back. It gets that one, or a new one.
fn polls_while(world: &World, act: impl FnOnce(&Pool<Dialer>) + 'static) {
    let held = world.held();
    let served = world.served(held);
    world.race();
    let act = world.thread(act);
    drop(block_on(served).unwrap());
    act.join().unwrap();
}

/// A served waiter gives up while `act` takes its connection back. The one behind gets that one, or a new one.
fn gives_up_while(world: &World, act: impl FnOnce(&Pool<Dialer>) + 'static) {
    let held = world.held();
    let served = world.served(held);
    let behind = world.queued();
    world.race();
    let act = world.thread(act);
    let cancel = world.thread(|_| drop(served));
    drop(block_on(behind).unwrap());
    act.join().unwrap();
    cancel.join().unwrap();
}

/// `epoch.invalidate_all`.
#[test]
fn served_vs_invalidate_all() {
    model("served_vs_invalidate_all", &config(1), |world| polls_while(world, Pool::invalidate_all));
}

/// `epoch.invalidate_all`, `cancel.no_loss`.
#[test]
fn served_vs_invalidate_all_vs_cancel() {
    bounded("served_vs_invalidate_all_vs_cancel", 3, &config(1), |world| {
        gives_up_while(world, Pool::invalidate_all);
    });
}

/// `suspend.nothing_moves`: what was opened before the suspension is not used after it, unless it was picked up before.
#[test]
fn served_vs_suspend() {
    bounded("served_vs_suspend", 5, &config(1), |world| {
        polls_while(world, |pool| {
            pool.suspend();
            assert_eq!(pool.stats().idle_connections, 0);
            pool.resume();
        });
    });
}

/// `suspend.nothing_moves`, `cancel.no_loss`.
#[test]
fn served_vs_suspend_vs_cancel() {
    bounded("served_vs_suspend_vs_cancel", 2, &config(1), |world| {
        gives_up_while(world, |pool| {
            pool.suspend();
            pool.resume();
        });
    });
}

/// `suspend.nothing_moves`: `drained` ends though nobody looks at what was served.
#[test]
fn served_vs_drained() {
    model("served_vs_drained", &config(1), |world| {
        let held = world.held();
        let served = world.served(held);
        world.race();
        let suspend = world.thread(|pool| {
            pool.suspend();
            block_on(pool.drained());
            assert_eq!(pool.stats().total_connections, 0);
        });
        suspend.join().unwrap();
        world.pool.resume();
        drop(block_on(served).unwrap());
    });
}

/// `close.complete`: a served waiter gets its connection or learns of the close, which waits for it.
#[test]
fn served_vs_close() {
    bounded("served_vs_close", 6, &config(1), |world| {
        let held = world.held();
        let served = world.served(held);
        world.race();
        let served = world.thread(|_| ok_or_closed(block_on(served)));
        close(world);
        served.join().unwrap();
    });
}

/// `close.complete`, `cancel.no_loss`.
#[test]
fn served_vs_close_vs_cancel() {
    bounded("served_vs_close_vs_cancel", 3, &config(1), |world| {
        let held = world.held();
        let served = world.served(held);
        let behind = world.queued();
        world.race();
        let cancel = world.thread(|_| drop(served));
        let behind = world.thread(|_| ok_or_closed(block_on(behind)));
        close(world);
        cancel.join().unwrap();
        behind.join().unwrap();
    });
}

/// The runtime that opened the connection ends while the waiter looks in another.
#[test]
fn served_vs_home_loss() {
    bounded("served_vs_home_loss", 3, &config(1), |world| {
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        let served = world.served(held);
        world.race();
        let end = world.thread(move |_| runtime.end());
        drop(block_on(served).unwrap());
        end.join().unwrap();
    });
}

/// `cancel.no_loss`: the waiter gives up, and the one behind is served.
#[test]
fn served_vs_home_loss_vs_cancel() {
    bounded("served_vs_home_loss_vs_cancel", 2, &config(1), |world| {
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        let served = world.served(held);
        let behind = world.queued();
        world.race();
        let ends = world.thread(move |_| {
            runtime.end();
            drop(served);
        });
        drop(block_on(behind).unwrap());
        ends.join().unwrap();
    });
}
