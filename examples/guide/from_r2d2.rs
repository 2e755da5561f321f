//! One program three times: with r2d2, with the same manager in poolhouse, and
//! with a manager of poolhouse's own. Threads, a client that blocks, and no async
//! code but in poolhouse's own manager.
//!
//! `cargo run --example from_r2d2`

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use poolhouse_echo::EchoServer;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: connection
/// A connection to the echo server. It blocks, and knows whether an exchange is
/// half done.
struct Echo {
    stream: TcpStream,
    busy: bool,
}

impl Echo {
    fn connect(address: SocketAddr) -> io::Result<Echo> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Echo { stream, busy: false })
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.busy = true;
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        self.stream.write_all(&length.to_be_bytes())?;
        self.stream.write_all(request)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > 65_536 {
            return Err(io::Error::other("a reply of more than 64 KiB"));
        }
        let mut reply = vec![0; length as usize];
        self.stream.read_exact(&mut reply)?;
        self.busy = false;
        Ok(reply)
    }

    /// Whether nothing has arrived on it: neither the end of the stream nor a byte
    /// that nobody asked for.
    fn is_quiet(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }
}
// ANCHOR_END: connection

// ANCHOR: before
mod before {
    use super::*;
    use r2d2::{ManageConnection, Pool};

    pub(super) struct EchoManager(pub(super) SocketAddr);

    impl ManageConnection for EchoManager {
        type Connection = Echo;
        type Error = io::Error;

        fn connect(&self) -> io::Result<Echo> {
            Echo::connect(self.0)
        }

        fn is_valid(&self, echo: &mut Echo) -> io::Result<()> {
            echo.exchange(b"are you there").map(drop)
        }

        fn has_broken(&self, echo: &mut Echo) -> bool {
            echo.busy
        }
    }

    pub(super) fn pool(address: SocketAddr) -> Result<Pool<EchoManager>, AnyError> {
        let pool = Pool::builder()
            .max_size(4)
            .min_idle(Some(1))
            .connection_timeout(Duration::from_secs(5))
            .build(EchoManager(address))?;
        Ok(pool)
    }

    pub(super) fn request(
        pool: &Pool<EchoManager>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.get()?;
        Ok(echo.exchange(text.as_bytes())?)
    }
}
// ANCHOR_END: before

// ANCHOR: bridge
mod bridge {
    use super::before::EchoManager;
    use super::*;
    use poolhouse::PoolConfig;
    use poolhouse::blocking::Pool;
    use poolhouse_r2d2::R2d2;

    pub(super) fn pool(
        address: SocketAddr,
    ) -> Result<Pool<R2d2<EchoManager>>, AnyError> {
        let config = PoolConfig {
            max_connections: 4,
            connection_timeout: Duration::from_secs(5),
            ..PoolConfig::default()
        };
        let manager =
            R2d2::new(EchoManager(address)).with_target(address.to_string());
        let pool = Pool::new(manager, config)?;
        pool.warm_up()?;
        Ok(pool)
    }

    pub(super) fn request(
        pool: &Pool<R2d2<EchoManager>>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.acquire()?;
        Ok(echo.exchange(text.as_bytes())?)
    }
}
// ANCHOR_END: bridge

// ANCHOR: after
mod after {
    use super::*;
    use poolhouse::blocking::Pool;
    use poolhouse::{Manager, PoolConfig};
    use tokio::task::spawn_blocking;

    pub(super) struct EchoManager(SocketAddr);

    impl Manager for EchoManager {
        type Connection = Echo;
        type Error = io::Error;

        async fn connect(&self) -> io::Result<Echo> {
            let address = self.0;
            // Whatever blocks must leave the pool's own thread alone.
            spawn_blocking(move || Echo::connect(address)).await?
        }

        async fn check(&self, echo: &mut Echo) -> io::Result<()> {
            let mut copy = Echo { stream: echo.stream.try_clone()?, busy: false };
            spawn_blocking(move || copy.exchange(b"are you there").map(drop))
                .await?
        }

        fn is_reusable(&self, echo: &mut Echo) -> bool {
            !echo.busy
        }

        fn is_connected(&self, echo: &mut Echo) -> bool {
            echo.is_quiet().unwrap_or(false)
        }

        fn target(&self) -> Cow<'_, str> {
            self.0.to_string().into()
        }
    }

    pub(super) fn pool(address: SocketAddr) -> Result<Pool<EchoManager>, AnyError> {
        let config = PoolConfig {
            max_connections: 4,
            min_connections: 0,
            min_idle: 1,
            connection_timeout: Duration::from_secs(5),
            ..PoolConfig::default()
        };
        let pool = Pool::new(EchoManager(address), config)?;
        pool.warm_up()?;
        Ok(pool)
    }

    pub(super) fn request(
        pool: &Pool<EchoManager>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.acquire()?;
        Ok(echo.exchange(text.as_bytes())?)
    }
}
// ANCHOR_END: after

/// Eight threads ask four times each.
fn ask<P>(
    pool: &P,
    request: fn(&P, &str) -> Result<Vec<u8>, AnyError>,
) -> Result<usize, AnyError>
where
    P: Clone + Send + 'static,
{
    let ask = |thread: usize| {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut right = 0;
            for number in 0..4 {
                let text = format!("thread {thread}, request {number}");
                right += usize::from(request(&pool, &text)? == text.as_bytes());
            }
            Ok::<_, AnyError>(right)
        })
    };
    let threads: Vec<_> = (0..8).map(ask).collect();
    threads
        .into_iter()
        .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
        .sum()
}

fn run() -> Result<(), AnyError> {
    // The server's, not ours.
    let runtime = tokio::runtime::Runtime::new()?;

    let server = runtime.block_on(EchoServer::start())?;
    let right = ask(&before::pool(server.addr())?, before::request)?;
    let peak = server.counts().peak_open;
    println!(
        "r2d2: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );

    let server = runtime.block_on(EchoServer::start())?;
    let right = ask(&bridge::pool(server.addr())?, bridge::request)?;
    let peak = server.counts().peak_open;
    println!(
        "poolhouse-r2d2: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );

    let server = runtime.block_on(EchoServer::start())?;
    let right = ask(&after::pool(server.addr())?, after::request)?;
    let peak = server.counts().peak_open;
    println!(
        "poolhouse: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
