//! What an owner asks of a pool in service, while others use it: a warm-up, limits that change, a look through what is
//! idle, checks, and the end of a pause or of an outage.

use std::time::Duration;

use model_check::{
    AcquireError, Dial, Held, Manager, PoolConfig, PooledConnection, block_on, bounded, config, pass,
};

const HOUR: Duration = Duration::from_secs(3600);

/// `size.min`: a warm-up that begins in a suspended pool ends after the pool resumes.
#[test]
fn warm_up_vs_resume() {
    let config = PoolConfig { min_idle: 1, ..config(1) };
    bounded("warm_up_vs_resume", 3, &config, |world| {
        world.pool.suspend();
        world.race();
        let warm_up = world.thread(|pool| block_on(pool.warm_up()).unwrap());
        world.pool.resume();
        warm_up.join().unwrap();
    });
}

/// `size.min`: a warm-up sees what comes back, what is taken meanwhile, or that there is no room for more.
#[test]
fn warm_up_vs_release_vs_acquire() {
    let config = PoolConfig { min_idle: 1, ..config(2) };
    bounded("warm_up_vs_release_vs_acquire", 2, &config, |world| {
        let held = world.held();
        world.race();
        let warm_up = world.thread(|pool| block_on(pool.warm_up()).unwrap());
        let acquire = world.thread(|pool| drop(block_on(pool.acquire()).unwrap()));
        drop(held);
        warm_up.join().unwrap();
        acquire.join().unwrap();
    });
}

/// `resize.exact`: a higher maximum serves a waiter, though nothing comes back.
#[test]
fn reconfigure_vs_waiter() {
    bounded("reconfigure_vs_waiter", 4, &config(1), |world| {
        world.allow(2);
        let held = world.held();
        world.race();
        let reconfigure = world.thread(|pool| pool.reconfigure(config(2)).unwrap());
        drop(block_on(world.pool.acquire()).unwrap());
        reconfigure.join().unwrap();
        drop(held);
    });
}

/// `cancel.no_loss`: what is looked through is in nobody's hands meanwhile, and an acquire that finds nothing opens.
#[test]
fn retain_vs_acquire() {
    // So long that it plays no part; but what is looked at is idle, and a waiter beside it is right.
    let config = PoolConfig { max_lifetime: 1000 * HOUR, ..config(1) };
    bounded("retain_vs_acquire", 3, &config, |world| {
        world.idle();
        world.race();
        let retain = world.thread(|pool| pool.retain(|_, _| false));
        drop(block_on(world.pool.acquire()).unwrap());
        assert!(retain.join().unwrap() <= 1);
    });
}

/// `size.max`: what was opened elsewhere takes up room or is given back, whatever the pool opens meanwhile.
#[test]
fn add_vs_acquire() {
    bounded("add_vs_acquire", 3, &config(1), |world| {
        // The one that was opened elsewhere lives until it is refused.
        world.allow(2);
        let elsewhere = block_on(world.dialer.connect()).unwrap();
        world.race();
        let add = world.thread(|pool| drop(pool.add(elsewhere)));
        drop(block_on(world.pool.acquire()).unwrap());
        add.join().unwrap();
        assert!(world.pool.stats().total_connections <= 1);
    });
}

/// A wait for checks ends, even if a caller takes the connection or gives it back meanwhile.
#[test]
fn check_now_vs_release() {
    bounded("check_now_vs_release", 3, &config(1), |world| {
        let held = world.held();
        world.race();
        let check = world.thread(|pool| block_on(pool.check_now()));
        drop(held);
        check.join().unwrap();
    });
}

/// `connect.backoff`: an owner that knows that the server is back ends the pause. No time passes, so nothing
/// else does.
#[test]
fn connect_now_vs_waiter() {
    bounded("connect_now_vs_waiter", 4, &config(1), |world| {
        world.dialer.script([Dial::Fails]);
        let waiter = world.queued();
        world.settle();
        world.race();
        let told = world.thread(model_check::Pool::connect_now);
        drop(block_on(waiter).unwrap());
        told.join().unwrap();
        assert_eq!(world.dialer.attempts(), 2);
    });
}

/// `acquire.fail_fast`: in an outage a newcomer is told at once or waits for the next attempt; nobody is forgotten.
#[test]
fn fail_fast_vs_acquire() {
    let config = PoolConfig { fail_fast_after: Duration::from_secs(1), ..config(1) };
    bounded("fail_fast_vs_acquire", 3, &config, |world| {
        world.dialer.script([Dial::Fails]);
        let waiter = world.queued();
        world.settle();
        world.race();
        let clock = world.thread(|pool| pass(pool, HOUR));
        let newcomer = world.thread(|pool| block_on(pool.acquire()).map(drop));
        for acquired in [block_on(waiter).map(drop), newcomer.join().unwrap()] {
            match acquired {
                Ok(()) => {}
                Err(AcquireError::Connect(failed)) => assert!(failed.retry.is_some(), "{failed}"),
                Err(error) => panic!("{error}"),
            }
        }
        clock.join().unwrap();
    });
}

/// `max_uses`: the waiter gets a connection that has had no holder.
#[test]
fn last_use_vs_waiter() {
    let config = PoolConfig { max_uses: Some(1), ..config(1) };
    bounded("last_use_vs_waiter", 3, &config, |world| {
        let held = world.held();
        let first = PooledConnection::id(&held);
        world.race();
        let release = world.thread(|_| drop(held));
        let got: Held = block_on(world.pool.acquire()).unwrap();
        assert_ne!(PooledConnection::id(&got), first, "handed out a second time");
        release.join().unwrap();
        drop(got);
    });
}

/// `max_idle`: of two that come back one stays, and an acquire meanwhile is served.
#[test]
fn max_idle_vs_two_releases() {
    let config = PoolConfig { max_idle: Some(1), ..config(2) };
    bounded("max_idle_vs_two_releases", 3, &config, |world| {
        let (one, other) = (world.held(), world.held());
        world.race();
        let release = world.thread(|_| drop(one));
        drop(other);
        release.join().unwrap();
        world.until(|| world.pool.stats().idle_connections <= 1);
    });
}

/// `epoch.invalidate_all`: spread over an hour. When that has passed, nobody gets what was open before.
#[test]
fn invalidate_all_over_vs_acquire() {
    // So long that it plays no part, and idle connections may come of age.
    let config = PoolConfig { max_lifetime: 1000 * HOUR, ..config(1) };
    bounded("invalidate_all_over_vs_acquire", 7, &config, |world| {
        let held = world.held();
        let old = PooledConnection::id(&held);
        drop(held);
        world.pool.invalidate_all_over(HOUR);
        world.race();
        let clock = world.thread(|pool| pass(pool, 2 * HOUR));
        drop(block_on(world.pool.acquire()).unwrap());
        clock.join().unwrap();
        let got = block_on(world.pool.acquire()).unwrap();
        assert_ne!(PooledConnection::id(&got), old);
    });
}
