//! Every competitor is a pool: else its figures mean nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolhouse_bench::competitor::{Acquire, Contender, Kind, Source, Visitor, Waiting, filled};
use poolhouse_bench::{competitors, runtime};
use tokio::time::timeout;

const MAX: usize = 3;
/// Long enough that an acquire which does not wait has ended, and no more than that.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(10);

/// Numbers the connections that it opens.
#[derive(Debug)]
struct Numbered(Arc<AtomicUsize>);

impl Source for Numbered {
    type Connection = usize;

    async fn open(&self) -> io::Result<usize> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Runs a check on each competitor. Those that are compiled out are not missed: the list says who is there.
struct Check<F>(F, usize);

trait Case {
    async fn check<K: Kind>(&self);
}

impl<F: Case> Visitor for Check<F> {
    fn visit<K: Kind>(&mut self) {
        runtime::pinned(2).block_on(self.0.check::<K>());
        self.1 += 1;
    }
}

fn each(case: impl Case) {
    let mut check = Check(case, 0);
    competitors::each(&mut check);
    assert!(check.1 >= 4, "the competitors without peers are four");
}

async fn all_held<K: Kind>()
-> (Arc<K::Pool<Numbered>>, Vec<<K::Pool<Numbered> as Acquire>::Guard>, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let pool = filled::<K, _>(Numbered(Arc::clone(&opened)), MAX).await;
    let mut held = Vec::new();
    for _ in 0..MAX {
        held.push(timeout(LONG, pool.acquire()).await.unwrap_or_else(|_| panic!("{}", K::about().id)));
    }
    (pool, held, opened)
}

#[test]
fn a_pool_has_no_more_connections_than_its_maximum() {
    struct Bounded;
    impl Case for Bounded {
        async fn check<K: Kind>(&self) {
            let id = K::about().id;
            let (pool, mut held, opened) = all_held::<K>().await;
            let mut numbers: Vec<usize> =
                held.iter_mut().map(|guard| *<K::Pool<_> as Contender<_>>::connection(guard)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), MAX, "{id} hands out a connection twice");
            assert_eq!(opened.load(Ordering::Relaxed), MAX, "{id} opens as many as it may");
            if K::WAITING == Waiting::Async {
                let another = timeout(SHORT, pool.acquire()).await;
                assert!(another.is_err(), "{id} does not make the acquire beyond its maximum wait");
                assert_eq!(opened.load(Ordering::Relaxed), MAX, "{id} opens more than it may");
            }
        }
    }
    each(Bounded);
}

#[test]
fn a_connection_that_is_dropped_goes_to_whoever_waits() {
    struct Returned;
    impl Case for Returned {
        async fn check<K: Kind>(&self) {
            let id = K::about().id;
            if K::WAITING != Waiting::Async {
                return;
            }
            let (pool, mut held, opened) = all_held::<K>().await;
            let waiting = tokio::spawn({
                let pool = Arc::clone(&pool);
                async move { pool.acquire().await }
            });
            tokio::task::yield_now().await;
            let mut last = held.pop().expect("all are held");
            let number = *<K::Pool<_> as Contender<_>>::connection(&mut last);
            drop(last);
            let mut got =
                timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{id} serves nobody")).unwrap();
            assert_eq!(*<K::Pool<_> as Contender<_>>::connection(&mut got), number, "{id}");
            assert_eq!(opened.load(Ordering::Relaxed), MAX, "{id} reconnects for a return");
        }
    }
    each(Returned);
}

#[test]
fn ids_are_unique_and_versions_are_known() {
    let all = competitors::all();
    let mut ids: Vec<&str> = all.iter().map(|about| about.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    for about in &all {
        assert!(about.version.contains('.'), "{} has version {:?}", about.id, about.version);
        assert!(about.setup.ends_with('.'), "{}", about.id);
        assert!(["pool", "baseline", "floor"].contains(&about.kind), "{}", about.id);
    }
}
