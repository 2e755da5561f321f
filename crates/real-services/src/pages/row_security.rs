//! Row security under a pool: whom a policy binds, what leaks, and what does not.

use poolhouse_postgres::{PooledPostgres, Transaction};
use test_servers::Postgres;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::{ask, client, pool, say, server, told};
use crate::contestants::AnyError;

const SCHEMA: &str = "
CREATE ROLE owner;
CREATE ROLE auditor BYPASSRLS;
CREATE ROLE accounting;
GRANT accounting TO app;
CREATE TABLE notes (tenant text, body text);
INSERT INTO notes VALUES ('acme', 'gold'), ('globex', 'tin');
ALTER TABLE notes OWNER TO owner;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON notes USING (tenant = current_setting('app.tenant', true));
CREATE VIEW plain AS SELECT * FROM notes;
CREATE VIEW invoker WITH (security_invoker = on) AS SELECT * FROM notes;
ALTER VIEW plain OWNER TO owner;
ALTER VIEW invoker OWNER TO owner;
GRANT SELECT, INSERT ON notes TO app, auditor;
GRANT SELECT ON plain, invoker TO app;
CREATE TABLE rooms (tenant int);
INSERT INTO rooms VALUES (1), (2);
GRANT SELECT ON rooms TO app;
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
";

const ROWS: &str = "SELECT count(*) FROM notes";

// ANCHOR: as_tenant
/// A transaction that sees one tenant. The setting ends with it, however it ends.
async fn as_tenant<'held>(
    connection: &'held mut PooledPostgres,
    tenant: &str,
) -> Result<Transaction<'held>, Error> {
    const SET: &str = "SELECT set_config('app.tenant', $1, true)";
    let transaction = connection.transaction().await?;
    let set = transaction.prepare_cached(SET).await?;
    transaction.execute(&set, &[&tenant]).await?;
    Ok(transaction)
}
// ANCHOR_END: as_tenant

async fn rows(transaction: &Transaction<'_>) -> Result<i64, Error> {
    Ok(transaction.query_one(ROWS, &[]).await?.get(0))
}

/// The tenant is acme, and one of the two rows is acme's.
async fn bound(server: &Postgres) -> Result<String, AnyError> {
    let admin = client(&server.url()).await?;
    let mut text = String::from("rows that each of them sees\n");
    admin.batch_execute("SELECT set_config('app.tenant', 'acme', false)").await?;
    for (who, before, sql) in [
        ("app", "SET ROLE app", ROWS),
        (
            "app, by a view of the owner's",
            "SET ROLE app",
            "SELECT count(*) FROM plain",
        ),
        (
            "app, by a view with security_invoker",
            "SET ROLE app",
            "SELECT count(*) FROM invoker",
        ),
        ("the owner", "SET ROLE owner", ROWS),
        (
            "the owner, with FORCE",
            "ALTER TABLE notes FORCE ROW LEVEL SECURITY; SET ROLE owner",
            ROWS,
        ),
        ("a role with BYPASSRLS, with FORCE", "SET ROLE auditor", ROWS),
        ("a superuser, with FORCE", "RESET ROLE", ROWS),
    ] {
        admin.batch_execute("RESET ROLE").await?;
        admin.batch_execute(before).await?;
        text += &format!("- {who}: {}\n", say(&admin, sql).await?);
    }
    Ok(text)
}

async fn for_the_session(server: &Postgres) -> Result<String, AnyError> {
    let pool = pool(server, 1)?;
    let mut text = String::from("== set for the session\n");
    let first = pool.acquire().await?;
    ask(&first, "SELECT set_config('app.tenant', 'acme', false)").await?;
    drop(first);
    let next =
        say(&*pool.acquire().await?, "SELECT string_agg(tenant, ', ') FROM notes")
            .await?;
    text += &format!("the next caller, who set nothing, sees rows of: {next}\n");
    Ok(text)
}

async fn for_the_transaction(server: &Postgres) -> Result<String, AnyError> {
    const SETTING: &str =
        "SELECT quote_nullable(current_setting('app.tenant', true))";
    const ROOMS: &str = "SELECT count(*) FROM rooms";
    let pool = pool(server, 1)?;
    let mut text = String::from("== set for the transaction\n");
    let mut connection = pool.acquire().await?;
    text += &format!("a new session has: {}\n", say(&connection, SETTING).await?);
    let acme = as_tenant(&mut connection, "acme").await?;
    text += &format!("acme sees {} of 2 rows\n", rows(&acme).await?);
    let insert = "INSERT INTO notes VALUES ('globex', 'a forged note')";
    let refused =
        acme.execute(insert, &[]).await.map(drop).err().map(|error| told(&error));
    text += &format!(
        "acme writes a row of globex: {}\n",
        refused.unwrap_or_else(|| "works".to_owned())
    );
    drop(acme);
    drop(connection);
    let next = pool.acquire().await?;
    text += &format!(
        "the next caller, who set nothing, sees {} of 2 rows\n",
        say(&next, ROWS).await?
    );
    ask(&next, "SELECT set_config('app.tenant', 'acme', true)").await?;
    text += &format!(
        "the same, with true outside of a transaction: {}\n",
        say(&next, ROWS).await?
    );

    text +=
        &format!("== a setting that has ended is {}\n", say(&next, SETTING).await?);
    for (name, condition) in [
        (
            "current_setting('app.tenant', true)::int",
            "current_setting('app.tenant', true)::int",
        ),
        (
            "nullif(current_setting('app.tenant', true), '')::int",
            "nullif(current_setting('app.tenant', true), '')::int",
        ),
    ] {
        server.sql(&format!(
            "DROP POLICY IF EXISTS by_tenant ON rooms; CREATE POLICY by_tenant ON rooms USING (tenant = {condition})"
        ))?;
        let outcome = match say(&next, ROOMS).await {
            Ok(rows) => format!("{rows} rows"),
            Err(error) => told(&error),
        };
        text += &format!("a policy with {name}:\n  {outcome}\n");
    }
    Ok(text)
}

// ANCHOR: unbound
/// What of the login and of its tables is not bound by any policy. None is right.
const UNBOUND: &str = "
    SELECT 'the role ' || rolname FROM pg_roles
        WHERE rolname = current_user AND (rolsuper OR rolbypassrls)
    UNION ALL SELECT 'the table ' || relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND (NOT relrowsecurity
            OR relowner = current_user::regrole AND NOT relforcerowsecurity)
    UNION ALL SELECT 'the view ' || relname FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
        AND NOT 'security_invoker=on' = ANY (coalesce(reloptions, '{}'))
    ORDER BY 1";
// ANCHOR_END: unbound

// ANCHOR: refusal
/// A refusal proves something only beside the same statement that is allowed.
async fn only_own_rows(connection: &mut PooledPostgres) -> Result<(), AnyError> {
    const WRITE: &str = "INSERT INTO notes VALUES ($1, 'a note')";
    const OF_GLOBEX: &str = "SELECT count(*) FROM notes WHERE tenant = 'globex'";
    let acme = as_tenant(connection, "acme").await?;
    assert_eq!(acme.execute(WRITE, &[&"acme"]).await?, 1);
    let seen: i64 = acme.query_one(OF_GLOBEX, &[]).await?.get(0);
    assert_eq!(seen, 0);
    let error = acme.execute(WRITE, &[&"globex"]).await.expect_err("of globex");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    drop(acme);
    // The rows are there, for the one who may see them.
    let globex = as_tenant(connection, "globex").await?;
    let seen: i64 = globex.query_one(OF_GLOBEX, &[]).await?.get(0);
    assert_eq!(seen, 1);
    Ok(())
}
// ANCHOR_END: refusal

/// The query finds what the example's schema has on purpose, and the test passes.
async fn tested(server: &Postgres) -> Result<String, AnyError> {
    let pool = pool(server, 1)?;
    let mut connection = pool.acquire().await?;
    only_own_rows(&mut connection).await?;
    let mut text = String::new();
    for row in connection.query_typed(UNBOUND, &[]).await? {
        text += &format!("{}\n", row.try_get::<_, String>(0)?);
    }
    Ok(text)
}

async fn roles(server: &Postgres) -> Result<String, AnyError> {
    const WHO: &str = "SELECT current_user";
    let pool = pool(server, 1)?;
    let mut text = String::from("== SET LOCAL ROLE accounting\n");
    let connection = pool.acquire().await?;
    connection.batch_execute("BEGIN; SET LOCAL ROLE accounting").await?;
    text += &format!("in the transaction: {}\n", say(&connection, WHO).await?);
    connection.batch_execute("RESET ROLE").await?;
    text += &format!(
        "after RESET ROLE, which nobody can forbid: {}\n",
        say(&connection, WHO).await?
    );
    connection.batch_execute("SET LOCAL ROLE accounting").await?;
    drop(connection);
    text +=
        &format!("the next caller: {}\n", say(&*pool.acquire().await?, WHO).await?);
    text += "== SET ROLE accounting\n";
    pool.acquire().await?.batch_execute("SET ROLE accounting").await?;
    text +=
        &format!("the next caller: {}\n", say(&*pool.acquire().await?, WHO).await?);
    Ok(text)
}

fn stage() -> Result<Postgres, AnyError> {
    let server = server()?;
    server.sql(SCHEMA)?;
    Ok(server)
}

pub(super) async fn whom() -> Result<String, AnyError> {
    bound(&stage()?).await
}

pub(super) async fn tenant() -> Result<String, AnyError> {
    let server = stage()?;
    Ok(for_the_session(&server).await? + &for_the_transaction(&server).await?)
}

pub(super) async fn unbound() -> Result<String, AnyError> {
    tested(&stage()?).await
}

pub(super) async fn set_role() -> Result<String, AnyError> {
    roles(&stage()?).await
}
