//! The server on the stage, and what its superuser sees of a pool.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use test_servers::{Postgres, ServerError};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::load::NUMBERS;
use super::{Fault, TASKS, at_most};
use crate::contestants::{AnyError, Contestant, Secret, Target, connect};

/// Few, so that it is soon full.
const MAX_CONNECTIONS: &str = "24";

/// The longest that the superuser waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often backends are counted.
const GLANCE: Duration = Duration::from_millis(20);

/// One PostgreSQL for all cells.
pub struct Stage {
    server: Arc<Mutex<Postgres>>,
    port: u16,
    cells: AtomicUsize,
}

/// Who is who in one cell.
pub struct Roles {
    /// What the pool has: a role of its own, so that its backends can be counted from the login on.
    pub target: Target,
}

/// What the role's password is at first, and after a rotation.
pub(super) const PASSWORDS: [&str; 2] = ["first", "second"];

impl Stage {
    /// Starts the server. It blocks.
    ///
    /// # Errors
    ///
    /// As for [`Postgres::start`].
    pub fn start() -> Result<Self, ServerError> {
        let server = Postgres::start_with(&[("max_connections", MAX_CONNECTIONS)])?;
        let numbers = TASKS * NUMBERS;
        server.sql(&format!(
            "CREATE TABLE numbers (id int8 PRIMARY KEY); \
             INSERT INTO numbers SELECT generate_series(0, {numbers}); \
             GRANT SELECT ON numbers TO PUBLIC"
        ))?;
        let port = server.port();
        Ok(Self {
            server: Arc::new(Mutex::new(server)),
            port,
            cells: AtomicUsize::new(0),
        })
    }

    /// Does what blocks to the server.
    pub(super) async fn with(
        &self,
        act: impl FnOnce(&mut Postgres) -> Result<(), ServerError> + Send + 'static,
    ) -> Result<(), AnyError> {
        let server = Arc::clone(&self.server);
        spawn_blocking(move || {
            act(&mut server.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await??;
        Ok(())
    }

    pub(super) fn superuser(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("postgres")
            .dbname("postgres");
        config
    }

    pub(super) async fn admin(&self) -> Result<Client, AnyError> {
        at_most(PATIENCE, connect(&self.superuser())).await
    }

    pub(super) async fn sql(&self, sql: &str) -> Result<(), AnyError> {
        let admin = self.admin().await?;
        at_most(PATIENCE, admin.batch_execute(sql)).await
    }

    /// Makes a role for the pool of a cell.
    pub(super) async fn roles(
        &self,
        fault: Fault,
        which: Contestant,
    ) -> Result<Roles, AnyError> {
        let cell = self.cells.fetch_add(1, Ordering::Relaxed);
        // In small letters, for SQL makes them small, and a login does not.
        let pool = which
            .name()
            .to_ascii_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let role = format!("cell{cell}_{pool}_{}", fault.name().replace('-', "_"));
        self.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{}'", PASSWORDS[0]))
            .await?;
        Ok(Roles {
            target: Target {
                port: self.port,
                role,
                secret: Secret::new(PASSWORDS[0]),
            },
        })
    }

    /// How many backends the role has now.
    pub(super) async fn backends(&self, role: &str) -> Result<i64, AnyError> {
        let admin = self.admin().await?;
        at_most(PATIENCE, count(&admin, role)).await
    }

    /// Ends all backends of the role. Returns when the server has sent the signals.
    pub(super) async fn terminate(&self, role: &str) -> Result<(), AnyError> {
        let backends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ";
        self.sql(&format!("{backends}'{role}'")).await
    }

    /// Waits until the role has no backend left, and helps if that takes long.
    pub(super) async fn leave_nothing(&self, role: &str) -> Result<(), AnyError> {
        let began = Instant::now();
        while self.backends(role).await? > 0 {
            if began.elapsed() > Duration::from_secs(2) {
                self.terminate(role).await?;
            }
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// Counts the role's backends again and again.
    pub(super) fn count_backends(&self, role: &str) -> Counting {
        let (most, over) =
            (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (config, role) = (self.superuser(), role.to_owned());
            let (most, over) = (Arc::clone(&most), Arc::clone(&over));
            async move {
                let mut admin = None;
                while !over.load(Ordering::Relaxed) {
                    admin = look(admin, &config, &role, &most).await.ok();
                    sleep(GLANCE).await;
                }
            }
        });
        Counting { most, over, task }
    }
}

/// Counts once, over the connection of the last time if there still is one. While the server is frozen it has no answer, so
/// it takes as long as that.
async fn look(
    admin: Option<Client>,
    config: &Config,
    role: &str,
    most: &AtomicI64,
) -> Result<Client, AnyError> {
    let admin = match admin {
        Some(admin) => admin,
        None => at_most(PATIENCE, connect(config)).await?,
    };
    let found = at_most(PATIENCE, count(&admin, role)).await?;
    most.fetch_max(found, Ordering::Relaxed);
    Ok(admin)
}

async fn count(admin: &Client, role: &str) -> Result<i64, AnyError> {
    // A backend that has logged in, or is about to, has the name of its user.
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'");
    let answer = admin.simple_query(&sql).await?;
    let found = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    found.ok_or_else(|| "no count".into())
}

/// The count that goes on.
pub(super) struct Counting {
    most: Arc<AtomicI64>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Counting {
    /// The most that there were at once.
    pub(super) async fn stop(self) -> i64 {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.task.await;
        self.most.load(Ordering::Relaxed)
    }
}
