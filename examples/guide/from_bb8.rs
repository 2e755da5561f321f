//! One program three times: with bb8, with the same manager in poolhouse, and with
//! a manager of poolhouse's own.
//!
//! `cargo run --example from_bb8`

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse_echo::EchoServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: connection
/// A connection to the echo server. It knows whether an exchange is half done.
struct Echo {
    stream: TcpStream,
    busy: bool,
}

impl Echo {
    async fn connect(address: SocketAddr) -> io::Result<Echo> {
        Ok(Echo { stream: TcpStream::connect(address).await?, busy: false })
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.busy = true;
        self.stream
            .write_u32(u32::try_from(request.len()).map_err(io::Error::other)?)
            .await?;
        self.stream.write_all(request).await?;
        let length = self.stream.read_u32().await?;
        if length > 65_536 {
            return Err(io::Error::other("a reply of more than 64 KiB"));
        }
        let mut reply = vec![0; length as usize];
        self.stream.read_exact(&mut reply).await?;
        self.busy = false;
        Ok(reply)
    }
}
// ANCHOR_END: connection

// ANCHOR: before
mod before {
    use super::*;
    use bb8::{ManageConnection, Pool};

    pub(super) struct EchoManager(pub(super) SocketAddr);

    impl ManageConnection for EchoManager {
        type Connection = Echo;
        type Error = io::Error;

        async fn connect(&self) -> io::Result<Echo> {
            Echo::connect(self.0).await
        }

        async fn is_valid(&self, echo: &mut Echo) -> io::Result<()> {
            echo.exchange(b"are you there").await.map(drop)
        }

        fn has_broken(&self, echo: &mut Echo) -> bool {
            echo.busy
        }
    }

    pub(super) async fn pool(
        address: SocketAddr,
    ) -> Result<Pool<EchoManager>, AnyError> {
        let pool = Pool::builder()
            .max_size(4)
            .min_idle(1)
            .connection_timeout(Duration::from_secs(5))
            .build(EchoManager(address))
            .await?;
        Ok(pool)
    }

    pub(super) async fn request(
        pool: &Pool<EchoManager>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.get().await?;
        Ok(echo.exchange(text.as_bytes()).await?)
    }
}
// ANCHOR_END: before

// ANCHOR: bridge
mod bridge {
    use super::before::EchoManager;
    use super::*;
    use poolhouse::{Pool, PoolConfig};
    use poolhouse_bb8::Bb8;

    pub(super) async fn pool(
        address: SocketAddr,
    ) -> Result<Pool<Bb8<EchoManager>>, AnyError> {
        let config = PoolConfig {
            max_connections: 4,
            connection_timeout: Duration::from_secs(5),
            ..PoolConfig::default()
        };
        let manager =
            Bb8::new(EchoManager(address)).with_target(address.to_string());
        let pool = Pool::new(manager, config)?;
        pool.warm_up().await?;
        Ok(pool)
    }

    pub(super) async fn request(
        pool: &Pool<Bb8<EchoManager>>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.acquire().await?;
        Ok(echo.exchange(text.as_bytes()).await?)
    }
}
// ANCHOR_END: bridge

// ANCHOR: after
mod after {
    use super::*;
    use poolhouse::{Manager, Pool, PoolConfig};

    pub(super) struct EchoManager(SocketAddr);

    impl Manager for EchoManager {
        type Connection = Echo;
        type Error = io::Error;

        async fn connect(&self) -> io::Result<Echo> {
            Echo::connect(self.0).await
        }

        async fn check(&self, echo: &mut Echo) -> io::Result<()> {
            echo.exchange(b"are you there").await.map(drop)
        }

        fn is_reusable(&self, echo: &mut Echo) -> bool {
            !echo.busy
        }

        fn is_connected(&self, echo: &mut Echo) -> bool {
            // Nothing has arrived on it: neither the end of the stream nor a byte
            // that nobody asked for.
            let unread = echo.stream.try_read(&mut [0]);
            unread.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }

        fn target(&self) -> Cow<'_, str> {
            self.0.to_string().into()
        }
    }

    pub(super) async fn pool(
        address: SocketAddr,
    ) -> Result<Pool<EchoManager>, AnyError> {
        let config = PoolConfig {
            max_connections: 4,
            min_connections: 0,
            min_idle: 1,
            connection_timeout: Duration::from_secs(5),
            check_after_idle: Duration::ZERO,
            ..PoolConfig::default()
        };
        let pool = Pool::builder(EchoManager(address))
            .config(config)
            // With zero above, each reuse waits for a check, as in bb8. Without
            // both, checks run in the background.
            .before_reuse(|_, _| Box::pin(async { Ok(()) }))
            .build()?;
        pool.warm_up_within(Duration::from_secs(5)).await?;
        Ok(pool)
    }

    pub(super) async fn request(
        pool: &Pool<EchoManager>,
        text: &str,
    ) -> Result<Vec<u8>, AnyError> {
        let mut echo = pool.acquire().await?;
        // After an error it is still busy: the pool closes it.
        Ok(echo.exchange(text.as_bytes()).await?)
    }
}
// ANCHOR_END: after

/// Eight tasks ask four times each.
async fn ask<P, F>(pool: P, request: fn(P, String) -> F) -> Result<usize, AnyError>
where
    P: Clone + Send + 'static,
    F: Future<Output = Result<Vec<u8>, AnyError>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut right = 0;
            for number in 0..4 {
                let text = format!("task {task}, request {number}");
                right += usize::from(
                    request(pool.clone(), text.clone()).await? == text.as_bytes(),
                );
            }
            Ok::<_, AnyError>(right)
        });
    }
    tasks.join_all().await.into_iter().sum()
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let pool = before::pool(server.addr()).await?;
    let right =
        ask(pool, |pool, text| async move { before::request(&pool, &text).await })
            .await?;
    let peak = server.counts().peak_open;
    println!(
        "bb8: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );

    let server = EchoServer::start().await?;
    let pool = bridge::pool(server.addr()).await?;
    let right =
        ask(pool, |pool, text| async move { bridge::request(&pool, &text).await })
            .await?;
    let peak = server.counts().peak_open;
    println!(
        "poolhouse-bb8: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );

    let server = EchoServer::start().await?;
    let pool = after::pool(server.addr()).await?;
    let right =
        ask(pool, |pool, text| async move { after::request(&pool, &text).await })
            .await?;
    let peak = server.counts().peak_open;
    println!(
        "poolhouse: {right} of 32 answers are right, at most 4 connections: {}",
        peak <= 4
    );
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
