//! What a session remembers of the schema: plans, and types.

use poolhouse_postgres::PooledPostgres;
use tokio_postgres::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use super::{client, pool, server, told};
use crate::contestants::AnyError;

const STAR: &str = "SELECT * FROM orders";
const NAMED: &str = "SELECT id, state FROM orders";

async fn cached(connection: &PooledPostgres, sql: &str) -> Result<usize, Error> {
    let statement = connection.prepare_cached(sql).await?;
    Ok(connection.query(&statement, &[]).await?.len())
}

fn outcome<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| told(&error), |_| "works".to_owned())
}

pub(super) async fn plans() -> Result<String, AnyError> {
    let server = server()?;
    let (owner, pool) = (client(&server.url()).await?, pool(&server, 1)?);
    let mut connection = pool.acquire().await?;
    cached(&connection, STAR).await?;
    cached(&connection, NAMED).await?;
    owner.batch_execute("ALTER TABLE orders ADD COLUMN note text").await?;
    let mut text = String::from("== after ALTER TABLE ... ADD COLUMN\n");
    text += &format!("{NAMED}: {}\n", outcome(cached(&connection, NAMED).await));
    text += &format!("{STAR}: {}\n", outcome(cached(&connection, STAR).await));
    text +=
        &format!("the same again: {}\n", outcome(cached(&connection, STAR).await));

    owner.batch_execute("ALTER TABLE orders DROP COLUMN note").await?;
    text += "== in a transaction\n";
    let transaction = connection.transaction().await?;
    let statement = transaction.prepare_cached(STAR).await?;
    text +=
        &format!("{STAR}: {}\n", outcome(transaction.query(&statement, &[]).await));
    text += &format!(
        "the same again: {}\n",
        outcome(transaction.prepare_cached(STAR).await)
    );
    transaction.rollback().await?;
    text += &format!(
        "in another transaction: {}\n",
        outcome(cached(&connection, STAR).await)
    );
    Ok(text)
}

/// A value of any enum. What `#[derive(ToSql)]` makes would look at the names of
/// all values first.
#[derive(Debug)]
struct Value(&'static str);

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The number of a type differs from server to server.
fn without_numbers(text: &str) -> String {
    let words = text
        .split(' ')
        .map(|word| if word.parse::<u32>().is_ok() { "<oid>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// How many values an enum has, as the driver of this session believes.
async fn values(connection: &PooledPostgres, sql: &str) -> Result<usize, AnyError> {
    let statement = connection.prepare(sql).await?;
    match statement.params()[0].kind() {
        Kind::Enum(values) => Ok(values.len()),
        other => Err(format!("no enum, but {other:?}").into()),
    }
}

async fn with_value(connection: &PooledPostgres, sql: &str) -> Result<(), Error> {
    let statement = connection.prepare_cached(sql).await?;
    connection.query(&statement, &[&Value("fine")]).await.map(drop)
}

pub(super) async fn types() -> Result<String, AnyError> {
    const SQL: &str = "SELECT $1::mood";
    const READ: &str = "SELECT count(*) FROM diary WHERE mood = 'fine'";
    let server = server()?;
    let (owner, pool) = (client(&server.url()).await?, pool(&server, 2)?);
    owner
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('fine', 'sad'); CREATE TABLE diary (mood mood); \
             GRANT SELECT ON diary TO app",
        )
        .await?;
    let old = pool.acquire().await?;
    let mut text = String::from("== ALTER TYPE mood ADD VALUE\n");
    text += &format!("values before: {}\n", values(&old, SQL).await?);
    owner.batch_execute("ALTER TYPE mood ADD VALUE 'proud'").await?;
    text += &format!("the same connection after: {}\n", values(&old, SQL).await?);
    let new = pool.acquire().await?;
    text += &format!(
        "a connection that learns the type now: {}\n",
        values(&new, SQL).await?
    );
    old.clear_type_cache();
    text += &format!(
        "the first one after clear_type_cache: {}\n",
        values(&old, SQL).await?
    );

    text += "== the type is dropped and made again\n";
    cached(&old, READ).await?;
    let kept = old.prepare_cached(SQL).await?;
    owner
        .batch_execute(
            "BEGIN; ALTER TYPE mood RENAME TO mood_before; CREATE TYPE mood AS ENUM ('fine', 'glum'); \
             ALTER TABLE diary ALTER COLUMN mood TYPE mood USING NULL; DROP TYPE mood_before; COMMIT",
        )
        .await?;
    text += &format!(
        "a statement without a parameter of the type: {}\n",
        outcome(cached(&old, READ).await)
    );
    let failed = outcome(old.query(&kept, &[&Value("fine")]).await);
    text += &format!("one with such a parameter: {}\n", without_numbers(&failed));
    let failed = outcome(with_value(&old, SQL).await);
    text += &format!(
        "the same, from prepare_cached again: {}\n",
        without_numbers(&failed)
    );
    pool.invalidate_all();
    drop((old, new));
    let renewed = pool.acquire().await?;
    text += &format!(
        "the same, after invalidate_all: {}\n",
        outcome(with_value(&renewed, SQL).await)
    );
    Ok(text)
}
