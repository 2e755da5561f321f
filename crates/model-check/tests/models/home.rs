//! A background task that ends with its runtime or its pool, against those who rely on it.

use std::time::Duration;

use model_check::{AcquireError, Acquired, Runtime, World, block_on, bounded, config, model, pass};

use crate::{close, ok_or_closed};

/// An acquire in a runtime that may have ended.
fn ok_or_runtime_ended(acquired: Acquired) {
    if let Err(error) = acquired {
        assert!(matches!(error, AcquireError::RuntimeEnded { .. }), "{error}");
    }
}

/// A runtime with the one background task there is, and an idle connection.
fn home_with_idle(world: &World) -> Runtime {
    let runtime = world.runtime();
    runtime.enter(|| world.idle());
    runtime
}

/// The same, and the peer has hung up: an acquire that takes the connection finds it dead, and leaves its
/// close to the background.
fn home_with_dead(world: &World) -> Runtime {
    let runtime = home_with_idle(world);
    world.dialer.hang_up();
    pass(&world.pool, Duration::from_secs(1));
    runtime
}

/// An acquire that joins in another runtime, as the only background task ends, is served.
#[test]
fn home_loss_vs_acquire() {
    bounded("home_loss_vs_acquire", 4, &config(1), |world| {
        let runtime = home_with_idle(world);
        world.race();
        let end = world.thread(move |_| runtime.end());
        drop(block_on(world.pool.acquire()).unwrap());
        end.join().unwrap();
    });
}

/// So it is when the connection is held meanwhile, and comes back after its runtime.
#[test]
fn home_loss_vs_release_vs_acquire() {
    bounded("home_loss_vs_release_vs_acquire", 2, &config(1), |world| {
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        world.race();
        let end = world.thread(move |_| {
            runtime.end();
            drop(held);
        });
        drop(block_on(world.pool.acquire()).unwrap());
        end.join().unwrap();
    });
}

/// An acquire that joins in the runtime that ends is served or told so, and never left waiting.
#[test]
fn home_loss_vs_acquire_inside() {
    bounded("home_loss_vs_acquire_inside", 3, &config(1), |world| {
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        world.race();
        let acquire = world.thread_in(&runtime, |pool| ok_or_runtime_ended(block_on(pool.acquire())));
        runtime.end();
        drop(held);
        acquire.join().unwrap();
    });
}

/// An acquire that joined in the runtime that ends goes on in another, and is served there.
#[test]
fn home_loss_vs_acquire_that_has_moved() {
    bounded("home_loss_vs_acquire_that_has_moved", 3, &config(1), |world| {
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        let moved = runtime.enter(|| world.queued());
        world.race();
        let end = world.thread(move |_| runtime.end());
        let release = world.thread(|_| drop(held));
        drop(block_on(moved).unwrap());
        end.join().unwrap();
        release.join().unwrap();
    });
}

/// So does one that joins and moves as the runtime ends, with the connect that it began there: it has begun in neither
/// runtime, or ends with the first.
#[test]
fn home_loss_vs_acquire_that_moves() {
    bounded("home_loss_vs_acquire_that_moves", 3, &config(1), |world| {
        let runtime = world.runtime();
        let ends = runtime.clone();
        world.race();
        let end = world.thread(move |_| ends.end());
        match runtime.enter(|| world.joined()) {
            Ok(moves) => drop(block_on(moves).unwrap()),
            Err(acquired) => ok_or_runtime_ended(acquired),
        }
        end.join().unwrap();
    });
}

/// A connect under way ends with its runtime, and a waiter elsewhere gets another.
#[test]
fn home_loss_vs_connect() {
    bounded("home_loss_vs_connect", 2, &config(1), |world| {
        let runtime = world.runtime();
        world.race();
        let inside = world.thread_in(&runtime, |pool| ok_or_runtime_ended(block_on(pool.acquire())));
        let end = world.thread(move |_| runtime.end());
        drop(block_on(world.pool.acquire()).unwrap());
        end.join().unwrap();
        inside.join().unwrap();
    });
}

/// The first acquire of all starts the task in a runtime that ends at the same time.
#[test]
fn home_loss_vs_first_acquire() {
    bounded("home_loss_vs_first_acquire", 4, &config(1), |world| {
        let runtime = world.runtime();
        world.race();
        let acquire = world.thread_in(&runtime, |pool| ok_or_runtime_ended(block_on(pool.acquire())));
        runtime.end();
        acquire.join().unwrap();
    });
}

/// `close.complete`: the pool closes as its runtime ends.
#[test]
fn home_loss_vs_close() {
    model("home_loss_vs_close", &config(1), |world| {
        let runtime = home_with_idle(world);
        world.race();
        let end = world.thread(move |_| runtime.end());
        close(world);
        end.join().unwrap();
    });
}

/// A dead connection that an acquire leaves to the only background task is closed, though the task ends.
#[test]
fn home_loss_vs_left_to_close() {
    bounded("home_loss_vs_left_to_close", 5, &config(1), |world| {
        let runtime = home_with_dead(world);
        world.race();
        let end = world.thread(move |_| runtime.end());
        assert!(world.pool.try_acquire().is_none(), "it is dead");
        end.join().unwrap();
    });
}

/// Its room reaches the acquire that has found it dead, whichever runtime that waits in.
#[test]
fn home_loss_vs_acquire_of_dead() {
    bounded("home_loss_vs_acquire_of_dead", 2, &config(1), |world| {
        let runtime = home_with_dead(world);
        world.race();
        let end = world.thread(move |_| runtime.end());
        drop(block_on(world.pool.acquire()).unwrap());
        end.join().unwrap();
    });
}

/// The same inside of the runtime that ends.
#[test]
fn home_loss_vs_acquire_of_dead_inside() {
    bounded("home_loss_vs_acquire_of_dead_inside", 3, &config(1), |world| {
        let runtime = home_with_dead(world);
        world.race();
        let acquire = world.thread_in(&runtime, |pool| ok_or_runtime_ended(block_on(pool.acquire())));
        runtime.end();
        acquire.join().unwrap();
    });
}

/// With two tasks, the other one closes what the one that ends leaves.
#[test]
fn home_loss_vs_left_to_close_beside_another_home() {
    bounded("home_loss_vs_left_to_close_beside_another_home", 3, &config(2), |world| {
        let held = world.held();
        let runtime = home_with_dead(world);
        // The held connection is dead too, and belongs to the other task.
        world.race();
        let end = world.thread(move |_| runtime.end());
        drop(world.pool.try_acquire());
        drop(held);
        end.join().unwrap();
    });
}

/// `close.complete`: the close waits for what an acquire leaves to the background task, which ends with the pool.
#[test]
fn close_vs_left_to_close() {
    bounded("close_vs_left_to_close", 5, &config(1), |world| {
        world.idle();
        world.dialer.hang_up();
        pass(&world.pool, Duration::from_secs(1));
        world.race();
        let tries = world.thread(|pool| assert!(pool.try_acquire().is_none(), "it is dead"));
        close(world);
        tries.join().unwrap();
    });
}

/// `close.complete`: so for an acquire that goes on waiting for another connection.
#[test]
fn close_vs_acquire_of_dead() {
    bounded("close_vs_acquire_of_dead", 4, &config(1), |world| {
        world.idle();
        world.dialer.hang_up();
        pass(&world.pool, Duration::from_secs(1));
        world.race();
        let acquire = world.thread(|pool| ok_or_closed(block_on(pool.acquire())));
        close(world);
        acquire.join().unwrap();
    });
}
