//! What a session of PostgreSQL keeps, and what undoes it.

use poolhouse_postgres::{
    PooledPostgres, PostgresManager, PostgresPool, ResetPolicy,
};
use tokio_postgres::{Client, Error, Statement};

use super::{ask, client, pool_with, server};
use crate::contestants::AnyError;
use crate::table::of_words;

/// What it is, how to leave it behind, and how to see it.
const STATES: [[&str; 3]; 16] = [
    [
        "an open transaction",
        "BEGIN; SELECT pg_current_xact_id()",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND pid = pg_backend_pid()",
    ],
    [
        "`SET` inside an open transaction",
        "BEGIN; SET statement_timeout = '5s'",
        "SELECT current_setting('statement_timeout')",
    ],
    [
        "`SET statement_timeout`",
        "SET statement_timeout = '5s'",
        "SELECT current_setting('statement_timeout')",
    ],
    [
        "`SET search_path`",
        "SET search_path = acme",
        "SELECT current_setting('search_path')",
    ],
    [
        "`SET TIME ZONE`",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SELECT current_setting('TimeZone')",
    ],
    [
        "the isolation level of the session",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SHOW default_transaction_isolation",
    ],
    [
        "`set_config('app.tenant', .., false)`",
        "SELECT set_config('app.tenant', 'acme', false)",
        "SELECT nullif(current_setting('app.tenant', true), '')",
    ],
    ["`SET ROLE`", "SET ROLE reader", "SELECT current_user"],
    [
        "a temporary table",
        "CREATE TEMPORARY TABLE litter (id int)",
        "SELECT to_regclass('pg_temp.litter')",
    ],
    [
        "`pg_advisory_lock`",
        "SELECT pg_advisory_lock(42)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    ],
    [
        "`PREPARE` in SQL",
        "PREPARE litter AS SELECT 1",
        "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
    ],
    [
        "a statement of the protocol",
        "",
        "SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql",
    ],
    ["`LISTEN`", "LISTEN litter", "SELECT count(*) FROM pg_listening_channels()"],
    [
        "a cursor `WITH HOLD`",
        "DECLARE litter CURSOR WITH HOLD FOR SELECT 1",
        "SELECT count(*) FROM pg_cursors WHERE name = 'litter'",
    ],
    [
        "`currval` of a sequence",
        "SELECT nextval('numbers')",
        "SELECT currval('numbers')",
    ],
    [
        "a library by `LOAD`",
        "LOAD 'plpgsql'",
        "SELECT count(*) > 0 FROM pg_settings WHERE name LIKE 'plpgsql.%'",
    ],
];

const BY_HAND: [&str; 3] = ["ROLLBACK", "RESET ALL", "DISCARD ALL"];
const POLICIES: [(&str, ResetPolicy); 2] = [
    ("`RollBack`", ResetPolicy::RollBack),
    ("`DiscardAll`", ResetPolicy::DiscardAll),
];

/// What a session shows: an error is something to see, too.
async fn seen(client: &Client, probe: &str) -> String {
    match ask(client, probe).await {
        Ok(value) => value.unwrap_or_default(),
        Err(error) => error
            .code()
            .map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

fn verdict(fresh: &str, now: &str) -> String {
    if fresh == now { "gone" } else { "stays" }.to_owned()
}

/// Leaves it behind. Returns what the session showed before, and the statement,
/// which is closed when its handle goes.
async fn litter(
    client: &Client,
    [name, litter, probe]: [&str; 3],
) -> Result<(String, Option<Statement>), AnyError> {
    let fresh = seen(client, probe).await;
    let mut kept = None;
    if litter.is_empty() {
        kept = Some(client.prepare("SELECT 1").await?);
    } else {
        client.batch_execute(litter).await?;
    }
    if seen(client, probe).await == fresh {
        return Err(format!("{name}: nothing to see").into());
    }
    Ok((fresh, kept))
}

async fn by_hand(
    url: &str,
    reset: &str,
    state: [&str; 3],
) -> Result<String, AnyError> {
    let client = client(url).await?;
    let (fresh, _kept) = litter(&client, state).await?;
    if let Err(error) = client.batch_execute(reset).await {
        return Ok(format!(
            "fails: {}",
            error.code().map_or("?", |code| code.code())
        ));
    }
    Ok(verdict(&fresh, &seen(&client, state[2]).await))
}

async fn by_the_pool(
    url: &str,
    policy: ResetPolicy,
    state: [&str; 3],
) -> Result<String, AnyError> {
    let pool = pool_with(PostgresManager::from_url(url)?.reset_policy(policy), 1)?;
    let first = pool.acquire().await?;
    let (fresh, _kept) = litter(&first, state).await?;
    drop(first);
    let second = pool.acquire().await?;
    if pool.stats().connections_created != 1 {
        return Err("it is another session".into());
    }
    Ok(verdict(&fresh, &seen(&second, state[2]).await))
}

// ANCHOR: fingerprint
/// What a session shows of itself. Two sessions with the same text behave alike.
async fn fingerprint(held: &PooledPostgres) -> Result<Vec<String>, Error> {
    const SQL: &str = "
        SELECT name || ' = ' || setting FROM pg_settings
        UNION ALL SELECT 'user: ' || current_user || ' of ' || session_user
        UNION ALL SELECT 'tenant: '
            || nullif(current_setting('app.tenant', true), '')
        UNION ALL SELECT 'temporary: ' || relname FROM pg_class
            WHERE relnamespace = pg_my_temp_schema()
        UNION ALL SELECT 'lock: ' || locktype || ' ' || mode FROM pg_locks
            WHERE pid = pg_backend_pid() AND locktype = 'advisory'
        UNION ALL SELECT 'statement: ' || name FROM pg_prepared_statements
            WHERE from_sql
        UNION ALL SELECT 'channel: ' || pg_listening_channels()
        UNION ALL SELECT 'cursor: ' || name FROM pg_cursors WHERE is_holdable
        ORDER BY 1";
    let rows = held.query_typed(SQL, &[]).await?;
    // Some of the rows are NULL: there is nothing to see.
    Ok(rows.iter().filter_map(|row| row.get(0)).collect())
}
// ANCHOR_END: fingerprint

const HOLDER: &str = "SET TIME ZONE 'Asia/Tokyo'; SET ROLE reader; SELECT set_config('app.tenant', 'acme', false); \
                      CREATE TEMPORARY TABLE litter (id int); SELECT pg_advisory_lock(42)";

/// What the next caller finds that a new session does not have.
async fn left(pool: &PostgresPool) -> Result<Vec<String>, AnyError> {
    // ANCHOR: prove
    let fresh = fingerprint(&pool.acquire().await?).await?;
    pool.acquire().await?.batch_execute(HOLDER).await?;
    let next = fingerprint(&pool.acquire().await?).await?;
    let left = next.into_iter().filter(|line| !fresh.contains(line));
    // ANCHOR_END: prove
    Ok(left.collect())
}

/// A server whose superuser may do all of it.
fn stage() -> Result<test_servers::Postgres, AnyError> {
    let server = server()?;
    server
        .sql("CREATE ROLE reader; CREATE SEQUENCE numbers; GRANT TEMPORARY ON DATABASE postgres TO reader")?;
    Ok(server)
}

pub(super) async fn table() -> Result<String, AnyError> {
    let server = stage()?;
    let mut rows = Vec::new();
    for state in STATES {
        let mut row = vec![state[0].to_owned()];
        for reset in BY_HAND {
            row.push(by_hand(&server.url(), reset, state).await?);
        }
        for (_, policy) in POLICIES {
            row.push(by_the_pool(&server.url(), policy, state).await?);
        }
        rows.push(row);
    }
    let by_hand = BY_HAND.map(|reset| format!("`{reset}`"));
    let header =
        ["left behind"].into_iter().chain(by_hand.iter().map(String::as_str));
    let header: Vec<&str> = header.chain(POLICIES.map(|(name, _)| name)).collect();
    Ok(of_words(&header, &rows))
}

pub(super) async fn proof() -> Result<String, AnyError> {
    let server = stage()?;
    let mut text = String::new();
    for (name, policy) in POLICIES {
        let manager =
            PostgresManager::from_url(&server.url())?.reset_policy(policy);
        text +=
            &format!("== {}, what the next caller finds\n", name.trim_matches('`'));
        let left = left(&pool_with(manager, 1)?).await?;
        text += &left.iter().map(|line| format!("{line}\n")).collect::<String>();
        if left.is_empty() {
            text += "nothing\n";
        }
    }
    Ok(text)
}
