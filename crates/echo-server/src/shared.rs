//! What the server, its connector and its connections share.
//!
//! Three watch channels hold it all: the faults in force, the counts, and the orders ("close what is open", "stop").
//! Nobody polls and nobody sleeps: a connection waits for its order, a test waits for its counts.
//!
//! Admission is decided under the lock of the counts, because that is where the number of open connections lives. An
//! order to stop is given first and the counts are read second, so a connection is either refused by the order or
//! seen by a task that waits for the last one to close.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use crate::codec::Budget;
use crate::{Counts, Faults};

pub(crate) struct Shared {
    pub(crate) faults: watch::Sender<Faults>,
    pub(crate) max_frame_length: usize,
    pub(crate) budget: Arc<Budget>,
    counts: watch::Sender<Counts>,
    orders: watch::Sender<Orders>,
    /// The latest payload received on any connection: what crosstalk answers with.
    latest_payload: Mutex<Option<Bytes>>,
}

#[derive(Clone, Copy, Default)]
struct Orders {
    /// Connections admitted under an earlier number must close.
    generation: u64,
    stopped: bool,
}

/// Why a connection was not admitted.
pub(crate) enum Turned {
    /// So many are open already.
    Full(u64),
    Stopped,
}

impl Shared {
    pub(crate) fn new(faults: Faults, max_frame_length: usize, max_buffered: usize) -> Arc<Shared> {
        Arc::new(Shared {
            faults: watch::Sender::new(faults),
            max_frame_length,
            budget: Budget::new(max_buffered),
            counts: watch::Sender::default(),
            orders: watch::Sender::default(),
            latest_payload: Mutex::new(None),
        })
    }

    /// Counts a new connection as accepted or as refused.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Admission, Turned> {
        let max = self.faults.borrow().max_connections;
        let orders = self.orders.subscribe();
        let mut admitted = Err(Turned::Stopped);
        self.counts.send_if_modified(|counts| {
            let now = *orders.borrow();
            admitted = match max {
                _ if now.stopped => Err(Turned::Stopped),
                Some(max) if counts.open >= max => {
                    counts.refused += 1;
                    Err(Turned::Full(counts.open))
                }
                _ => {
                    counts.accepted += 1;
                    counts.open += 1;
                    counts.peak_open = counts.peak_open.max(counts.open);
                    Ok((counts.accepted - 1, now.generation))
                }
            };
            !now.stopped
        });
        let (number, generation) = admitted?;
        Ok(Admission { shared: Arc::clone(self), number, generation })
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    pub(crate) async fn wait_for(&self, mut satisfied: impl FnMut(&Counts) -> bool) -> Counts {
        let mut changes = self.counts.subscribe();
        loop {
            // Copied out, so that the caller's closure runs outside the lock.
            let counts = *changes.borrow_and_update();
            if satisfied(&counts) {
                return counts;
            }
            changes.changed().await.expect("the sender is in self");
        }
    }

    pub(crate) fn disconnect_all(&self) {
        self.orders.send_modify(|orders| orders.generation += 1);
    }

    pub(crate) fn stop(&self) {
        self.orders.send_modify(|orders| orders.stopped = true);
    }

    /// Resolves when the server has been told to stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut orders = self.orders.subscribe();
        async move {
            // An error means that the server is gone altogether, which is an answer too.
            let _ = orders.wait_for(|orders| orders.stopped).await;
        }
    }
}

/// A connection's place among the open ones. Dropping it gives the place back, so its holder drops the stream
/// first.
pub(crate) struct Admission {
    shared: Arc<Shared>,
    /// How many connections the server had accepted before this one.
    pub(crate) number: u64,
    generation: u64,
}

impl Admission {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Resolves when the server wants this connection closed.
    pub(crate) fn dismissed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut orders = self.shared.orders.subscribe();
        let generation = self.generation;
        async move {
            let _ = orders.wait_for(|orders| orders.stopped || orders.generation != generation).await;
        }
    }

    /// Counts a frame received, and returns the payload received before it, on whichever connection.
    pub(crate) fn received(&self, payload: &Bytes) -> Option<Bytes> {
        self.shared.counts.send_modify(|counts| {
            counts.frames_received += 1;
            counts.bytes_received += payload.len() as u64;
        });
        let mut latest = self.shared.latest_payload.lock().unwrap_or_else(PoisonError::into_inner);
        latest.replace(payload.clone())
    }

    pub(crate) fn sending(&self, payload: &Bytes) {
        self.shared.counts.send_modify(|counts| {
            counts.frames_sent += 1;
            counts.bytes_sent += payload.len() as u64;
        });
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.counts.send_modify(|counts| counts.open -= 1);
    }
}
