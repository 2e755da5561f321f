//! Hooks, against those who want the connection and those who close it.

use model_check::{Hooks, block_on, config, hooked};

use crate::{clean_or_closed, close, ok_or_closed, reset};

/// `reset.between`: a waiter gets the connection that comes back after the hook has reset it.
#[test]
fn hook_on_return_vs_waiter() {
    hooked("hook_on_return_vs_waiter", 3, &config(1), Hooks::OnReturn, reset::releases_to_a_waiter);
}

/// `close.complete`, `reset.between`: a close meets the hook on return, and waits for the one before close.
#[test]
fn hook_on_return_vs_acquire_vs_close() {
    hooked("hook_on_return_vs_acquire_vs_close", 2, &config(1), Hooks::OnReturn, |world| {
        let held = reset::dirty(world);
        world.race();
        let acquire = world.thread(|pool| clean_or_closed(block_on(pool.acquire())));
        drop(held);
        close(world);
        acquire.join().unwrap();
    });
}

/// `cancel.no_loss`: the first in line gives up while the hook before reuse runs, and the one behind is served.
#[test]
fn hook_before_reuse_vs_cancel() {
    hooked("hook_before_reuse_vs_cancel", 2, &config(1), Hooks::BeforeReuse, |world| {
        let held = world.held();
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let behind = world.thread(|_| drop(block_on(behind).unwrap()));
        drop(held);
        cancel.join().unwrap();
        behind.join().unwrap();
        assert_eq!(world.dialer.attempts(), 1);
    });
}

/// `close.complete`: a close meets the hook before reuse.
#[test]
fn hook_before_reuse_vs_close() {
    hooked("hook_before_reuse_vs_close", 3, &config(1), Hooks::BeforeReuse, |world| {
        world.idle();
        world.race();
        let acquire = world.thread(|pool| ok_or_closed(block_on(pool.acquire())));
        close(world);
        acquire.join().unwrap();
    });
}
