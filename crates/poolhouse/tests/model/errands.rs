//! What somebody waits for besides a connection: `warm_up`, `close` and `close_within`.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use poolhouse::{AcquireError, CloseReport};
use tokio::time::Instant;

use crate::ensure;
use crate::quiet::Polled;
use crate::reference::Verdict;
use crate::world::{World, pick};

/// A `warm_up` or a `close` under way.
pub(crate) struct Running {
    pub(crate) what: Errand,
    pub(crate) future: Polled<Ended>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Errand {
    /// A patient one, `warm_up_within`, lives with failures that pass.
    WarmUp {
        patient: bool,
        failures: u64,
        deadline: Option<Instant>,
    },
    Close,
    CloseWithin {
        until: Instant,
    },
    Drained,
    CheckNow {
        since: Instant,
    },
}

pub(crate) enum Ended {
    WarmUp(Result<(), AcquireError>),
    Close(Option<CloseReport>),
    CheckNow,
}

impl World<'_> {
    pub(crate) fn warm_up(&mut self) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        let what = self.warming_up(false, self.options.connection_timeout);
        self.run(what, async move { Ended::WarmUp(pool.warm_up().await) })
    }

    pub(crate) fn warm_up_within(&mut self, limit: Duration) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        let what = self.warming_up(true, limit);
        self.run(what, async move { Ended::WarmUp(pool.warm_up_within(limit).await) })
    }

    fn warming_up(&mut self, patient: bool, limit: Duration) -> Errand {
        self.background = true;
        let failures = self.server.ledger().failed_connects;
        let deadline = (limit != Duration::MAX).then(|| Instant::now() + limit);
        Errand::WarmUp { patient, failures, deadline }
    }

    pub(crate) fn drained(&mut self) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        self.run(Errand::Drained, async move {
            pool.drained().await;
            Ended::Close(None)
        })
    }

    /// `limit` for `close_within`.
    pub(crate) async fn close(&mut self, limit: Option<Duration>) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        // The call closes, whether or not anybody awaits what it returns.
        drop(pool.close());
        ensure!(pool.is_closed(), "close.complete: a call of close does not close");
        let server = self.server.clone();
        self.model.recall(|| server.ledger().join());
        self.model.close(Instant::now());
        self.server.ledger().closed = true;
        self.check(false)?;
        match limit {
            None => self.run(Errand::Close, async move {
                pool.close().await;
                Ended::Close(None)
            })?,
            Some(limit) => {
                let until = Instant::now() + limit;
                self.run(Errand::CloseWithin { until }, async move {
                    Ended::Close(Some(pool.close_within(limit).await))
                })?;
            }
        }
        // Before time passes: an attempt that is given up late looks like one that timed out.
        self.settle().await
    }

    pub(crate) fn run(&mut self, what: Errand, future: impl Future<Output = Ended> + 'static) -> Verdict {
        self.errands.push(Running { what, future: Polled::new(future) });
        self.poll_errand(self.errands.len() - 1)
    }

    pub(crate) fn poll_errand(&mut self, index: usize) -> Verdict {
        let Poll::Ready(ended) = self.errands[index].future.poll() else { return Ok(()) };
        let what = self.errands.remove(index).what;
        let (Some(pool), now) = (self.pool(), Instant::now()) else { return Ok(()) };
        let stats = pool.stats();
        let nothing_left = self.server.ledger().live() + stats.total_connections + stats.connecting == 0;
        let (right, seen) = match (what, ended) {
            (Errand::WarmUp { patient, failures, .. }, Ended::WarmUp(Ok(()))) => {
                let after_failure = patient && stats.failed_connects > failures;
                let seen =
                    if after_failure { "warm_up_within: done after a failure" } else { "warm_up: done" };
                (self.model.is_warm(&stats), seen)
            }
            (Errand::WarmUp { .. }, Ended::WarmUp(Err(AcquireError::Closed { .. }))) => {
                (self.model.closed, "warm_up: closed")
            }
            (Errand::WarmUp { patient, failures, .. }, Ended::WarmUp(Err(AcquireError::Connect(_)))) => {
                let failed = stats.failed_connects > failures;
                let permanent = self.server.ledger().happened.permanent > 0;
                if patient {
                    (permanent && failed, "warm_up_within: a permanent failure")
                } else {
                    (failed, "warm_up: a failed connect")
                }
            }
            (Errand::WarmUp { patient, deadline, .. }, Ended::WarmUp(Err(AcquireError::Timeout(_)))) => {
                let seen = if patient { "warm_up_within: timed out" } else { "warm_up: timed out" };
                (deadline.is_some_and(|deadline| deadline <= now), seen)
            }
            (Errand::Drained, Ended::Close(None)) => (nothing_left, "drained"),
            (Errand::Close, Ended::Close(None)) => (nothing_left, "close: complete"),
            (Errand::CloseWithin { .. }, Ended::Close(Some(report))) if report.is_complete() => {
                (nothing_left, "close_within: complete")
            }
            (Errand::CheckNow { since }, Ended::CheckNow) => {
                let out_of_service = self.model.closed || self.model.suspended;
                // What is served and not picked up, or left to the background to close, cannot be told from what is idle.
                let ledger = self.server.ledger();
                let others = stats.active_connections - self.held.len() + ledger.left_to_close;
                let none = ledger.unproven_since(since) <= others;
                (out_of_service || none, "check_now")
            }
            (Errand::CloseWithin { until }, Ended::Close(Some(report))) => {
                let listed = report.still_held.len() == stats.active_connections;
                (until <= now && listed, "close_within: still held")
            }
            _ => (false, "errand: dropped"),
        };
        ensure!(right, "close.complete, size.min: {what:?} ends too early or wrongly ({seen}): {stats:?}");
        self.seen.saw(seen);
        Ok(())
    }

    pub(crate) fn drop_errand(&mut self, which: u8) {
        if let Some(index) = pick(which, self.errands.len()) {
            self.seen.saw("errand: dropped");
            self.errands.remove(index);
        }
    }
}
