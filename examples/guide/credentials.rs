//! New credentials under load, and no caller sees an error: with two users, and
//! with one whose password changes.

mod kv;

use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use kv::connection::{KvConnection, KvError};
use kv::manager::{Credential, KvManager};
use kv::server::KvServer;
use poolhouse::{AcquireError, Dial, FailureKind, Manager, Pool, PoolConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type AnyError = Box<dyn Error + Send + Sync>;

/// Where the current credential is kept: a file that is mounted, or a service for
/// secrets.
struct Vault(Mutex<Credential>);

impl Vault {
    fn new(user: &str, secret: &str) -> Arc<Vault> {
        Arc::new(Vault(Mutex::new(credential(user, secret))))
    }

    fn put(&self, new: Credential) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    async fn fetch(&self) -> Credential {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn credential(user: &str, secret: &str) -> Credential {
    Credential { user: user.to_owned(), secret: secret.to_owned() }
}

// ANCHOR: rotating
struct Rotating<D> {
    inner: KvManager<D>,
    vault: Arc<Vault>,
}

impl<D: Dial> Rotating<D> {
    /// Whether the vault holds another credential than the one that was refused.
    /// From now on it is in use.
    async fn renewed(&self) -> bool {
        let current = self.vault.fetch().await;
        let is_new = current != self.inner.credential();
        self.inner.set_credential(current);
        is_new
    }
}

impl<D: Dial> Manager for Rotating<D> {
    type Connection = KvConnection<D::Stream>;
    type Error = KvError;

    async fn connect(&self) -> Result<Self::Connection, KvError> {
        match self.inner.connect().await {
            // The password may have changed since it was read. Once, or a wrong
            // one would be tried forever.
            Err(error) if error.is_refused("AUTH") && self.renewed().await => {
                self.inner.connect().await
            }
            connected => connected,
        }
    }

    // The rest as in the manager inside.
    // ANCHOR_END: rotating
    async fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> Result<(), KvError> {
        self.inner.check(connection).await
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        self.inner.is_reusable(connection)
    }

    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        self.inner.is_connected(connection)
    }

    fn classify(&self, error: &KvError) -> FailureKind {
        self.inner.classify(error)
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed("the store")
    }
}

fn pool<D: Dial>(
    dial: D,
    vault: &Arc<Vault>,
    user: &str,
    secret: &str,
) -> Result<Pool<Rotating<D>>, AnyError> {
    let manager = Rotating {
        inner: KvManager::new(dial, user, secret),
        vault: Arc::clone(vault),
    };
    Ok(Pool::new(
        manager,
        PoolConfig { max_connections: 3, ..PoolConfig::default() },
    )?)
}

/// Works until it is told to stop. Returns how often it met an error.
async fn caller<D: Dial>(
    pool: Pool<Rotating<D>>,
    stop: CancellationToken,
) -> usize {
    let mut errors = 0;
    while !stop.is_cancelled() {
        match pool.acquire().await {
            Ok(mut connection) => {
                errors +=
                    usize::from(connection.set("key", "value").await.is_err());
            }
            Err(_) => errors += 1,
        }
        tokio::task::yield_now().await;
    }
    errors
}

async fn two_users(server: &KvServer) -> Result<(), AnyError> {
    println!("== two users, one after the other");
    let vault = Vault::new("app_a", "alpha");
    let pool = pool(server.dial(), &vault, "app_a", "alpha")?;
    let (mut callers, stop) = (JoinSet::new(), CancellationToken::new());
    for _ in 0..6 {
        callers.spawn(caller(pool.clone(), stop.clone()));
    }
    server.wait_for(|counts| counts.sessions.get("app_a") == Some(&3)).await?;

    // ANCHOR: rotate
    // 1. The new credential is valid before anybody uses it.
    server.allow("app_b", "beta");
    // 2. From now on, connects use it. What is open is replaced.
    vault.put(credential("app_b", "beta"));
    pool.manager().inner.set_credential(credential("app_b", "beta"));
    pool.invalidate_all();
    // 3. Nobody is left with the old one: only now does it go.
    server.wait_for(|counts| counts.sessions["app_a"] == 0).await?;
    server.revoke("app_a");
    // ANCHOR_END: rotate

    server.wait_for(|counts| counts.sessions.get("app_b") == Some(&3)).await?;
    stop.cancel();
    let errors: usize = callers.join_all().await.into_iter().sum();
    println!("sessions: {:?}", server.counts().sessions);
    println!(
        "errors that six callers met: {errors}, logins refused: {}",
        server.counts().refused
    );
    Ok(())
}

async fn one_user(server: &KvServer) -> Result<(), AnyError> {
    println!("== one user, whose password changes on the server first");
    let vault = Vault::new("app_b", "beta");
    let pool = pool(server.dial(), &vault, "app_b", "beta")?;
    pool.acquire().await?.ping().await?;

    server.allow("app_b", "gamma");
    println!(
        "an open connection still works: {}",
        pool.acquire().await?.ping().await.is_ok()
    );

    vault.put(credential("app_b", "gamma"));
    // A new connection is needed, and the manager knows the old password.
    pool.invalidate_all();
    println!("a new one is opened: {}", pool.acquire().await?.ping().await.is_ok());
    println!("logins refused: {}", server.counts().refused);

    println!("== and the vault is wrong, too");
    server.allow("app_b", "delta");
    pool.invalidate_all();
    match pool.acquire().await {
        Err(AcquireError::Connect(failed)) => println!("at once: {failed}"),
        other => {
            return Err(format!("expected a failed connect, not {other:?}").into());
        }
    }
    vault.put(credential("app_b", "delta"));
    println!(
        "the vault is mended, and the next acquire works: {}",
        pool.acquire().await?.ping().await.is_ok()
    );
    println!(
        "a credential, as a log would show it: {:?}",
        pool.manager().inner.credential()
    );
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = KvServer::in_memory("app_a", "alpha");
    two_users(&server).await?;
    one_user(&server).await
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
