//! What a pool leaves behind when it ends: nothing. Its connections, its manager and its listener go with the
//! last handle or holder, and the next pool begins from nothing.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use poolhouse::{Event, Manager, Pool, PooledConnection};
use tokio::runtime::Builder;

use crate::common::{Mock, config, in_time, poll_once, pool, settle};

/// Connections that count themselves, and with the manager and the listener how many parts of the pool are left.
#[derive(Clone, Default)]
struct Parts(Arc<AtomicUsize>);

struct Part(Arc<AtomicUsize>);

impl Parts {
    fn one(&self) -> Part {
        self.0.fetch_add(1, SeqCst);
        Part(Arc::clone(&self.0))
    }

    /// The connections, and all that shares the count: this, the manager, the listener.
    fn left(&self) -> (usize, usize) {
        (self.0.load(SeqCst), Arc::strong_count(&self.0))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Manager for Parts {
    type Connection = Part;
    type Error = Infallible;

    async fn connect(&self) -> Result<Part, Infallible> {
        Ok(self.one())
    }
}

fn pool_of(parts: &Parts, max: usize) -> Pool<Parts> {
    let told = parts.clone();
    let listener = move |_: &Event<'_>| assert!(told.left().1 >= 2, "the pool has the manager, and this");
    Pool::builder(parts.clone()).config(config(max)).listener(listener).build().unwrap()
}

/// close.complete: with the last handle idle connections go at once, and what is held when it comes back; then nothing is
/// left of the pool.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_pool() {
    let parts = Parts::default();
    let pool = pool_of(&parts, 3);
    let (held, mine) =
        (pool.acquire().await.unwrap(), PooledConnection::detach(pool.acquire().await.unwrap()));
    let idle = pool.acquire().await.unwrap();
    drop(idle);
    assert_eq!(parts.left().0, 3);
    drop(pool);
    settle().await;
    assert_eq!(parts.left().0, 2, "the idle one has gone, the held one and the detached one have not");
    drop(held);
    settle().await;
    assert_eq!(parts.left(), (1, 2), "the detached one is nobody's");
    drop(mine);
    assert_eq!(parts.left(), (0, 1));
}

/// close.complete: one that never connected, one whose connects are under way, and one that ends in the middle of a wait.
#[tokio::test(start_paused = true)]
async fn nor_of_a_pool_that_ends_early() {
    let parts = Parts::default();
    drop(pool_of(&parts, 1));
    assert_eq!(parts.left(), (0, 1));
    let pool = pool_of(&parts, 1);
    let waiter =
        tokio::spawn(async move { pool.acquire().await.map(|connection| PooledConnection::id(&connection)) });
    tokio::task::yield_now().await;
    waiter.abort();
    settle().await;
    assert_eq!(parts.left(), (0, 1));
}

/// close.complete: an acquire that was forgotten instead of dropped keeps nothing open, though it had been served.
#[tokio::test(start_paused = true)]
async fn nor_of_one_whose_acquire_was_forgotten() {
    let parts = Parts::default();
    let pool = pool_of(&parts, 1);
    let held = pool.acquire().await.unwrap();
    {
        let mut acquire = Box::pin(pool.acquire());
        assert!(poll_once(acquire.as_mut()).await.is_pending());
        drop(held);
        std::mem::forget(acquire);
    }
    drop(pool);
    settle().await;
    assert_eq!(parts.left(), (0, 1));
}

/// stats.consistent: a pool takes the memory of one that has ended, and nothing else of it.
#[tokio::test(start_paused = true)]
async fn a_pool_begins_from_nothing() {
    for round in 0..20 {
        let mock = Mock::ok();
        let pool = pool(&mock, config(2));
        let fresh = pool.stats();
        let all = [fresh.total_connections, fresh.pending_requests, fresh.checking, fresh.connecting];
        assert_eq!((all, fresh.total_acquisitions, fresh.wait_times.count()), ([0; 4], 0, 0), "{round}");
        let first = pool.acquire().await.unwrap();
        assert_eq!(PooledConnection::id(&first), 1);
        let _second = pool.acquire().await.unwrap();
        // The next round finds a pool that has ended with a waiter, one that is suspended, and one whose epoch is not the
        // first.
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        settle().await;
        match round % 3 {
            0 => drop(waiter),
            1 => pool.suspend(),
            _ => pool.invalidate_all(),
        }
    }
}

/// release.anywhere: connections come back on other threads while the pool ends on this one, and other pools begin. Real
/// threads, for the order is the operating system's.
#[test]
fn released_while_the_pool_ends() {
    in_time(|| {
        let parts = Parts::default();
        for round in 0..300 {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let pool = pool_of(&parts, 4);
            let held: Vec<_> = runtime.block_on(async {
                let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
                drop(pool.acquire().await.unwrap());
                vec![first, second]
            });
            let start = Arc::new(Barrier::new(4));
            let mut threads: Vec<_> = held
                .into_iter()
                .map(|connection| {
                    let start = Arc::clone(&start);
                    thread::spawn(move || {
                        start.wait();
                        drop(connection);
                    })
                })
                .collect();
            threads.push(thread::spawn({
                let (start, parts) = (Arc::clone(&start), parts.clone());
                move || {
                    start.wait();
                    let next = pool_of(&parts, 1);
                    assert_eq!(next.stats().total_connections, 0);
                    assert!(next.try_acquire().is_none());
                }
            }));
            start.wait();
            drop(pool);
            for thread in threads {
                thread.join().unwrap();
            }
            drop(runtime);
            assert_eq!(parts.left(), (0, 1), "round {round}");
        }
    });
}
