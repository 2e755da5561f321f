//! The server is down, or turns the password away, and the caller sees a timeout.
//! The timeout knows better.
//!
//! `cargo run --example server_down`

use std::borrow::Cow;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{
    AcquireError, AcquireTimeout, FailureKind, Manager, PacketConnection,
    PacketError, PacketManager, Phase, Pool, PoolConfig, TcpDialer,
};
use poolhouse_echo::EchoServer;
use thiserror::Error;

#[derive(Debug, Error)]
enum LoginError {
    #[error("{0}")]
    Packet(#[from] PacketError),
    #[error("password authentication failed for user \"app\"")]
    WrongPassword,
}

/// Opens a connection and logs in. The echo server lets everybody in, so the
/// manager plays the server's part.
struct Login {
    packets: PacketManager,
    password: &'static str,
    /// Whether it tells the pool which failures no other try can fix.
    classifies: bool,
}

impl Login {
    fn new(server: SocketAddr, password: &'static str, classifies: bool) -> Login {
        Login {
            packets: PacketManager::new(TcpDialer::from(server)),
            password,
            classifies,
        }
    }
}

impl Manager for Login {
    type Connection = PacketConnection;
    type Error = LoginError;

    async fn connect(&self) -> Result<PacketConnection, LoginError> {
        let mut connection = self.packets.connect().await?;
        connection.send_packet(self.password).await?;
        let reply = connection.receive().await?;
        if reply == "the right one" {
            Ok(connection)
        } else {
            Err(LoginError::WrongPassword)
        }
    }

    // ANCHOR: classify
    fn classify(&self, error: &LoginError) -> FailureKind {
        match error {
            LoginError::WrongPassword if self.classifies => FailureKind::Permanent,
            _ => FailureKind::Transient,
        }
    }
    // ANCHOR_END: classify

    fn target(&self) -> Cow<'_, str> {
        self.packets.target()
    }
}

type Errors = Vec<AcquireError>;

/// Three callers at once, none of whom can get a connection. Returns their errors.
async fn three_callers(
    manager: Login,
    config: PoolConfig,
) -> Result<Errors, Box<dyn Error>> {
    let pool = Pool::new(manager, config)?;
    let (a, b, c) = tokio::join!(pool.acquire(), pool.acquire(), pool.acquire());
    let errors: Errors = [a, b, c].into_iter().filter_map(Result::err).collect();
    if errors.len() < 3 {
        Err("somebody got a connection".into())
    } else {
        Ok(errors)
    }
}

/// How many of them waited until their deadline.
fn waited(errors: &Errors) -> usize {
    errors.iter().filter(|error| error.is_timeout()).count()
}

// ANCHOR: blame
/// What to tell the person on call.
fn verdict(timeout: &AcquireTimeout) -> &'static str {
    match (timeout.phase, &timeout.last_connect_error) {
        (Phase::Queueing, None) => {
            "the pool is exhausted: who holds the connections?"
        }
        (Phase::Connecting, Some(_)) if timeout.active == 0 => {
            "the server cannot be reached: look at the server, not at the pool"
        }
        (Phase::Queueing | Phase::Connecting, Some(_)) => {
            "connections are held, and no more can be opened: look at the server"
        }
        (Phase::Connecting, None) => {
            "connects do not end in time: look at the network, or raise the timeout"
        }
        (Phase::Checking, _) => "the server does not answer health checks",
        (Phase::Resetting, _) => "resets do not end in time: look at the reset",
        (Phase::Suspended, _) => "the pool is suspended",
        _ => "a phase that this program does not know: read the error's text",
    }
}
// ANCHOR_END: blame

fn every_timeout_is_exhaustion(_: &AcquireTimeout) -> &'static str {
    "the pool is exhausted: raise max_connections"
}

/// How many of the timeouts are blamed on the pool, and the first in the words of
/// the log.
fn blame(errors: &Errors, judge: fn(&AcquireTimeout) -> &'static str) {
    let verdicts: Vec<_> = errors
        .iter()
        .filter_map(|error| match error {
            AcquireError::Timeout(timeout) => Some(judge(timeout)),
            _ => None,
        })
        .collect();
    let pool = verdicts
        .iter()
        .filter(|verdict| verdict.starts_with("the pool is exhausted"))
        .count();
    println!("server down, blamed on the pool: {pool} of {}", errors.len());
    if let Some(verdict) = verdicts.first() {
        println!("log: {verdict}");
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let down = EchoServer::start().await?;
    down.stop().await;

    let config = PoolConfig {
        connection_timeout: Duration::from_secs(1),
        ..PoolConfig::default()
    };

    println!("== the symptom");
    let errors = three_callers(
        Login::new(down.addr(), "the right one", false),
        config.clone(),
    )
    .await?;
    blame(&errors, every_timeout_is_exhaustion);
    println!(
        "server down, waited for the whole deadline: {} of 3",
        waited(&errors)
    );
    let wrong = three_callers(
        Login::new(server.addr(), "a wrong one", false),
        config.clone(),
    )
    .await?;
    println!(
        "wrong password, waited for the whole deadline: {} of 3",
        waited(&wrong)
    );

    println!("== after the cure");
    let errors = three_callers(
        Login::new(down.addr(), "the right one", true),
        config.clone(),
    )
    .await?;
    blame(&errors, verdict);
    println!("log: {}", errors.first().ok_or("no error")?);
    // ANCHOR: fail_fast
    // A restart that takes less than half of it stays invisible.
    let config =
        PoolConfig { fail_fast_after: Duration::from_millis(200), ..config };
    // ANCHOR_END: fail_fast
    let errors = three_callers(
        Login::new(down.addr(), "the right one", true),
        config.clone(),
    )
    .await?;
    println!(
        "server down, waited for the whole deadline: {} of 3",
        waited(&errors)
    );
    println!("log: {}", errors.first().ok_or("no error")?);
    let wrong =
        three_callers(Login::new(server.addr(), "a wrong one", true), config)
            .await?;
    println!(
        "wrong password, waited for the whole deadline: {} of 3",
        waited(&wrong)
    );
    println!("log: {}", wrong.first().ok_or("no error")?);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
