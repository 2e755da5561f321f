//! Where a password, or what a user has stored, shows up in texts.

use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use poolhouse_postgres::PostgresManager;
use tokio_postgres::Error;

use super::{pool, pool_with, server, url};
use crate::contestants::AnyError;

const SECRET: &str = "hunter2";

fn shows(what: &str, text: &str) -> String {
    format!(
        "{what}: {}\n",
        if text.contains(SECRET) { "SHOWS IT" } else { "does not" }
    )
}

async fn of_the_pool(port: u16) -> Result<String, AnyError> {
    let right = url(port).replace("secret", SECRET);
    let mut text = String::from("== the password, in a text of the pool's\n");
    let manager = PostgresManager::from_url(&right)?;
    text += &shows("{:?} of the manager", &format!("{manager:?}"));
    let pool = pool_with(manager, 1)?;
    text += &shows("{:?} of the pool", &format!("{pool:?}"));
    let error = pool.acquire().await.err().ok_or("the password is wrong")?;
    text += &shows(
        "the error of a login",
        &format!("{error} {error:?} {:?}", error.source()),
    );
    let absent = pool_with(
        PostgresManager::from_url(&right.replace(&port.to_string(), "1"))?,
        1,
    )?;
    let error = absent
        .acquire_within(Duration::from_millis(300))
        .await
        .err()
        .ok_or("nobody listens")?;
    text += &shows("the error of a connect", &format!("{error} {error:?}"));
    let error =
        PostgresManager::from_url(&right.replace(&port.to_string(), "port"))
            .err()
            .ok_or("no port")?;
    text += &shows(
        "the error of a URL with a wrong port",
        &format!("{error} {error:?} {:?}", error.source()),
    );
    Ok(text)
}

fn of_drivers() -> Result<String, AnyError> {
    let postgres = format!("postgres://app:{SECRET}@db.example/shop");
    let mut text = String::from("== the password, in {:?} of a driver's options\n");
    text += &shows(
        "tokio_postgres::Config",
        &format!("{:?}", tokio_postgres::Config::from_str(&postgres)?),
    );
    let sqlx = sqlx::postgres::PgConnectOptions::from_str(&postgres)?;
    text += &shows("sqlx PgConnectOptions", &format!("{sqlx:?}"));
    let mysql = mysql_async::Opts::from_url(&format!(
        "mysql://app:{SECRET}@db.example/shop"
    ))?;
    text += &shows("mysql_async::Opts", &format!("{mysql:?}"));
    let redis = redis::Client::open(format!("redis://app:{SECRET}@db.example/"))?;
    text += &shows("redis::Client", &format!("{redis:?}"));
    Ok(text)
}

async fn fails(
    work: impl Future<Output = Result<(), Error>>,
) -> Result<Error, AnyError> {
    work.await.err().ok_or_else(|| "it did not fail".into())
}

async fn of_the_server() -> Result<String, AnyError> {
    let server = server()?;
    server.sql(
        "CREATE TABLE users (email text UNIQUE); GRANT ALL ON users TO app; INSERT INTO users VALUES ('hunter2')",
    )?;
    let pool = pool(&server, 1)?;
    let connection = pool.acquire().await?;
    let mut text = String::from("== what a user has stored\n");
    let error =
        fails(connection.batch_execute("INSERT INTO users VALUES ('hunter2')"))
            .await?;
    text += &shows("{} of a unique violation", &error.to_string());
    text += &shows(
        "{} of its source",
        &error.source().map(ToString::to_string).unwrap_or_default(),
    );
    let message = error.as_db_error().map(|error| error.message().to_owned());
    text += &shows("its message alone", &message.unwrap_or_default());

    text += "== a value, in the server's log when the statement fails\n";
    let before = server.log().len();
    let divide = connection.prepare("SELECT 1 / 0, $1::text").await?;
    fails(async { connection.query(&divide, &[&SECRET]).await.map(drop) }).await?;
    let log = server.log();
    text += &shows("as a parameter", &log[before..]);
    let before = log.len();
    fails(connection.batch_execute("SELECT 1 / 0, 'hunter2'")).await?;
    text += &shows("written into the SQL", &server.log()[before..]);
    Ok(text)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    Ok(of_the_pool(server.port()).await?
        + &of_drivers()?
        + &of_the_server().await?)
}
