//! A pool that resets each connection between two holders with a round trip, and says goodbye before it closes one.
//!
//! The server does to these what it does to every exchange: it is silent, late, or gone in the middle.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use poolhouse::{Dial, Event, PacketManager, Pool, PoolConfig};

use crate::common::{PacketPoolOf, question};

/// What has become of the sessions of one pool.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The connections that somebody has held.
    held_before: Mutex<HashSet<u64>>,
    reuses: AtomicU64,
    resets: AtomicU64,
    goodbyes: AtomicU64,
    /// More connections have been used again than have been reset.
    broken: AtomicBool,
}

impl Sessions {
    pub(crate) fn pool<D: Dial>(&self, manager: PacketManager<D>, config: PoolConfig) -> PacketPoolOf<D> {
        let (told, resets, goodbyes) = (self.clone(), self.clone(), self.clone());
        let pool = Pool::builder(manager)
            .config(config)
            .listener(move |event: &Event<'_>| told.hear(event))
            .on_return(move |connection, _| {
                let resets = resets.clone();
                Box::pin(async move {
                    let question = question(16);
                    connection.send_packet(question.clone()).await?;
                    if connection.receive().await? != question {
                        return Err("the answer belongs to another question".into());
                    }
                    resets.0.resets.fetch_add(1, SeqCst);
                    Ok(())
                })
            })
            .before_close(move |connection, _| {
                let goodbyes = goodbyes.clone();
                Box::pin(async move {
                    connection.send_packet(question(0)).await?;
                    goodbyes.0.goodbyes.fetch_add(1, SeqCst);
                    Ok(())
                })
            })
            .build();
        pool.expect("a possible pool")
    }

    fn hear(&self, event: &Event<'_>) {
        let inner = &self.0;
        let mut held_before = inner.held_before.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Acquired { connection, .. } if !held_before.insert(*connection) => {
                let reuses = inner.reuses.fetch_add(1, SeqCst) + 1;
                inner.broken.fetch_or(reuses > inner.resets.load(SeqCst), SeqCst);
            }
            Event::Retired { connection, .. } => {
                held_before.remove(connection);
            }
            _ => {}
        }
    }

    /// `reset.between`: nobody got a connection of another holder without a reset. That each reset was of the right one, the
    /// model-based test knows.
    pub(crate) fn assert_kept(&self) {
        let Inner { reuses, resets, broken, .. } = &*self.0;
        let (reuses, resets) = (reuses.load(SeqCst), resets.load(SeqCst));
        assert!(!broken.load(SeqCst), "reset.between: {reuses} uses after another, {resets} resets");
    }

    /// Every part has been tried.
    pub(crate) fn assert_tried(&self) {
        let Inner { reuses, resets, goodbyes, .. } = &*self.0;
        let tried = [reuses, resets, goodbyes].map(|count| count.load(SeqCst));
        assert!(tried.iter().all(|count| *count > 0), "uses after another, resets, goodbyes: {tried:?}");
    }
}
