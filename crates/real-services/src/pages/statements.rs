//! Prepared statements that grow in number.

use std::fmt::Write;

use poolhouse_postgres::PooledPostgres;

use super::{pool, say, server};
use crate::contestants::AnyError;

const COUNT: &str = "SELECT count(*) FROM pg_prepared_statements";
const SIZES: i32 = 300;

/// `IN ($1, $2, ..)`: a text for each length of the list.
async fn in_list(connection: &PooledPostgres, size: i32) -> Result<(), AnyError> {
    let mut sql = String::from("SELECT id FROM orders WHERE id IN ($1");
    for at in 2..=size {
        write!(sql, ", ${at}")?;
    }
    connection.prepare_cached(&(sql + ")")).await?;
    Ok(())
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    let pool = pool(&server, 1)?;
    let connection = pool.acquire().await?;
    for size in 1..=SIZES {
        in_list(&connection, size).await?;
    }
    // The close of what has been put out of the cache is on its way: this comes
    // behind it.
    connection.check_connection().await?;
    let mut text = format!("== IN ($1, $2, ..), with 1 to {SIZES} values\n");
    text += &format!(
        "statements in this session: {}\n",
        say(&connection, COUNT).await?
    );
    connection.clear_statements();
    connection.check_connection().await?;
    // ANCHOR: any
    const ANY: &str = "SELECT id FROM orders WHERE id = ANY($1)";
    for size in 1..=SIZES {
        let ids: Vec<i32> = (1..=size).collect();
        let select = connection.prepare_cached(ANY).await?;
        connection.query(&select, &[&ids]).await?;
    }
    // ANCHOR_END: any
    text += &format!("== = ANY($1), with 1 to {SIZES} values\n");
    text += &format!(
        "statements in this session: {}\n",
        say(&connection, COUNT).await?
    );
    Ok(text)
}
