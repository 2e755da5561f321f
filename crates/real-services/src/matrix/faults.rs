//! The ways in which the server breaks.

use std::time::{Duration, Instant};

use test_servers::Postgres;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config};

use super::load::{Load, Request};
use super::server::{PASSWORDS, Roles, Stage};
use super::{DEADLINE, Pace, SIZE};
use crate::contestants::{AnyError, AnyPool, connect};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All idle connections are terminated by `pg_terminate_backend`, then each task asks.
    IdleKilled,
    /// All connections are terminated under load, four times a second.
    BusyKilled,
    /// The server restarts under load.
    Restart,
    /// The server is down for a while.
    Outage,
    /// The password is wrong from the start, and is put right after a while.
    WrongPassword,
    /// The server is full from the start (`53300`), and others leave after a while.
    Full,
    /// Callers hang up in `pg_sleep`.
    HangUps,
    /// The server's processes are frozen (SIGSTOP) and thawed.
    Frozen,
    /// The table of a prepared `SELECT *` gets three columns, one after the other.
    Schema,
    /// The password changes and all sessions are ended. The client's side learns of it a second later.
    Rotated,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::IdleKilled,
        Self::BusyKilled,
        Self::Restart,
        Self::Outage,
        Self::WrongPassword,
        Self::Full,
        Self::HangUps,
        Self::Frozen,
        Self::Schema,
        Self::Rotated,
    ];

    /// How the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdleKilled => "idle-killed",
            Self::BusyKilled => "busy-killed",
            Self::Restart => "restart",
            Self::Outage => "outage",
            Self::WrongPassword => "wrong-password",
            Self::Full => "full",
            Self::HangUps => "hang-ups",
            Self::Frozen => "frozen",
            Self::Schema => "schema",
            Self::Rotated => "rotated",
        }
    }

    /// The other way round.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// In words, for the head of a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::IdleKilled => "Idle connections terminated",
            Self::BusyKilled => "Connections terminated under load",
            Self::Restart => "Restart under load",
            Self::Outage => "Outage",
            Self::WrongPassword => "Wrong password",
            Self::Full => "Server full (53300)",
            Self::HangUps => "Callers hang up in `pg_sleep`",
            Self::Frozen => "Frozen server",
            Self::Schema => "Schema change under prepared statements",
            Self::Rotated => "Password rotated, sessions ended",
        }
    }

    /// What the tasks send.
    pub(super) fn statement(self) -> &'static str {
        match self {
            Self::Schema => "SELECT * FROM numbers WHERE id = $1",
            _ => "SELECT $1::int8",
        }
    }

    /// Whether it is there before the pool has a connection.
    pub(super) fn is_cold(self) -> bool {
        matches!(self, Self::WrongPassword | Self::Full)
    }

    /// What has to be so before the load begins. Returns the clients that take up the room of a full server.
    pub(super) async fn prepare(
        self,
        stage: &Stage,
        roles: &Roles,
    ) -> Result<Vec<Client>, AnyError> {
        let mut hogs = Vec::new();
        match self {
            Self::WrongPassword => {
                change_password(stage, roles, PASSWORDS[1]).await?;
            }
            Self::Full => {
                // Ordinary ones: the last places are kept for superusers, who count.
                stage.sql("DROP ROLE IF EXISTS hog; CREATE ROLE hog LOGIN PASSWORD 'hog'").await?;
                let mut config: Config = stage.superuser();
                config.user("hog").password("hog");
                while let Ok(hog) = connect(&config).await {
                    hogs.push(hog);
                }
            }
            _ => {}
        }
        Ok(hogs)
    }

    /// Breaks the server. Returns when it is whole again.
    pub(super) async fn strike(
        self,
        stage: &Stage,
        roles: &Roles,
        pool: &AnyPool,
        hogs: Vec<Client>,
        pace: Pace,
    ) -> Result<(), AnyError> {
        let target = &roles.target;
        match self {
            Self::IdleKilled => {}
            Self::BusyKilled => {
                let began = Instant::now();
                while began.elapsed() < pace.fault {
                    stage.terminate(&target.role).await?;
                    sleep(Duration::from_millis(250)).await;
                }
            }
            Self::Restart => stage.with(Postgres::restart).await?,
            Self::Outage => {
                stage.with(Postgres::stop).await?;
                sleep(pace.fault).await;
                stage.with(Postgres::resume).await?;
            }
            Self::WrongPassword => {
                sleep(pace.fault).await;
                change_password(stage, roles, PASSWORDS[0]).await?;
            }
            Self::Full => {
                sleep(pace.fault).await;
                drop(hogs);
            }
            Self::HangUps => hang_up(pool, pace.fault).await,
            Self::Frozen => {
                stage.with(Postgres::freeze).await?;
                sleep(pace.fault).await;
                stage.with(Postgres::thaw).await?;
            }
            Self::Schema => {
                // The table never gets back the shape that an old statement has.
                for change in 0..3 {
                    stage
                        .sql(&format!(
                            "ALTER TABLE numbers ADD COLUMN {}_{change} text",
                            target.role
                        ))
                        .await?;
                    sleep(pace.fault / 4).await;
                }
            }
            Self::Rotated => {
                change_password(stage, roles, PASSWORDS[1]).await?;
                stage.terminate(&target.role).await?;
                sleep(Duration::from_secs(1)).await;
                target.secret.set(PASSWORDS[1]);
                pool.secret_has_changed(target);
            }
        }
        Ok(())
    }
}

async fn change_password(
    stage: &Stage,
    roles: &Roles,
    to: &str,
) -> Result<(), AnyError> {
    stage.sql(&format!("ALTER ROLE {} PASSWORD '{to}'", roles.target.role)).await
}

/// As many callers as the pool has connections give up long before their statement ends, and come again.
async fn hang_up(pool: &AnyPool, during: Duration) {
    let began = Instant::now();
    let callers = (0..SIZE).map(|_| {
        let pool = pool.clone();
        async move {
            while began.elapsed() < during {
                // The time counts from the first attempt to get a connection, as it does for a user who waits.
                let sleeps =
                    pool.ask("SELECT $1::int8 FROM pg_sleep(3)", 0, DEADLINE);
                let _ = timeout(Duration::from_millis(150), sleeps).await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    callers.collect::<JoinSet<_>>().join_all().await;
}

/// Every second time the tasks ask at once; otherwise when the server's processes have ended.
pub(super) async fn kill_idle(
    stage: &Stage,
    roles: &Roles,
    load: &Load,
    pace: Pace,
) -> Result<(Instant, Vec<Request>), AnyError> {
    let role = &roles.target.role;
    let (mut killed, mut requests) = (Instant::now(), Vec::new());
    for round in 0..pace.rounds {
        load.fill().await;
        stage.terminate(role).await?;
        if round % 2 == 1 {
            // A connect that was under way is in time for the second.
            while stage.backends(role).await? > 0 {
                stage.terminate(role).await?;
            }
        }
        killed = Instant::now();
        requests.extend(load.once(round).await);
    }
    Ok((killed, requests))
}
