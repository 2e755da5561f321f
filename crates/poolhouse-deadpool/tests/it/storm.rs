//! Random sequences of what holders, owners and hostile managers do. Whatever happens, each connection is detached once
//! and dropped once, and the pool keeps its capacity.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use poolhouse::{PoolConfig, PooledConnection};
use poolhouse_deadpool::{Deadpool, Object};
use tokio::task::JoinHandle;

use crate::common::{Failing, Mock, MockPool, assert_hands_out_exactly};

const SEEDS: std::ops::Range<u64> = 1..41;
const STEPS: usize = 120;
const MAX: usize = 3;

/// Xorshift: the same sequence for the same seed.
struct Random(u64);

impl Random {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }
}

struct Storm {
    random: Random,
    mock: Mock,
    pool: MockPool,
    held: Vec<PooledConnection<Deadpool<Mock>>>,
    waiting: Vec<JoinHandle<()>>,
}

impl Storm {
    async fn step(&mut self) {
        match self.random.below(12) {
            0..=2 => {
                let limit = self.random.millis(300);
                self.held.extend(self.pool.acquire_within(limit).await.ok());
            }
            3..=5 => self.part_with_one(),
            6 => {
                let (pool, hold) = (self.pool.clone(), self.random.millis(50));
                self.waiting.push(tokio::spawn(async move {
                    let _held = pool.acquire().await;
                    tokio::time::sleep(hold).await;
                }));
            }
            7 => drop(self.waiting.pop().map(|task| task.abort())),
            8 => self.disturb_the_manager(),
            9 => self.manage(),
            _ => tokio::time::sleep(self.random.millis(2000)).await,
        }
        let stats = self.pool.stats();
        assert_eq!(stats.total_connections, stats.idle_connections + stats.active_connections);
    }

    /// A holder gives one back, closes it, or takes it out of the pool. A panic of the manager is the holder's.
    fn part_with_one(&mut self) {
        let (Some(held), how) = (self.held.pop(), self.random.below(4)) else { return };
        let _ = catch_unwind(AssertUnwindSafe(|| match how {
            0 => held.invalidate(),
            1 => drop(PooledConnection::detach(held)),
            2 => drop(Object::take(PooledConnection::detach(held))),
            _ => held.release(),
        }));
    }

    fn disturb_the_manager(&mut self) {
        let mut state = self.mock.state();
        state.recycle_takes = self.random.millis(8000);
        state.panics = ["create", "recycle", "detach"].get(self.random.below(9) as usize).copied();
        state.fails = (self.random.below(4) == 0).then_some(Failing::RecycleBackend);
        state.drop_panics = self.random.below(4) == 0;
    }

    fn manage(&mut self) {
        match self.random.below(5) {
            0 => self.pool.invalidate_all(),
            1 => self.pool.suspend(),
            2 => self.pool.resume(),
            3 => drop(self.pool.retain(|_, info| info.use_count % 2 == 0)),
            _ => self.pool.resize(1 + self.random.below(4) as usize).expect("within bounds"),
        }
    }

    async fn end(self) {
        {
            let mut state = self.mock.state();
            (state.recycle_takes, state.panics, state.fails) = (Duration::ZERO, None, None);
            state.drop_panics = false;
        }
        drop(self.held);
        for task in self.waiting {
            task.abort();
            drop(task.await);
        }
        self.pool.resume();
        self.pool.resize(MAX).expect("within bounds");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_hands_out_exactly(&self.pool, MAX).await;
        self.pool.close().await;
    }
}

/// `panic.no_loss`, `cancel.no_loss`: a failure prints the seed.
#[test]
fn each_connection_is_detached_and_dropped_once() {
    for seed in SEEDS {
        let mock = Mock::default();
        let run = || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let config = PoolConfig { max_connections: MAX, ..PoolConfig::default() };
                let bridge = Deadpool::new(mock.clone());
                let pool = poolhouse::Pool::new(bridge, config).expect("the options are good");
                let random = Random(seed * 7919);
                let mut storm =
                    Storm { random, mock: mock.clone(), pool, held: Vec::new(), waiting: Vec::new() };
                for _ in 0..STEPS {
                    storm.step().await;
                }
                storm.end().await;
            });
        };
        assert!(catch_unwind(AssertUnwindSafe(run)).is_ok(), "the storm with seed {seed}");
        let mut state = mock.state();
        state.detached.sort_unstable();
        let created: Vec<_> = (1..=state.created).collect();
        assert_eq!(state.detached, created, "seed {seed}");
        assert_eq!(state.open, 0, "seed {seed}");
    }
}
