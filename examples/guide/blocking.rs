//! Threads and async code on one server: which pool, where the blocking goes, and
//! what a blocked worker costs.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use poolhouse::{PacketManager, PacketPool, PoolConfig, blocking};
use poolhouse_echo::EchoServer;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: threads
fn on_threads(server: &EchoServer) -> Result<(), AnyError> {
    let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
    let pool = blocking::Pool::new(server.addr(), config)?;
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let pool = pool.clone();
            thread::spawn(move || -> Result<(), AnyError> {
                let mut connection = pool.acquire()?;
                connection.send_packet(format!("from thread {number}"))?;
                connection.receive()?;
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    let most = server.counts().peak_open;
    println!("8 threads were served, on two connections at most: {}", most <= 2);
    println!("closed: {}", pool.close_within(Duration::from_secs(5)).is_complete());
    Ok(())
}
// ANCHOR_END: threads

/// What takes the processor, or blocks the thread, for a while.
fn render(bytes: &[u8]) -> usize {
    MOST_AT_ONCE
        .fetch_max(RENDERING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(50));
    RENDERING.fetch_sub(1, Ordering::SeqCst);
    bytes.len()
}

static RENDERING: AtomicUsize = AtomicUsize::new(0);
static MOST_AT_ONCE: AtomicUsize = AtomicUsize::new(0);

async fn fetch(pool: &PacketPool) -> Result<bytes::Bytes, AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("a page").await?;
    Ok(connection.receive().await?)
}

// ANCHOR: across
async fn held_across(pool: PacketPool) -> Result<usize, AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("a page").await?;
    let page = connection.receive().await?;
    // Wrong: nobody else can have the connection meanwhile.
    let rendered = spawn_blocking(move || render(&page)).await?;
    drop(connection);
    Ok(rendered)
}
// ANCHOR_END: across

// ANCHOR: apart
async fn held_apart(pool: PacketPool) -> Result<usize, AnyError> {
    let page = fetch(&pool).await?;
    // The connection went back at the end of `fetch`.
    Ok(spawn_blocking(move || render(&page)).await?)
}
// ANCHOR_END: apart

/// Blocks the worker itself.
async fn on_the_worker(pool: PacketPool) -> Result<usize, AnyError> {
    let page = fetch(&pool).await?;
    Ok(render(&page))
}

/// Whether eight of them rendered one at a time, or more.
async fn eight<F>(work: impl Fn() -> F) -> Result<&'static str, AnyError>
where
    F: Future<Output = Result<usize, AnyError>> + Send + 'static,
{
    MOST_AT_ONCE.store(0, Ordering::SeqCst);
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(work())).collect();
    for task in tasks {
        task.await??;
    }
    Ok(if MOST_AT_ONCE.load(Ordering::SeqCst) > 1 {
        "together"
    } else {
        "one by one"
    })
}

async fn in_async_code(server: &EchoServer) -> Result<(), AnyError> {
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let pool = PacketPool::new(server.addr(), config)?;
    let how = eight(|| held_across(pool.clone())).await?;
    println!("holding the connection meanwhile: 8 pages are rendered {how}");
    let how = eight(|| held_apart(pool.clone())).await?;
    println!("giving it back first: 8 pages are rendered {how}");
    let how = eight(|| on_the_worker(pool.clone())).await?;
    println!("without spawn_blocking, on one worker: {how}");
    Ok(())
}

/// What happens to a caller of the blocking pool in `async` code.
async fn mistaken(pool: &blocking::Pool<PacketManager>) -> Result<(), AnyError> {
    let mistake = || pool.acquire().map(drop);
    match catch_unwind(AssertUnwindSafe(mistake)) {
        Ok(_) => Err("it blocked a worker".into()),
        Err(panic) => {
            println!(
                "{}",
                panic.downcast_ref::<&str>().unwrap_or(&"a panic without words")
            );
            Ok(())
        }
    }
}

fn from_sync_code(runtime: &Runtime, server: &EchoServer) -> Result<(), AnyError> {
    let pool = PacketPool::new(server.addr(), PoolConfig::default())?;
    // ANCHOR: handle
    let handle = runtime.handle().clone();
    let worker =
        thread::spawn(move || handle.block_on(fetch(&pool)).map(|page| page.len()));
    let length = worker.join().map_err(|_| "the thread panicked")??;
    // ANCHOR_END: handle
    println!("a thread outside of the runtime got {length} bytes");
    Ok(())
}

fn run() -> Result<(), AnyError> {
    let servers =
        Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = servers.block_on(EchoServer::start())?;
    println!("== threads that have no runtime");
    on_threads(&server)?;
    println!("== async code on one worker, with one connection");
    let runtime =
        Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(in_async_code(&server))?;
    println!("== the blocking pool in async code");
    let pool = blocking::Pool::new(server.addr(), PoolConfig::default())?;
    runtime.block_on(mistaken(&pool))?;
    println!("== sync code beside a runtime");
    from_sync_code(&runtime, &server)
}

fn main() -> ExitCode {
    // The one panic is meant, and printed.
    std::panic::set_hook(Box::new(|_| {}));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
