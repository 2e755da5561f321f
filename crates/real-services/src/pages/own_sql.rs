//! What SQL of users may do, in your transaction and with a login of their own.

use poolhouse_postgres::PooledPostgres;
use test_servers::Postgres;
use tokio_postgres::{Error, Row};

use super::{ask, client, pool, server};
use crate::contestants::AnyError;
use crate::table::of_words;

const SCHEMA: &str = "
CREATE ROLE acme LOGIN PASSWORD 'of acme';
CREATE TABLE notes (tenant text, body text);
INSERT INTO notes VALUES ('acme', 'gold'), ('globex', 'tin');
GRANT SELECT ON notes TO acme;
GRANT SELECT, INSERT ON notes TO app;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_setting ON notes TO app USING (tenant = current_setting('app.tenant', true));
CREATE POLICY by_login ON notes TO acme USING (tenant = session_user);
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
GRANT TEMPORARY ON DATABASE postgres TO app;
";

/// What your code does before it runs what the user has sent.
const FRAME: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '5s'; SELECT set_config('app.tenant', 'acme', true)";

/// What a user wants, and the statements for it. It works if the last one says
/// `true`.
const ATTACKS: [(&str, &[&str]); 10] = [
    ("two statements in one", &["SELECT 1; SELECT true"]),
    (
        "`COMMIT`: out of your transaction",
        &["COMMIT", "SELECT current_setting('statement_timeout') = '0'"],
    ),
    (
        "another tenant, by `set_config`",
        &[
            "SELECT set_config('app.tenant', 'globex', true)",
            "SELECT count(*) > 0 FROM notes WHERE tenant = 'globex'",
        ],
    ),
    (
        "no time limit, by `SET`",
        &[
            "SET statement_timeout = 0",
            "SELECT current_setting('statement_timeout') = '0'",
        ],
    ),
    (
        "a write, although `READ ONLY`",
        &[
            "COMMIT",
            "SELECT set_config('app.tenant', 'acme', false)",
            "INSERT INTO notes VALUES ('acme', '') RETURNING true",
        ],
    ),
    (
        "the SQL of other callers",
        &[
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%AS secret' AND pid <> pg_backend_pid()",
        ],
    ),
    (
        "a temporary table",
        &["COMMIT", "CREATE TEMPORARY TABLE litter (id int)", "SELECT true"],
    ),
    ("the lock of your migrator", &["SELECT pg_try_advisory_lock(7)"]),
    ("a file of the server", &["SELECT pg_read_file('PG_VERSION') <> ''"]),
    (
        "the end of your other sessions",
        &["SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE usename = 'app' AND pid <> pg_backend_pid()"],
    ),
];

// ANCHOR: run
/// Runs one statement of a user's: the extended protocol refuses two.
async fn run(held: &PooledPostgres, sql: &str) -> Result<Vec<Row>, Error> {
    held.query_typed(sql, &[]).await
}
// ANCHOR_END: run

async fn attack(
    connection: &PooledPostgres,
    statements: &[&str],
) -> Result<String, AnyError> {
    connection.batch_execute(FRAME).await?;
    let mut last = None;
    for statement in statements {
        match run(connection, statement).await {
            Ok(rows) => {
                last = rows.first().and_then(|row| row.try_get::<_, bool>(0).ok());
            }
            Err(error) => {
                let code = error.code().ok_or("no code")?;
                return Ok(format!("refused ({})", code.code()));
            }
        }
    }
    Ok(if last == Some(true) { "**works**" } else { "has no effect" }.to_owned())
}

async fn by(
    server: &Postgres,
    url: &str,
    statements: &[&str],
) -> Result<String, AnyError> {
    // Another caller, whom the user could see or harm.
    let other = pool(server, 1)?;
    let victim = other.acquire().await?;
    ask(&victim, "SELECT 'hunter2' AS secret").await?;
    let pool =
        super::pool_with(poolhouse_postgres::PostgresManager::from_url(url)?, 1)?;
    let connection = pool.acquire().await?;
    let outcome = attack(&connection, statements).await?;
    // Nobody else shall have a session after such a user.
    connection.invalidate();
    pool.close().await;
    Ok(outcome)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    server.sql(SCHEMA)?;
    let admin = client(&server.url()).await?;
    let own =
        format!("postgres://acme:of%20acme@127.0.0.1:{}/postgres", server.port());
    let mut rows = Vec::new();
    for (what, statements) in ATTACKS {
        let shared = by(&server, &super::url(server.port()), statements).await?;
        admin.batch_execute("DELETE FROM notes WHERE body = ''").await?;
        rows.push(vec![
            what.to_owned(),
            shared,
            by(&server, &own, statements).await?,
        ]);
    }
    Ok(of_words(
        &[
            "what the user tries",
            "in your transaction, as `app`",
            "with a login of its own",
        ],
        &rows,
    ))
}
