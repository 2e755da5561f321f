//! Options out of bounds are refused by name, and what is within bounds keeps no pool busy without a pause.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{
    AcquireError, ConfigError, FailureKind, Manager, PacketConnection, PacketError, PacketManager,
    PacketOptions, Pool, PoolConfig,
};

use crate::common::{Mock, Step, config, ms, pool, secs};

/// A pool that nobody uses opened 5,888 connections a second with a lifetime of a nanosecond. With the least that is
/// allowed it opens one or two a millisecond.
#[tokio::test(start_paused = true)]
async fn the_least_limits_leave_pauses() {
    let least = PoolConfig { min_connections: 1, max_lifetime: ms(1), lifetime_jitter: 0.0, ..config(2) };
    let mock = Mock::ok();
    let short_lived = pool(&mock, least);
    short_lived.warm_up().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    assert!((300..=2100).contains(&mock.attempts().len()), "{} connects a second", mock.attempts().len());

    let least = PoolConfig { min_connections: 1, health_check_interval: ms(1), ..config(2) };
    let mock = Mock::ok();
    let checked = pool(&mock, least);
    checked.warm_up().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    assert!((300..=1100).contains(&mock.checks()), "{} checks a second", mock.checks());

    let least = PoolConfig {
        min_connections: 1,
        connect_backoff: ms(1),
        max_connect_backoff: ms(1),
        leak_threshold: ms(1),
        ..config(2)
    };
    let mock = Mock::new(Step::Fail);
    let down = pool(&mock, least);
    assert!(down.acquire_within(secs(1)).await.is_err());
    assert!((300..=2100).contains(&mock.attempts().len()), "{} attempts a second", mock.attempts().len());
}

/// An idle connection that is closed at once is not opened again for nothing.
#[tokio::test(start_paused = true)]
async fn no_time_to_idle_opens_nothing() {
    for min_connections in [0, 1] {
        let brief = PoolConfig { min_connections, idle_timeout: Duration::from_nanos(1), ..config(4) };
        let mock = Mock::ok();
        let pool = pool(&mock, brief);
        drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
        tokio::time::sleep(secs(60)).await;
        let stats = pool.stats();
        assert_eq!((mock.attempts().len(), stats.total_connections), (2, min_connections), "{stats:?}");
    }
}

fn manager(options: PacketOptions) -> PacketManager<impl poolhouse::Dial> {
    let dial = || async { io::Result::Ok(tokio::io::duplex(64).0) };
    PacketManager::new(dial).with_options(options)
}

struct Wrapper<M>(M);

impl<M: Manager> Manager for Wrapper<M> {
    type Connection = M::Connection;
    type Error = M::Error;

    async fn connect(&self) -> Result<M::Connection, M::Error> {
        self.0.connect().await
    }

    fn classify(&self, error: &M::Error) -> FailureKind {
        self.0.classify(error)
    }
}

/// A check packet that is too long closed every connection at its first check.
#[tokio::test(start_paused = true)]
async fn packet_options_out_of_bounds_are_named_when_the_pool_is_made() {
    let long = PacketOptions { max_frame_length: 4, check_packet: "hello".into(), ..Default::default() };
    let hasty = PacketOptions { io_timeout: Duration::ZERO, ..Default::default() };
    for (options, text) in [
        (long, "check_packet has 5 bytes, above max_frame_length, which is 4: shorten it"),
        (hasty, "io_timeout is zero: give it some time, or Duration::MAX to switch it off"),
    ] {
        assert!(options.validate().unwrap_err().to_string().starts_with(text));
        let error = Pool::new(manager(options.clone()), config(1)).map(drop).unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        let shared = Arc::new(manager(options.clone()));
        let error = Pool::new(shared, config(1)).map(drop).unwrap_err();
        assert!(error.to_string().starts_with(text), "a manager in an Arc is asked too: {error}");

        // A manager around another one may not ask it.
        let pool = Pool::new(Wrapper(manager(options)), config(1)).unwrap();
        let error = pool.acquire().await.map(drop).unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "told at once, as permanent: {error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.to_string().matches("; guide: ").count(), 1, "{error}");
    }
}

/// The header cannot say more than `u32::MAX`.
#[tokio::test(start_paused = true)]
async fn no_limit_of_frames_is_that_of_the_header() {
    let options = PacketOptions { max_frame_length: usize::MAX, ..Default::default() };
    options.validate().unwrap();
    assert!(manager(options.clone()).connect().await.is_ok());
    let mut connection = PacketConnection::new(tokio::io::duplex(64).0, "there", &options);
    let sent = connection.send_packet("fits").await;
    assert!(matches!(sent, Err(PacketError::Io { .. })), "the far end is gone: {sent:?}");
    let error = PacketOptions { check_packet: "x".into(), max_frame_length: 0, ..options }.validate();
    assert!(matches!(error, Err(ConfigError::CheckPacketTooLong { length: 1, max: 0, .. })), "{error:?}");
}
