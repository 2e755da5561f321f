//! A connection that comes back, against all who may want it.

use loom::future::block_on;
use model_check::{config, model};

/// `acquire.race`: a waiter that arrives while a connection comes back gets it.
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

/// `cancel.no_loss`: a connection on its way to somebody who gives up goes to the one behind.
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
    });
}
