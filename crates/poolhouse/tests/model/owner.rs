//! What the pool's owner does: resize, invalidate, suspend, look, let go of it. And what the peer does to it.

use poolhouse::PoolConfig;
use tokio::time::Instant;

use crate::ensure;
use crate::reference::Verdict;
use crate::world::{World, pick};

impl World<'_> {
    pub(crate) async fn resize(&mut self, max: usize) -> Verdict {
        // What is due now is judged by the old maximum.
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        let possible = max > 0 && max >= self.model.min && max >= self.model.min_idle;
        let before = pool.stats();
        let (abandoned, cut) = self.server.ledger().given_up();
        let resized = pool.resize(max);
        ensure!(resized.is_ok() == possible, "resize.exact: resize({max}) gives {resized:?}");
        if !possible {
            self.seen.saw("resize: refused");
            return Ok(());
        }
        self.seen.saw(match max {
            _ if max > self.model.max => "resize: up",
            _ if max < self.held.len() => "resize: down, below what is held",
            _ => "resize: down",
        });
        self.model.max = max;
        self.server.ledger().max = max;
        // Connections under a chore go first, then idle ones, then attempts.
        let surplus = (before.total_connections + before.connecting).saturating_sub(max);
        let under_way = before.checking + before.resetting;
        let chores = under_way.min(surplus);
        let idle = (before.idle_connections - under_way).min(surplus - chores);
        let attempts = before.connecting.min(surplus - chores - idle);
        let after = pool.stats();
        let closed = before.total_connections - after.total_connections;
        ensure!(closed == idle, "resize.exact: {closed} idle connections go at once, not {idle}");
        self.settle().await?;
        let now = self.server.ledger().given_up();
        let (abandoned, cut) = (now.0 - abandoned, now.1 - cut);
        ensure!(
            (cut, abandoned) == (chores as u64, attempts as u64),
            "resize.exact: {cut} chores are cut and {abandoned} attempts given up, not {chores} and {attempts}"
        );
        Ok(())
    }

    pub(crate) fn look(&mut self) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        self.sync(false)?;
        let now = Instant::now();
        let mut said: Vec<_> = pool.holders().iter().map(|holder| holder.held_for).collect();
        let active = pool.stats().active_connections;
        ensure!(said.len() == active, "stats.consistent: {} holders, {active} active", said.len());
        ensure!(said.is_sorted_by(|a, b| a >= b), "holders: not the longest first: {said:?}");
        if self.model.served.is_empty() {
            let mut known: Vec<_> = self.held.iter().filter_map(|held| Some(now - held.since?)).collect();
            known.sort_unstable();
            said.reverse();
            let unknown = known.len() < self.held.len();
            ensure!(unknown || said == known, "holders: {said:?}, and it is {known:?}");
        }
        ensure!(
            pool.is_suspended() == self.model.suspended,
            "suspend.nothing_moves: suspended is {}",
            pool.is_suspended()
        );
        ensure!(pool.is_closed() == self.model.closed, "close.complete: closed is {}", pool.is_closed());
        ensure!(
            PoolConfig { max_connections: self.options.max_connections, ..pool.config() } == self.options,
            "the options have changed"
        );
        ensure!(format!("{pool:?}").contains("model:1"), "the pool does not say where it goes: {pool:?}");
        Ok(())
    }

    pub(crate) async fn invalidate_all(&mut self) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        pool.invalidate_all();
        {
            let mut ledger = self.server.ledger();
            ledger.epoch += 1;
            ledger.pause.ends();
        }
        self.recall();
        self.seen.saw("invalidate_all");
        self.settle().await
    }

    pub(crate) async fn suspend(&mut self) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        pool.suspend();
        {
            let mut ledger = self.server.ledger();
            ledger.suspensions += u64::from(!ledger.suspended);
            ledger.suspended = true;
            ledger.pause.ends();
        }
        self.model.suspended = true;
        self.recall();
        self.seen.saw("suspend");
        self.settle().await
    }

    pub(crate) async fn resume(&mut self) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        if self.model.suspended {
            self.seen.saw("resume");
        }
        pool.resume();
        self.server.ledger().suspended = false;
        self.model.suspended = false;
        Ok(())
    }

    pub(crate) fn peer_closes(&mut self, which: u8) {
        let mut ledger = self.server.ledger();
        let open: Vec<_> = ledger.open_records().collect();
        if let Some(index) = pick(which, open.len())
            && let Some(record) = open.into_iter().nth(index)
        {
            record.dead = true;
            self.seen.saw("server: closes a connection");
        }
    }

    pub(crate) fn look_panics(&mut self, which: u8) {
        let mut ledger = self.server.ledger();
        let open: Vec<_> = ledger.open_records().collect();
        if let Some(index) = pick(which, open.len())
            && let Some(record) = open.into_iter().nth(index)
        {
            record.look_panics = true;
        }
    }

    pub(crate) fn drop_panics(&mut self, which: u8) {
        let mut ledger = self.server.ledger();
        let open: Vec<_> = ledger.open_records().collect();
        if let Some(index) = pick(which, open.len())
            && let Some(record) = open.into_iter().nth(index)
        {
            record.drop_panics = true;
        }
    }

    pub(crate) fn peers_close(&mut self) {
        let mut ledger = self.server.ledger();
        let unheld = ledger.open_records().filter(|record| !record.held);
        unheld.for_each(|record| record.dead = true);
    }

    /// Everybody who waits goes away, and then the last handle.
    pub(crate) async fn drop_all_handles(&mut self) -> Verdict {
        self.settle().await?;
        while !self.waiters.is_empty() {
            self.cancel(0).await?;
        }
        self.sync(true)?;
        self.errands.clear();
        self.drop_handles();
        self.model.closed = true;
        self.server.ledger().closed = true;
        self.settle().await
    }
}
