//! Connections that are old, dead, or no longer what they were: see `field.rs`.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolhouse::{Manager, Pool, PoolConfig};
use tokio::time::Instant;

use crate::common::{Mock, Step, config, ms, poll_once, pool, secs, settle};

/// `lifetime.jitter`: <https://github.com/transact-rs/sqlx/issues/2854> and
/// <https://github.com/PostHog/posthog/pull/49745>. Connections that opened together reached their lifetime
/// together, and a whole fleet connected anew at once. Here they go one by one, each with its successor open
/// before, and callers notice nothing.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_lifetime_is_no_stampede() {
    // Twenty that the minimum needs, or ten that are in use.
    for (min, opened) in [(20, 20), (0, 10)] {
        no_stampede(min, opened).await;
    }
}

async fn no_stampede(min: usize, opened: usize) {
    let mock = Mock::new(Step::Slow(ms(100)));
    let config =
        PoolConfig { min_connections: min, max_lifetime: secs(60), lifetime_jitter: 0.2, ..config(30) };
    let pool = pool(&mock, config);
    pool.warm_up().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..opened {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    mock.take_connecting_peak();
    let begin = Instant::now();
    let users: Vec<_> = (0..10)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut longest = Duration::ZERO;
                while begin.elapsed() < secs(130) {
                    let asked = Instant::now();
                    let _held = pool.acquire().await.unwrap();
                    longest = longest.max(asked.elapsed());
                    tokio::time::sleep(ms(20)).await;
                }
                longest
            })
        })
        .collect();
    for user in users {
        assert_eq!(user.await.unwrap(), ms(0), "a caller waited for a lifetime to end");
    }
    let mut by_second = std::collections::HashMap::new();
    for (_, at) in mock.closed_at() {
        *by_second.entry((at - begin).as_secs()).or_insert(0) += 1;
    }
    let (closed, busiest) = (mock.closed_at().len(), by_second.values().max().copied().unwrap_or(0));
    println!("{opened} open: {closed} closed, {busiest} of them in the busiest second");
    assert!(closed >= opened * 2 && busiest <= opened * 4 / 5, "{closed} closed, {busiest} in one second");
    assert!(mock.take_connecting_peak() <= 8);
}

/// `lifetime.jitter`: <https://github.com/jackc/pgx/issues/1437>. The jitter was drawn anew each time a
/// connection was looked at, so that a busy one soon met its shortest lifetime, and all retired together after
/// all. Here it is drawn at birth, however often anybody looks.
#[tokio::test(start_paused = true)]
async fn looking_at_a_connection_does_not_draw_its_jitter_again() {
    let mock = Mock::ok();
    // A successor at most 1 ms ahead, so that the ages are those that were drawn.
    let config = PoolConfig {
        max_lifetime: secs(100),
        lifetime_jitter: 0.5,
        connect_attempt_timeout: ms(1),
        ..config(80)
    };
    let pool = pool(&mock, config);
    let begin = Instant::now();
    for _ in 0..101 {
        let mut held = Vec::new();
        for _ in 0..80 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        tokio::time::sleep(secs(1)).await;
    }
    let mut ages: Vec<_> =
        mock.closed_at().iter().filter(|(id, _)| *id <= 80).map(|(_, at)| (*at - begin).as_secs()).collect();
    ages.sort_unstable();
    assert_eq!(ages.len(), 80);
    // Of 80 that are spread over 50 s to 100 s. Drawn a hundred times each, none would see 70 s.
    assert!(ages[0] < 65 && ages[40] > 60 && ages[79] > 85, "{ages:?}");
}

/// `health.known_dead`: <https://github.com/deadpool-rs/deadpool/issues/395>. To be fast, a pool handed out
/// idle connections unasked, and those that the server had closed went to callers. Here a look at the socket
/// costs no round trip, and is had at each hand-out.
#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_is_not_handed_out() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_connections: 4, ..config(4) });
    pool.warm_up().await.unwrap();
    for id in 1..=4 {
        mock.kill([id]);
    }
    tokio::time::advance(ms(1)).await;
    assert!(pool.try_acquire().is_none(), "all four are dead");
    let begin = Instant::now();
    let held = pool.acquire().await.unwrap();
    assert!(held.id > 4 && begin.elapsed() == ms(0), "{} after {:?}", held.id, begin.elapsed());
    assert_eq!((mock.checks(), mock.closed_at().len()), (0, 4), "found without a round trip");

    // The same for one that hangs up between its return and the waiter's next poll.
    let mut all = vec![held];
    while all.len() < 4 {
        all.push(pool.acquire().await.unwrap());
    }
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    let dead = all[0].id;
    drop(all.remove(0));
    mock.kill([dead]);
    tokio::time::advance(ms(1)).await;
    assert_ne!(waiter.await.unwrap().id, dead);
}

/// One of two servers, told apart by number. A connection remembers which it talks to.
#[derive(Clone)]
struct Cluster {
    primary: Arc<AtomicUsize>,
}

impl Manager for Cluster {
    type Connection = usize;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<usize, std::io::Error> {
        Ok(self.primary.load(SeqCst))
    }

    /// Asks what the pool is for, writing, and not for any answer: a replica gives that too.
    async fn check(&self, server: &mut usize) -> Result<(), std::io::Error> {
        if *server == self.primary.load(SeqCst) {
            Ok(())
        } else {
            Err(std::io::Error::new(std::io::ErrorKind::ReadOnlyFilesystem, "read-only"))
        }
    }
}

/// `health.known_dead`: <https://github.com/gpustack/gpustack/pull/6107>. After a failover the check, `SELECT
/// 1`, still passed on the old primary, which had become read-only, and the pool kept to it. Here the manager's
/// own check decides: one that asks for writing retires what cannot.
#[tokio::test(start_paused = true)]
async fn a_demoted_primary_is_left_by_a_check_that_asks_for_writing() {
    let cluster = Cluster { primary: Arc::new(AtomicUsize::new(1)) };
    for check_after_idle in [secs(1), Duration::MAX] {
        cluster.primary.store(1, SeqCst);
        let config = PoolConfig { min_connections: 3, check_after_idle, ..config(3) };
        let pool = Pool::new(cluster.clone(), config).unwrap();
        pool.warm_up().await.unwrap();
        cluster.primary.store(2, SeqCst);
        // Asked before the acquire, or in the background within two intervals.
        tokio::time::sleep(if check_after_idle < Duration::MAX { secs(2) } else { secs(61) }).await;
        for _ in 0..3 {
            let held = pool.acquire().await.unwrap();
            assert_eq!(*held, 2, "{check_after_idle:?}: a read-only server was handed out");
        }
        assert!(pool.stats().failed_checks >= 1);
    }
}

/// A server that lets in a client that knows the password.
struct Vault {
    password: Mutex<String>,
}

impl Manager for Vault {
    type Connection = String;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<String, std::io::Error> {
        let password = self.password.lock().unwrap().clone();
        tokio::time::sleep(ms(10)).await;
        Ok(password)
    }
}

/// `epoch.invalidate_all`: <https://github.com/transact-rs/sqlx/issues/445>. Credentials that rotate had no way
/// into a pool that was made with the old ones. Here the manager reads them at each connect, and what was
/// opened before, was held, or was on its way at the time is not used again.
#[tokio::test(start_paused = true)]
async fn rotated_credentials_are_used_from_the_next_acquire_on() {
    let vault = Vault { password: Mutex::new("old".into()) };
    let pool = Pool::new(vault, PoolConfig { min_connections: 2, ..config(4) }).unwrap();
    pool.warm_up().await.unwrap();
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(second);
    // A connect with the old password is under way when the password changes.
    let third = pool.acquire().await.unwrap();
    let early = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap().clone() }
    });
    settle().await;
    assert_eq!(pool.stats().connecting, 1);

    "new".clone_into(&mut pool.manager().password.lock().unwrap());
    pool.invalidate_all();
    assert_eq!(early.await.unwrap(), "new", "a connect with the old password was used");
    drop((first, third));
    for _ in 0..4 {
        assert_eq!(*pool.acquire().await.unwrap(), "new");
    }
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(pool.acquire().await.unwrap());
    }
    assert!(all.iter().all(|connection| **connection == "new"));
}
