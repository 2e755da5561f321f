//! A connection that is closed gracefully, against those who want its room and those who wait for its end.

use model_check::{Pool, World, block_on, bounded, config};

use crate::{clean_or_closed, ok_or_closed};

/// `size.max`: a connection that says goodbye keeps its room, and a waiter gets that when it has ended.
#[test]
fn goodbye_vs_waiter() {
    bounded("goodbye_vs_waiter", 5, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| drop(block_on(waiter).unwrap()));
        held.invalidate();
        waiter.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}

/// `size.max`, `cancel.no_loss`: the waiter gives up, and the one behind gets the room.
#[test]
fn goodbye_vs_cancel() {
    bounded("goodbye_vs_cancel", 3, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        let (gives_up, behind) = (world.queued(), world.queued());
        world.race();
        let cancel = world.thread(|_| drop(gives_up));
        let behind = world.thread(|_| drop(block_on(behind).unwrap()));
        held.invalidate();
        cancel.join().unwrap();
        behind.join().unwrap();
    });
}

/// `close.complete`: the background goes on until the last connection has come back and has said goodbye.
#[test]
fn last_goodbye_vs_close() {
    bounded("last_goodbye_vs_close", 4, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        world.race();
        let release = world.thread(|_| drop(held));
        close(world);
        release.join().unwrap();
    });
}

/// `close.complete`: so it does for two that come back one after the other.
#[test]
fn two_last_goodbyes_vs_close() {
    bounded("two_last_goodbyes_vs_close", 2, &config(2), |world| {
        world.dialer.wants_goodbyes();
        let (one, other) = (world.held(), world.held());
        world.race();
        let release = world.thread(|_| drop(one));
        let other = world.thread(|_| drop(other));
        close(world);
        release.join().unwrap();
        other.join().unwrap();
    });
}

/// `close.complete`, `reset.between`: the last one that comes back has to be reset, and says goodbye instead.
#[test]
fn last_dirty_goodbye_vs_close() {
    bounded("last_dirty_goodbye_vs_close", 3, &config(1), |world| {
        world.dialer.wants_resets();
        world.dialer.wants_goodbyes();
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| clean_or_closed(block_on(waiter)));
        drop(held);
        close(world);
        waiter.join().unwrap();
    });
}

/// `close.complete`: a close under way is not the end of the background for what is held yet.
#[test]
fn goodbye_vs_waiter_vs_close() {
    bounded("goodbye_vs_waiter_vs_close", 3, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        let waiter = world.queued();
        world.race();
        let waiter = world.thread(|_| ok_or_closed(block_on(waiter)));
        held.invalidate();
        close(world);
        waiter.join().unwrap();
    });
}

/// `suspend.nothing_moves`: `drained` waits for a goodbye.
#[test]
fn goodbye_vs_drained() {
    bounded("goodbye_vs_drained", 5, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        world.race();
        let release = world.thread(|_| drop(held));
        world.pool.suspend();
        block_on(world.pool.drained());
        all_said(world);
        world.pool.resume();
        release.join().unwrap();
    });
}

/// `close.complete`: the last handle goes as the last connection comes back. It says goodbye all the same.
#[test]
fn last_goodbye_vs_last_handle() {
    bounded("last_goodbye_vs_last_handle", 4, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let pool = Pool::new(world.dialer.clone(), config(1)).expect("a possible configuration");
        let held = block_on(pool.acquire()).unwrap();
        world.settle();
        world.race();
        let release = world.thread(|_| drop(held));
        drop(pool);
        release.join().unwrap();
        world.until(|| world.dialer.live() == 0);
        all_said(world);
    });
}

/// The runtime ends in which a connection says goodbye. Its room is free, and an acquire in another runtime is served.
#[test]
fn goodbye_vs_home_loss() {
    bounded("goodbye_vs_home_loss", 2, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        world.race();
        let end = world.thread(move |_| runtime.end());
        held.invalidate();
        drop(block_on(world.pool.acquire()).unwrap());
        end.join().unwrap();
    });
}

fn close(world: &World) {
    crate::close(world);
    all_said(world);
}

/// Nothing is open, and everything has said goodbye to its end.
fn all_said(world: &World) {
    assert_eq!(world.dialer.live(), 0, "a connection is open");
    let (wanted, said) = world.dialer.goodbyes();
    assert_eq!(wanted, said, "a connection went without its goodbye");
    assert!(said > 0, "nobody said goodbye");
}
