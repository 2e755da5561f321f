//! Five questions to a pool that you think of taking, asked of three pools in
//! virtual time.
//!
//! `cargo run --example candidates`

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const DEADLINE: Duration = Duration::from_millis(300);
const STEP: Duration = Duration::from_millis(100);

// ANCHOR: world
/// A server without a network: what its connections do is up to the questions.
#[derive(Default)]
struct World {
    /// Every connection from before the latest restart is dead.
    restarts: AtomicU64,
    checks_hang: AtomicBool,
    next_connect_panics: AtomicBool,
}

struct Connection {
    world: Arc<World>,
    born: u64,
}

impl World {
    async fn connect(self: &Arc<World>) -> Connection {
        sleep(Duration::from_millis(10)).await;
        assert!(
            !self.next_connect_panics.swap(false, Relaxed),
            "the driver has a bug"
        );
        Connection { world: Arc::clone(self), born: self.restarts.load(Relaxed) }
    }
}

impl Connection {
    fn is_dead(&self) -> bool {
        self.born < self.world.restarts.load(Relaxed)
    }

    async fn check(&self) -> Result<(), std::io::Error> {
        if self.world.checks_hang.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.is_dead() {
            Err(std::io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

/// What the questions need of a pool. Its acquires should end by `DEADLINE`, and
/// each step within one by `STEP`.
trait Candidate: Clone + Send + Sync + 'static {
    type Guard: std::ops::Deref<Target = Connection> + Send + 'static;
    fn new(world: Arc<World>, max: usize) -> impl Future<Output = Self> + Send;
    fn get(&self) -> impl Future<Output = Result<Self::Guard, String>> + Send;
}
// ANCHOR_END: world

// ANCHOR: fairness
/// A holder gives back and asks again at once. How often is it served before
/// somebody who waits already?
async fn fairness<C: Candidate>() -> Result<String, String> {
    let pool = C::new(Arc::default(), 1).await;
    let mut held = pool.get().await?;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    sleep(Duration::from_millis(1)).await;
    let mut overtakes = 0;
    while !waiter.is_finished() && overtakes < 1_000 {
        drop(held);
        held = pool.get().await?;
        sleep(Duration::from_millis(1)).await;
        overtakes += u32::from(!waiter.is_finished());
    }
    let served = waiter.await.map_err(|error| error.to_string())?;
    Ok(format!(
        "overtakes {overtakes} times; the waiter was served: {}",
        served.is_ok()
    ))
}
// ANCHOR_END: fairness

// ANCHOR: cancellation
/// Callers give up at every moment of a wait. Is the whole maximum still there?
async fn cancellation<C: Candidate>() -> Result<String, String> {
    let pool = C::new(Arc::default(), 4).await;
    let mut callers = JoinSet::new();
    for caller in 0..200 {
        let pool = pool.clone();
        callers.spawn(async move {
            let patience = Duration::from_millis(caller % 20);
            if let Ok(Ok(held)) = timeout(patience, pool.get()).await {
                sleep(Duration::from_millis(3)).await;
                drop(held);
            }
        });
    }
    callers.join_all().await;
    let mut held = Vec::new();
    while let Ok(guard) = pool.get().await {
        held.push(guard);
    }
    Ok(format!("{} of 4 can be held afterwards", held.len()))
}
// ANCHOR_END: cancellation

// ANCHOR: deadline
/// Idle connections hang when they are checked. How long does one acquire take?
async fn deadline<C: Candidate>() -> Result<String, String> {
    let world = Arc::new(World::default());
    let pool = C::new(Arc::clone(&world), 5).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(pool.get().await?);
    }
    drop(held);
    sleep(Duration::from_secs(1)).await;
    world.checks_hang.store(true, Relaxed);
    let start = Instant::now();
    let answer = if pool.get().await.is_ok() { "a connection" } else { "an error" };
    Ok(format!(
        "{answer} after {} ms, with a deadline of 300 ms",
        start.elapsed().as_millis()
    ))
}
// ANCHOR_END: deadline

// ANCHOR: dead
/// The server restarts while connections lie idle. What does the next caller get?
async fn dead<C: Candidate>() -> Result<String, String> {
    let world = Arc::new(World::default());
    let pool = C::new(Arc::clone(&world), 3).await;
    drop((pool.get().await?, pool.get().await?, pool.get().await?));
    world.restarts.fetch_add(1, Relaxed);
    let held = pool.get().await?;
    Ok(format!("handed out a dead connection: {}", held.is_dead()))
}
// ANCHOR_END: dead

// ANCHOR: panic
/// The first connect panics. Is there a connection for the next caller?
async fn panic<C: Candidate>() -> Result<String, String> {
    let world = Arc::new(World::default());
    let pool = C::new(Arc::clone(&world), 1).await;
    world.next_connect_panics.store(true, Relaxed);
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(drop) }
    });
    let first = match first.await {
        Ok(Ok(())) => "served",
        Ok(Err(_)) => "refused",
        Err(_) => "panicked",
    };
    let second = if pool.get().await.is_ok() { "served" } else { "refused" };
    Ok(format!("the first caller is {first}, the second {second}"))
}
// ANCHOR_END: panic

mod ours {
    use super::*;
    use poolhouse::{Manager, Pool, PoolConfig, PooledConnection};

    pub(super) struct Ours(Arc<World>);

    impl Manager for Ours {
        type Connection = Connection;
        type Error = std::io::Error;

        async fn connect(&self) -> Result<Connection, std::io::Error> {
            Ok(self.0.connect().await)
        }

        async fn check(
            &self,
            connection: &mut Connection,
        ) -> Result<(), std::io::Error> {
            connection.check().await
        }

        fn is_connected(&self, connection: &mut Connection) -> bool {
            !connection.is_dead()
        }
    }

    impl Candidate for Pool<Ours> {
        type Guard = PooledConnection<Ours>;

        async fn new(world: Arc<World>, max: usize) -> Self {
            let config = PoolConfig {
                min_connections: 0,
                max_connections: max,
                connection_timeout: DEADLINE,
                connect_attempt_timeout: STEP,
                health_check_timeout: STEP,
                // As the others do by default.
                check_after_idle: Duration::ZERO,
                ..PoolConfig::default()
            };
            Pool::new(Ours(world), config).expect("these options are possible")
        }

        async fn get(&self) -> Result<Self::Guard, String> {
            self.acquire().await.map_err(|error| error.to_string())
        }
    }
}

mod with_deadpool {
    use super::*;
    use deadpool::Runtime;
    use deadpool::managed::{
        Manager, Metrics, Object, Pool, RecycleError, RecycleResult,
    };

    pub(super) struct Theirs(Arc<World>);

    impl Manager for Theirs {
        type Type = Connection;
        type Error = std::io::Error;

        async fn create(&self) -> Result<Connection, std::io::Error> {
            Ok(self.0.connect().await)
        }

        async fn recycle(
            &self,
            connection: &mut Connection,
            _: &Metrics,
        ) -> RecycleResult<std::io::Error> {
            connection.check().await.map_err(RecycleError::Backend)
        }
    }

    impl Candidate for Pool<Theirs> {
        type Guard = Object<Theirs>;

        async fn new(world: Arc<World>, max: usize) -> Self {
            Pool::builder(Theirs(world))
                .max_size(max)
                .wait_timeout(Some(DEADLINE))
                .create_timeout(Some(STEP))
                .recycle_timeout(Some(STEP))
                .runtime(Runtime::Tokio1)
                .build()
                .expect("a runtime is set")
        }

        async fn get(&self) -> Result<Self::Guard, String> {
            Pool::get(self).await.map_err(|error| error.to_string())
        }
    }
}

mod with_bb8 {
    use super::*;
    use bb8::{ManageConnection, Pool, PooledConnection};

    pub(super) struct Theirs(Arc<World>);

    impl ManageConnection for Theirs {
        type Connection = Connection;
        type Error = std::io::Error;

        async fn connect(&self) -> Result<Connection, std::io::Error> {
            Ok(self.0.connect().await)
        }

        async fn is_valid(
            &self,
            connection: &mut Connection,
        ) -> Result<(), std::io::Error> {
            connection.check().await
        }

        fn has_broken(&self, connection: &mut Connection) -> bool {
            connection.is_dead()
        }
    }

    impl Candidate for Pool<Theirs> {
        type Guard = PooledConnection<'static, Theirs>;

        async fn new(world: Arc<World>, max: usize) -> Self {
            let max = u32::try_from(max).expect("a small pool");
            Pool::builder()
                .max_size(max)
                .connection_timeout(DEADLINE)
                .build_unchecked(Theirs(world))
        }

        async fn get(&self) -> Result<Self::Guard, String> {
            self.get_owned().await.map_err(|error| error.to_string())
        }
    }
}

async fn ask<C: Candidate>(name: &str) -> Result<(), Box<dyn Error>> {
    println!("== {name}");
    println!("fairness: {}", fairness::<C>().await?);
    println!("cancellation: {}", cancellation::<C>().await?);
    println!("deadline: {}", deadline::<C>().await?);
    println!("dead connections: {}", dead::<C>().await?);
    println!("panic: {}", panic::<C>().await?);
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    // The panics are part of the questions.
    std::panic::set_hook(Box::new(|_| {}));
    ask::<poolhouse::Pool<ours::Ours>>("poolhouse").await?;
    ask::<deadpool::managed::Pool<with_deadpool::Theirs>>("deadpool 0.13").await?;
    ask::<bb8::Pool<with_bb8::Theirs>>("bb8 0.9").await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
