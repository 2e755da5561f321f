//! Idle connections that are dead and do not say so: the wire is silent, and no end of stream arrives.

use std::time::Duration;

use poolhouse::{AcquireError, PacketManager, PacketOptions, Phase, Pool, PoolConfig};
use poolhouse_echo::Faults;
use tokio::time::{Instant, sleep};

use crate::common::{
    Held, Limits, PacketPoolOf, Tally, acquire, exchange, full_house, kind_of_exchange, ms, secs,
};
use crate::network::{Dialer, Network};

const IDLE: usize = 8;
const LIMITS: Limits = Limits { acquire: secs(3), io: secs(2), slack: ms(2), known_dead: true };
const CHECK_INTERVAL: Duration = secs(30);
const CHECK_TIMEOUT: Duration = secs(1);

fn config() -> PoolConfig {
    PoolConfig {
        min_connections: 0,
        max_connections: IDLE,
        connection_timeout: LIMITS.acquire,
        health_check_interval: CHECK_INTERVAL,
        health_check_timeout: CHECK_TIMEOUT,
        ..PoolConfig::default()
    }
}

/// Eight idle connections behind a wire that has gone silent.
async fn eight_dead(config: PoolConfig) -> (Network, PacketPoolOf<Dialer>) {
    let network = Network::new(Faults::default());
    let options = PacketOptions { io_timeout: LIMITS.io, ..PacketOptions::default() };
    let manager = PacketManager::new(network.dialer()).with_options(options);
    let pool = Pool::new(manager, config).expect("a possible pool");
    let mut held = full_house(&pool, LIMITS, &Tally::default()).await.expect("a faultless server");
    held.drain(IDLE..).for_each(Held::invalidate);
    drop(held);
    sleep(secs(2)).await;
    network.set(|weather| weather.silent = true);
    (network, pool)
}

/// The wire speaks again, and the pool is as good as new.
async fn healed(network: &Network, pool: &PacketPoolOf<Dialer>) {
    network.lift_all(false).await;
    sleep(secs(6)).await;
    let tally = Tally::default();
    let held = full_house(pool, LIMITS, &tally).await;
    assert!(held.is_some(), "{tally}");
    let max = pool.stats().max_connections;
    assert_eq!((pool.stats().total_connections, network.ends()), (max, max));
}

/// acquire.deadline: each dead connection costs one caller one `io_timeout`, and when all are spent an acquire ends at
/// its deadline and says that the pool is connecting.
#[tokio::test(start_paused = true)]
async fn each_dead_connection_is_handed_out_at_most_once() {
    let (network, pool) = eight_dead(config()).await;
    for number in 1..=IDLE {
        let begin = Instant::now();
        let mut connection =
            acquire(&pool, &LIMITS).await.expect("an idle connection, for all the pool knows");
        assert_eq!(begin.elapsed(), ms(0), "acquire {number} did I/O");
        assert_eq!(kind_of_exchange(&exchange(&mut connection, &LIMITS, 16).await), "silent");
    }
    let begin = Instant::now();
    let error = acquire(&pool, &LIMITS).await.expect_err("nothing gets through");
    assert!(begin.elapsed() >= LIMITS.acquire, "given up early");
    assert!(matches!(&error, AcquireError::Timeout(why) if why.phase == Phase::Connecting), "{error}");
    healed(&network, &pool).await;
}

/// acquire.deadline: whenever one begins, before, during and after the health checks of eight dead connections, an
/// acquire ends by its deadline.
#[tokio::test(start_paused = true)]
async fn an_acquire_among_eight_dead_connections_ends_by_its_deadline() {
    for begin in [ms(0), CHECK_INTERVAL - ms(1), CHECK_INTERVAL, CHECK_INTERVAL + ms(500), CHECK_INTERVAL * 2]
    {
        let (network, pool) = eight_dead(config()).await;
        sleep(begin).await;
        let callers = (0..IDLE * 2).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                if let Ok(mut connection) = acquire(&pool, &LIMITS).await {
                    assert_eq!(kind_of_exchange(&exchange(&mut connection, &LIMITS, 16).await), "silent");
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("every wait ends in time");
        }
        healed(&network, &pool).await;
    }
}

/// acquire.deadline: to check eight dead connections one after the other would take longer than the deadline of one
/// acquire. It ends by then.
#[tokio::test(start_paused = true)]
async fn checks_of_eight_dead_connections_end_by_the_deadline_of_one_acquire() {
    let config = PoolConfig { check_after_idle: secs(1), ..config() };
    assert!(CHECK_TIMEOUT * 8 > LIMITS.acquire);
    let (network, pool) = eight_dead(config).await;
    let begin = Instant::now();
    let error = acquire(&pool, &LIMITS).await.expect_err("nothing gets through");
    assert!(begin.elapsed() >= LIMITS.acquire, "given up early");
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    healed(&network, &pool).await;
}

/// acquire.deadline, `health.known_dead`: the same, but the server is there for new connections. With room for one, an
/// acquire waits about as long as a connect takes; without, until the first check is given up.
#[tokio::test(start_paused = true)]
async fn forgotten_connections_cost_a_connect_or_a_check() {
    for (max, most) in [(IDLE + 1, ms(20)), (IDLE, CHECK_TIMEOUT + ms(20))] {
        let config = PoolConfig { check_after_idle: secs(1), max_connections: max, ..config() };
        let (network, pool) = eight_dead(config).await;
        network.set(|weather| weather.silent = false);
        network.forget();
        let begin = Instant::now();
        let mut connection = acquire(&pool, &LIMITS).await.expect("a new connection");
        assert!(begin.elapsed() <= most, "{:?} of {most:?}", begin.elapsed());
        assert_eq!(kind_of_exchange(&exchange(&mut connection, &LIMITS, 16).await), "answered");
        drop(connection);
        healed(&network, &pool).await;
    }
}
