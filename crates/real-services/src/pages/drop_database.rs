//! A database that a test cannot drop, because its own pool is connected to it.

use test_servers::Postgres;
use tokio_postgres::Client;

use super::{client, pool_with, server, told};
use crate::contestants::AnyError;

async fn outcome(admin: &Client, sql: &str) -> String {
    admin
        .batch_execute(sql)
        .await
        .map_or_else(|error| told(&error), |()| "works".to_owned())
}

async fn test_pool(
    server: &Postgres,
) -> Result<poolhouse_postgres::PostgresPool, AnyError> {
    let url = super::url(server.port()).replace("/postgres", "/t1");
    let pool = pool_with(poolhouse_postgres::PostgresManager::from_url(&url)?, 2)?;
    // Held, used and given back: nobody has a connection now, and the session is
    // open.
    pool.acquire().await?.check_connection().await?;
    Ok(pool)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    let admin = client(&server.url()).await?;
    admin.batch_execute("CREATE DATABASE t1").await?;
    let pool = test_pool(&server).await?;
    let mut text = String::from("== an idle connection is in the pool\n");
    text += &format!(
        "DROP DATABASE t1:\n  {}\n",
        outcome(&admin, "DROP DATABASE t1").await
    );
    text += &format!(
        "CREATE DATABASE t2 TEMPLATE t1:\n  {}\n",
        outcome(&admin, "CREATE DATABASE t2 TEMPLATE t1").await
    );
    // ANCHOR: close
    pool.close().await;
    admin.batch_execute("DROP DATABASE t1").await?;
    // ANCHOR_END: close
    text += "== after pool.close()\nDROP DATABASE t1:\n  works\n";

    admin.batch_execute("CREATE DATABASE t1").await?;
    let pool = test_pool(&server).await?;
    text += "== with a pool that nobody closes\n";
    text += &format!(
        "DROP DATABASE t1 WITH (FORCE):\n  {}\n",
        outcome(&admin, "DROP DATABASE t1 WITH (FORCE)").await
    );
    pool.check_now().await;
    let error = pool.acquire().await.err().ok_or("the database has gone")?;
    let missing = error.to_string().contains("3D000");
    text += &format!(
        "the next acquire says that the database is missing (3D000): {missing}\n"
    );
    Ok(text)
}
