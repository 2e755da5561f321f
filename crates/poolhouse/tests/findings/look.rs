//! `health.known_dead`, to the millisecond: a connection whose end had arrived a millisecond before it is handed out is
//! never handed out, and one that was looked at less than a millisecond ago is handed out without another look.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolhouse::{IdleOrder, Manager, Pool, PoolConfig};
use tokio::time::{Instant, advance};

use crate::common::{config, ms, poll_once, secs};
use crate::support::granted;

fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Counts its looks, and knows when each connection ends.
#[derive(Clone, Default)]
struct Watched(Arc<Watch>);

#[derive(Default)]
struct Watch {
    next: AtomicU64,
    looks: AtomicUsize,
    ends: Mutex<HashMap<u64, Instant>>,
}

impl Watched {
    fn looks(&self) -> usize {
        self.0.looks.load(SeqCst)
    }

    /// The end of a connection arrives now.
    fn end(&self, connection: u64) {
        self.end_at(connection, Instant::now());
    }

    fn end_at(&self, connection: u64, at: Instant) {
        self.0.ends.lock().unwrap().insert(connection, at);
    }
}

impl Manager for Watched {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.next.fetch_add(1, SeqCst) + 1)
    }

    fn is_connected(&self, connection: &mut u64) -> bool {
        self.0.looks.fetch_add(1, SeqCst);
        self.0.ends.lock().unwrap().get(connection).is_none_or(|end| *end > Instant::now())
    }
}

/// A pool with one idle connection, the number 1, at which nobody has looked for a while.
async fn rested(watched: &Watched, config: PoolConfig) -> Pool<Watched> {
    let pool = Pool::new(watched.clone(), config).unwrap();
    drop(pool.acquire().await.unwrap());
    advance(ms(5)).await;
    pool
}

/// health.known_dead: two acquires in the same instant look once; a millisecond later they look again.
#[tokio::test(start_paused = true)]
async fn two_acquires_in_the_same_instant_look_once() {
    let watched = Watched::default();
    let pool = rested(&watched, config(1)).await;
    for round in 0..3 {
        let before = watched.looks();
        drop(pool.acquire().await.unwrap());
        assert_eq!(watched.looks(), before + 1, "round {round}: after a rest it looks");
        for _ in 0..3 {
            drop(pool.acquire().await.unwrap());
            drop(pool.try_acquire().unwrap());
        }
        assert_eq!(watched.looks(), before + 1, "round {round}: it was looked at in this instant");
        advance(ms(1)).await;
    }
}

/// health.known_dead: a look is good for less than a millisecond, counted from the look: not from the release, and not from
/// the last hand-out.
#[tokio::test(start_paused = true)]
async fn a_look_is_good_for_less_than_a_millisecond() {
    let watched = Watched::default();
    let pool = rested(&watched, config(1)).await;
    let begin = Instant::now();
    drop(pool.acquire().await.unwrap());
    let looks = watched.looks();
    advance(us(600)).await;
    drop(pool.acquire().await.unwrap());
    assert_eq!(watched.looks(), looks, "{:?} after the look", begin.elapsed());
    advance(us(399)).await;
    drop(pool.acquire().await.unwrap());
    assert_eq!(watched.looks(), looks, "{:?} after the look", begin.elapsed());
    advance(us(1)).await;
    drop(pool.acquire().await.unwrap());
    assert_eq!(watched.looks(), looks + 1, "{:?} after the look", begin.elapsed());
}

/// health.known_dead: a new connection is looked at once before its first use, and not again in the same instant.
#[tokio::test(start_paused = true)]
async fn a_new_connection_is_looked_at_once() {
    let watched = Watched::default();
    let pool = Pool::new(watched.clone(), config(2)).unwrap();
    let first = pool.acquire().await.unwrap();
    assert_eq!(watched.looks(), 1);
    let _second = pool.acquire().await.unwrap();
    assert_eq!(watched.looks(), 2);
    drop(first);
    drop(pool.try_acquire().unwrap());
    assert_eq!(watched.looks(), 2);
}

/// health.known_dead: for every instant of an end and of a hand-out after a look, in steps of a quarter of a millisecond: one
/// whose end has arrived a millisecond before is not handed out, by any way to acquire.
#[tokio::test(start_paused = true)]
async fn an_end_a_millisecond_before_the_hand_out_is_known() {
    const STEP: u64 = 250;
    for way in ["acquire", "try_acquire", "waiter"] {
        for end in 0..=12 {
            for hand_out in 0..=16 {
                let context =
                    format!("{way}: end after {} us, hand-out after {} us", end * STEP, hand_out * STEP);
                let watched = Watched::default();
                let pool = rested(&watched, config(1)).await;
                // Looked at now; nobody looks again until the hand-out.
                let mut held = Some(pool.acquire().await.unwrap());
                let look = Instant::now();
                watched.end_at(1, look + us(end * STEP));
                let mut waiter = pin!(pool.acquire());
                if way == "waiter" {
                    assert!(poll_once(waiter.as_mut()).await.is_pending());
                } else {
                    held = None;
                }
                advance(us(hand_out * STEP)).await;
                let before = watched.looks();
                drop(held);
                let id = match way {
                    "try_acquire" => pool.try_acquire().map(|connection| *connection),
                    "waiter" => Some(*waiter.await.unwrap()),
                    _ => Some(*pool.acquire().await.unwrap()),
                };
                if hand_out >= end + 4 {
                    assert_ne!(id, Some(1), "{context}: it is known to be dead");
                } else if hand_out < 4 {
                    assert_eq!(id, Some(1), "{context}: it was looked at just now");
                    assert_eq!(watched.looks(), before, "{context}: it was looked at just now");
                } else {
                    assert_eq!(id == Some(1), hand_out < end, "{context}: a look says");
                }
            }
        }
    }
}

/// health.known_dead: after a long hold, in which nobody looked, an end that came during it is known; also to a waiter that
/// gets the connection straight from its holder.
#[tokio::test(start_paused = true)]
async fn an_end_during_a_long_hold_is_known() {
    for waits in [false, true] {
        for age in [ms(1), ms(10), secs(9)] {
            let watched = Watched::default();
            let pool = rested(&watched, config(1)).await;
            let held = pool.acquire().await.unwrap();
            advance(secs(10) - age).await;
            watched.end(1);
            let mut waiter = pin!(pool.acquire());
            if waits {
                assert!(poll_once(waiter.as_mut()).await.is_pending());
            }
            advance(age).await;
            drop(held);
            let next = *waiter.await.unwrap();
            assert_eq!(next, 2, "waits: {waits}, dead for {age:?}");
        }
    }
}

/// health.known_dead: what was looked at is the connection, not the pool: another one has its own look.
#[tokio::test(start_paused = true)]
async fn each_connection_has_its_own_look() {
    let watched = Watched::default();
    let pool = Pool::new(watched.clone(), PoolConfig { idle_order: IdleOrder::Fifo, ..config(2) }).unwrap();
    let both = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(both);
    advance(ms(5)).await;
    let before = watched.looks();
    let first = *pool.acquire().await.unwrap();
    let second = *pool.acquire().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(watched.looks(), before + 2);
}

/// health.known_dead: a connection that was found dead is looked at once, and the acquire goes on to the next at once.
#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_passed_over_in_the_same_poll() {
    let watched = Watched::default();
    let pool = Pool::new(watched.clone(), config(2)).unwrap();
    let both = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(both);
    watched.end(2);
    watched.end(1);
    watched.0.ends.lock().unwrap().remove(&1);
    advance(ms(1)).await;
    let before = watched.looks();
    let mut acquire = pin!(pool.acquire());
    assert_eq!(*granted(poll_once(acquire.as_mut()).await), 1);
    assert!(watched.looks() <= before + 2);
}

/// The server's end of a connection, and a second handle of the pool's.
#[cfg(feature = "net")]
type Ends = (std::net::TcpStream, socket2::Socket);

/// How the server ends a connection.
#[derive(Debug, Clone, Copy)]
#[cfg(feature = "net")]
enum End {
    Fin,
    Reset,
}

/// Dials, and keeps a second handle of each socket, so that the test sees when an end has arrived there. What else arrives
/// at the same time says nothing of it: on a busy machine the system delivers from several processors.
#[derive(Clone)]
#[cfg(feature = "net")]
struct Overseen {
    dialer: poolhouse::TcpDialer,
    sockets: Arc<Mutex<Vec<socket2::Socket>>>,
}

#[cfg(feature = "net")]
impl poolhouse::Dial for Overseen {
    type Stream = tokio::net::TcpStream;

    async fn dial(&self) -> std::io::Result<Self::Stream> {
        let stream = self.dialer.dial().await?;
        self.sockets.lock().unwrap().push(socket2::SockRef::from(&stream).try_clone()?);
        Ok(stream)
    }

    fn is_quiet(&self, stream: &Self::Stream) -> Option<bool> {
        self.dialer.is_quiet(stream)
    }
}

/// The server's side of one connection, which a thread ends at an instant of the test's choice.
#[cfg(feature = "net")]
struct Ended {
    /// When the end had arrived.
    at: Arc<Mutex<Option<std::time::Instant>>>,
    thread: std::thread::JoinHandle<()>,
}

#[cfg(feature = "net")]
impl Ended {
    fn after(wait: Duration, (theirs, ours): Ends, end: End, ready: Arc<AtomicBool>) -> Self {
        let at = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&at);
        let thread = std::thread::spawn(move || {
            while !ready.load(SeqCst) {
                std::thread::yield_now();
            }
            let begin = std::time::Instant::now();
            while begin.elapsed() < wait {
                std::hint::spin_loop();
            }
            if let End::Reset = end {
                socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(theirs);
            let blocks = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            while ours.peek(&mut [std::mem::MaybeUninit::uninit()]).is_err_and(blocks) {
                std::thread::yield_now();
            }
            *noted.lock().unwrap() = Some(std::time::Instant::now());
        });
        Self { at, thread }
    }

    /// Whether it had arrived a millisecond before `asked`.
    fn is_known(&self, asked: std::time::Instant) -> bool {
        self.at.lock().unwrap().is_some_and(|at| asked.checked_duration_since(at) >= Some(ms(1)))
    }
}

/// health.known_dead: on real sockets, a server that hangs up at any instant from three milliseconds before a hand-out to
/// three after it, while the pool is used all the time and after a long hold without any exchange.
#[cfg(feature = "net")]
#[test]
fn a_server_that_hangs_up_around_a_hand_out_is_known() {
    crate::support::bounded(secs(60), || {
        let runtime = crate::support::one_thread();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let dialer = poolhouse::TcpDialer::from(listener.local_addr().unwrap());
            let overseen = Overseen { dialer, sockets: Arc::default() };
            let pool = Pool::new(poolhouse::PacketManager::new(overseen.clone()), config(1)).unwrap();
            let connection = runtime.block_on(pool.acquire()).unwrap();
            let (theirs, _) = listener.accept().unwrap();
            drop(connection);
            let ours = overseen.sockets.lock().unwrap().pop().unwrap();
            (pool, (theirs, ours))
        };
        for end in [End::Fin, End::Reset] {
            for step in 0..=24 {
                let offset = us(step * 250);
                // Busy: a look is never older than the last hand-out, until one finds it dead.
                let (pool, ends) = connect();
                let ready = Arc::new(AtomicBool::new(false));
                let ended = Ended::after(offset, ends, end, Arc::clone(&ready));
                ready.store(true, SeqCst);
                let begin = std::time::Instant::now();
                loop {
                    let asked = std::time::Instant::now();
                    let known = ended.is_known(asked);
                    match pool.try_acquire() {
                        Some(connection) => {
                            assert!(
                                !known,
                                "{end:?} after {offset:?}: handed out {:?} later",
                                begin.elapsed()
                            );
                            drop(connection);
                        }
                        None => break,
                    }
                    assert!(begin.elapsed() < secs(20), "its end is never noticed");
                }
                ended.thread.join().unwrap();

                // Three milliseconds from the last look to a hand-out, and the end somewhere around it.
                let (pool, ends) = connect();
                let ended = Ended::after(offset, ends, end, Arc::clone(&ready));
                let begin = std::time::Instant::now();
                drop(pool.try_acquire());
                while begin.elapsed() < ms(3) {
                    std::hint::spin_loop();
                }
                let known = ended.is_known(std::time::Instant::now());
                let taken = pool.try_acquire();
                assert!(!known || taken.is_none(), "{end:?} after {offset:?}: handed out after a rest");
                drop(taken);
                ended.thread.join().unwrap();

                // A long hold without any exchange, which ends with a hand-out to the next caller.
                let (pool, ends) = connect();
                let ended = Ended::after(offset, ends, end, Arc::clone(&ready));
                let held = pool.try_acquire();
                let begin = std::time::Instant::now();
                while begin.elapsed() < ms(8) {
                    std::thread::yield_now();
                }
                drop(held);
                let known = ended.is_known(std::time::Instant::now());
                let taken = pool.try_acquire();
                assert!(!known || taken.is_none(), "{end:?} after {offset:?}: handed out after a long hold");
                drop(taken);
                ended.thread.join().unwrap();
            }
        }
    });
}
