//! No wake-up of the background is lost on a busy machine.
//!
//! A module of its own for its name: the tests begin in the order of their names. This one takes eight seconds on any
//! machine, and the next ones, those of `time`, lie idle for most of theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use tokio::runtime::Builder;

use crate::common::{Mock, config, pool, secs};
use crate::support::bounded;

/// Threads that do nothing but keep the machine busy, until this is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn new(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    while !stop.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// acquire.deadline, acquire.race: no wake-up of the background is lost. Three tasks whose connections are all
/// invalidated, on a busy machine; nobody waits for as long as three seconds. Real threads, for a lost wake-up is a race.
#[test]
fn no_wake_up_is_lost_where_every_connection_is_invalidated() {
    bounded(secs(60), || {
        let _busy = Busy::new(3);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let pool = pool(&Mock::ok(), config(10));
        let (end, uses) = (Instant::now() + secs(8), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (pool, uses) = (pool.clone(), Arc::clone(&uses));
                runtime.spawn(async move {
                    while Instant::now() < end {
                        match pool.acquire_within(secs(3)).await {
                            Ok(connection) => connection.invalidate(),
                            Err(error) => return Err(error.to_string()),
                        }
                        uses.fetch_add(1, SeqCst);
                    }
                    Ok(())
                })
            })
            .collect();
        for task in tasks {
            let ended = runtime.block_on(task).unwrap();
            assert_eq!(ended, Ok(()), "after {} uses", uses.load(SeqCst));
        }
    });
}
