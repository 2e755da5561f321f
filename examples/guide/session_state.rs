//! State that one caller leaves in the session, and the next one finds: how it
//! shows, two cures, and one with a hole.
//!
//! The store of the chapter on managers has one thing to remember for a session:
//! the space that `USE` chose.

mod kv;

use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt;
use kv::connection::{KvConnection, KvError};
use kv::manager::KvManager;
use kv::server::KvServer;
use poolhouse::{Dial, FailureKind, Manager, Pool, PoolConfig};

fn pool_of_one<M: Manager>(
    manager: M,
    check_after_idle: Duration,
) -> Result<Pool<M>, Box<dyn Error>> {
    let config = PoolConfig {
        max_connections: 1,
        check_after_idle,
        ..PoolConfig::default()
    };
    Ok(Pool::new(manager, config)?)
}

fn sees(plan: Option<String>) -> String {
    plan.unwrap_or_else(|| "nothing".to_owned())
}

async fn nothing_resets(server: &KvServer) -> Result<(), Box<dyn Error>> {
    println!("== nothing resets");
    let pool =
        pool_of_one(KvManager::new(server.dial(), "app", "s3cret"), Duration::MAX)?;
    // ANCHOR: leak
    {
        let mut acme = pool.acquire().await?;
        acme.use_space("acme").await?;
        acme.set("plan", "gold").await?;
    }
    let mut other = pool.acquire().await?;
    let plan = other.get("plan").await?;
    // ANCHOR_END: leak
    println!("the next caller, who chose no space, sees: {}", sees(plan));
    Ok(())
}

async fn reset_on_return(server: &KvServer) -> Result<(), Box<dyn Error>> {
    println!("== a hook resets each connection that comes back");
    let manager = KvManager::new(server.dial(), "app", "s3cret");
    // ANCHOR: hook
    let pool = Pool::builder(manager)
        .on_return(|connection, _info| {
            Box::pin(async move { Ok(connection.reset().await?) })
        })
        .build()?;
    // ANCHOR_END: hook
    pool.resize(1)?;
    let mut acme = pool.acquire().await?;
    acme.use_space("acme").await?;
    let mut waiting = pool.acquire();
    assert!((&mut waiting).now_or_never().is_none());
    drop(acme);
    println!(
        "a caller who had to wait sees: {}",
        sees(waiting.await?.get("plan").await?)
    );
    println!(
        "the next caller sees: {}",
        sees(pool.acquire().await?.get("plan").await?)
    );
    println!("connections opened: {}", pool.stats().connections_created);
    Ok(())
}

// ANCHOR: in_check
struct ResetInCheck<D>(KvManager<D>);

impl<D: Dial> Manager for ResetInCheck<D> {
    type Connection = KvConnection<D::Stream>;
    type Error = KvError;

    async fn connect(&self) -> Result<Self::Connection, KvError> {
        self.0.connect().await
    }

    async fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> Result<(), KvError> {
        connection.reset().await
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        self.0.is_reusable(connection)
    }
}
// ANCHOR_END: in_check

async fn reset_in_check(server: &KvServer) -> Result<(), Box<dyn Error>> {
    println!("== reset in check, before each idle connection is handed out");
    let manager = ResetInCheck(KvManager::new(server.dial(), "app", "s3cret"));
    let pool = pool_of_one(manager, Duration::ZERO)?;
    pool.acquire().await?.use_space("acme").await?;
    println!(
        "the next caller sees: {}",
        sees(pool.acquire().await?.get("plan").await?)
    );

    // ANCHOR: hole
    let mut acme = pool.acquire().await?;
    acme.use_space("acme").await?;
    let mut waiting = pool.acquire();
    assert!((&mut waiting).now_or_never().is_none());
    // Straight from holder to waiter: it never was idle, so nothing checked it.
    drop(acme);
    let plan = waiting.await?.get("plan").await?;
    // ANCHOR_END: hole
    println!("a caller who had to wait sees: {}", sees(plan));
    Ok(())
}

// ANCHOR: tracked
struct Session<S> {
    kv: KvConnection<S>,
    changed: bool,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Session<S> {
    async fn use_space(&mut self, space: &str) -> Result<(), KvError> {
        // Before the request: a call that is dropped half-way may have changed the
        // session too.
        self.changed = true;
        self.kv.use_space(space).await
    }
}

struct Tracked<D>(KvManager<D>);

impl<D: Dial> Manager for Tracked<D> {
    type Connection = Session<D::Stream>;
    type Error = KvError;

    async fn connect(&self) -> Result<Self::Connection, KvError> {
        Ok(Session { kv: self.0.connect().await?, changed: false })
    }

    async fn check(&self, session: &mut Self::Connection) -> Result<(), KvError> {
        self.0.check(&mut session.kv).await
    }

    fn is_reusable(&self, session: &mut Self::Connection) -> bool {
        self.0.is_reusable(&mut session.kv)
    }

    fn needs_reset(&self, session: &mut Self::Connection) -> bool {
        session.changed
    }

    async fn reset(&self, session: &mut Self::Connection) -> Result<(), KvError> {
        session.kv.reset().await?;
        session.changed = false;
        Ok(())
    }

    fn is_connected(&self, session: &mut Self::Connection) -> bool {
        self.0.is_connected(&mut session.kv)
    }

    fn classify(&self, error: &KvError) -> FailureKind {
        self.0.classify(error)
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.target()
    }
}
// ANCHOR_END: tracked

async fn tracked(server: &KvServer) -> Result<(), Box<dyn Error>> {
    println!("== the connection remembers that its session was changed");
    let pool = pool_of_one(
        Tracked(KvManager::new(server.dial(), "app", "s3cret")),
        Duration::MAX,
    )?;
    pool.acquire().await?.use_space("acme").await?;
    println!(
        "the next caller sees: {}",
        sees(pool.acquire().await?.kv.get("plan").await?)
    );

    // A request whose client hangs up in the middle of it.
    let mut cancelled = pool.acquire().await?;
    assert!(Box::pin(cancelled.use_space("acme")).now_or_never().is_none());
    drop(cancelled);
    println!(
        "after a cancelled call, the next caller sees: {}",
        sees(pool.acquire().await?.kv.get("plan").await?)
    );
    let before = server.counts().requests.get("RESET").copied().unwrap_or(0);
    for _ in 0..100 {
        pool.acquire().await?.kv.get("plan").await?;
    }
    let after = server.counts().requests.get("RESET").copied().unwrap_or(0);
    println!("100 callers who change nothing cost {} resets", after - before);
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = KvServer::in_memory("app", "s3cret");
    nothing_resets(&server).await?;
    reset_on_return(&server).await?;
    tracked(&server).await?;
    reset_in_check(&server).await?;
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
