//! The replicas: each has a pool of its own. A deploy replaces them, as Kubernetes does it.
//!
//! As many new replicas as the surge allows start, and once they are ready, as many old ones are told to end. An old one
//! finishes what it does, and nobody counts it meanwhile: the next new ones start at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{Pool, PoolConfig, PoolStats};
use tokio::time::{Instant, sleep, sleep_until};

use crate::scenario::Scenario;
use crate::server::{Dialer, Server};

/// Between two attempts of a new replica to open its minimum.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Fleet {
    server: Arc<Server>,
    config: PoolConfig,
    is_warm: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that get requests, the oldest first.
    serving: Vec<Pool<Dialer>>,
    /// Those that have ended too.
    all: Vec<Pool<Dialer>>,
    alive: usize,
    most_alive: usize,
    /// From the start of the deploy until the last new replica was ready.
    deploy_took: Option<Duration>,
}

/// When and how a deploy goes.
struct Deploy {
    at: Instant,
    surge: usize,
    boot: Duration,
    drain: Duration,
    closes_first: bool,
}

impl Fleet {
    /// Starts the replicas of a scenario.
    pub(crate) async fn start(scenario: &Scenario, server: &Arc<Server>) -> Arc<Self> {
        let values = &scenario.values;
        let fleet = Self {
            server: Arc::clone(server),
            config: scenario.config(),
            is_warm: values.warm != 0.0,
            state: Mutex::default(),
        };
        for _ in 0..values.replicas as usize {
            fleet.boots();
            let pool = fleet.pool();
            fleet.state().serving.push(pool);
        }
        if fleet.is_warm {
            for pool in fleet.all() {
                // A server that accepts fewer than the minimum is part of the scenario.
                let _ = pool.warm_up_within(Duration::from_secs(120)).await;
            }
        }
        Arc::new(fleet)
    }

    /// Begins the deploy, if the scenario has one.
    pub(crate) fn deploy(self: &Arc<Self>, scenario: &Scenario, start: Instant) {
        if !scenario.deploys() {
            return;
        }
        let values = &scenario.values;
        let seconds = |seconds: f64| Duration::from_millis((seconds * 1e3) as u64);
        let deploy = Deploy {
            at: start + seconds(values.fault_at),
            surge: values.surge as usize,
            boot: seconds(values.boot),
            drain: seconds(values.fault_for),
            closes_first: values.ending != 0.0,
        };
        tokio::spawn(Arc::clone(self).roll(deploy));
    }

    /// The pool of the replica that a request comes to. The share is from 0 to 1.
    pub(crate) fn pick(&self, share: f64) -> Pool<Dialer> {
        let state = self.state();
        let replica = (share * state.serving.len() as f64) as usize;
        state.serving[replica.min(state.serving.len() - 1)].clone()
    }

    /// The pools of all replicas that there have been.
    pub(crate) fn all(&self) -> Vec<Pool<Dialer>> {
        self.state().all.clone()
    }

    pub(crate) fn stats(&self) -> Vec<PoolStats> {
        self.all().iter().map(Pool::stats).collect()
    }

    /// The most replicas that were alive at once, ending ones included.
    pub(crate) fn most_alive(&self) -> usize {
        self.state().most_alive
    }

    /// From the start of the deploy until the last new replica was ready, if it ended.
    pub(crate) fn deploy_took(&self) -> Option<Duration> {
        self.state().deploy_took
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boots(&self) {
        let mut state = self.state();
        state.alive += 1;
        state.most_alive = state.most_alive.max(state.alive);
    }

    fn pool(&self) -> Pool<Dialer> {
        let dialer = Dialer(Arc::clone(&self.server));
        let pool = Pool::new(dialer, self.config.clone()).expect("a scenario is checked");
        self.state().all.push(pool.clone());
        pool
    }

    async fn roll(self: Arc<Self>, deploy: Deploy) {
        sleep_until(deploy.at).await;
        let mut left = self.state().serving.len();
        while left > 0 {
            let surge = deploy.surge.min(left);
            left -= surge;
            let booting: Vec<_> =
                (0..surge).map(|_| tokio::spawn(Arc::clone(&self).boot(deploy.boot))).collect();
            for replica in booting {
                let pool = replica.await.expect("a replica boots or waits");
                self.state().serving.push(pool);
            }
            let old: Vec<_> = self.state().serving.drain(..surge).collect();
            for pool in old {
                tokio::spawn(Arc::clone(&self).end(pool, deploy.drain, deploy.closes_first));
            }
        }
        self.state().deploy_took = Some(deploy.at.elapsed());
    }

    /// A new replica, once it is ready: with a warm pool, if the scenario wants that.
    async fn boot(self: Arc<Self>, boot: Duration) -> Pool<Dialer> {
        self.boots();
        sleep(boot).await;
        let pool = self.pool();
        while self.is_warm && pool.warm_up().await.is_err() {
            sleep(RETRY).await;
        }
        pool
    }

    /// Nobody sends an old replica requests any more.
    async fn end(self: Arc<Self>, pool: Pool<Dialer>, drain: Duration, closes_first: bool) {
        let ends = Instant::now() + drain;
        if closes_first {
            pool.close_within(drain).await;
        }
        sleep_until(ends).await;
        self.state().alive -= 1;
        pool.close_within(Duration::ZERO).await;
    }
}
