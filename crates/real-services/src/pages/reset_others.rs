//! What a session of MariaDB and of Redis keeps, and what undoes it.

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Opts, OptsBuilder};
use redis::aio::MultiplexedConnection;

use crate::contestants::AnyError;
use crate::table::of_words;

const MARIADB: [[&str; 3]; 12] = [
    [
        "an open transaction",
        "START TRANSACTION; INSERT INTO kept VALUES (1)",
        "SELECT @@in_transaction",
    ],
    ["a variable, `SET @x`", "SET @x = 7", "SELECT @x"],
    ["`SET time_zone`", "SET time_zone = '+09:00'", "SELECT @@time_zone"],
    [
        "the isolation level of the session",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SELECT @@tx_isolation",
    ],
    ["`SET autocommit = 0`", "SET autocommit = 0", "SELECT @@autocommit"],
    ["`SET ROLE`", "SET ROLE reader", "SELECT CURRENT_ROLE()"],
    [
        "a temporary table",
        "CREATE TEMPORARY TABLE litter (id int)",
        "SELECT count(*) FROM litter",
    ],
    [
        "`GET_LOCK`",
        "SELECT GET_LOCK('litter', 0)",
        "SELECT IS_USED_LOCK('litter') = CONNECTION_ID()",
    ],
    ["`LOCK TABLES`", "LOCK TABLES kept READ", "SELECT count(*) FROM other"],
    ["`PREPARE` in SQL", "PREPARE litter FROM 'SELECT 1'", "EXECUTE litter"],
    [
        "`LAST_INSERT_ID()`",
        "INSERT INTO counted VALUES (NULL)",
        "SELECT LAST_INSERT_ID()",
    ],
    ["the database, `USE`", "USE mysql", "SELECT DATABASE()"],
];

async fn seen(conn: &mut Conn, probe: &str) -> String {
    match conn.query_first::<Option<String>, _>(probe).await {
        Ok(value) => value.flatten().unwrap_or_default(),
        Err(mysql_async::Error::Server(error)) => error.code.to_string(),
        Err(error) => error.to_string(),
    }
}

async fn kept_by_mariadb(
    opts: &Opts,
    reset: usize,
    state: [&str; 3],
) -> Result<String, AnyError> {
    let [name, litter, probe] = state;
    let mut conn = Conn::new(opts.clone()).await?;
    let fresh = seen(&mut conn, probe).await;
    for statement in litter.split("; ") {
        conn.query_drop(statement).await?;
    }
    if seen(&mut conn, probe).await == fresh {
        return Err(format!("{name}: nothing to see").into());
    }
    match reset {
        0 => conn.query_drop("ROLLBACK").await?,
        1 if !conn.reset().await? => {
            return Err("the server has no COM_RESET_CONNECTION".into());
        }
        1 => {}
        _ => conn.change_user(ChangeUserOpts::default()).await?,
    }
    let now = seen(&mut conn, probe).await;
    conn.disconnect().await?;
    Ok(if now == fresh { "gone" } else { "stays" }.to_owned())
}

pub(super) async fn mariadb() -> Result<String, AnyError> {
    let server = test_servers::MariaDb::start()?;
    server.sql(
        "CREATE TABLE kept (n int); CREATE TABLE other (n int); CREATE ROLE reader; \
         CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY)",
    )?;
    let opts: Opts = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port())
        .user(Some("root"))
        .db_name(Some("test"))
        .prefer_socket(Some(false))
        .into();
    let mut rows = Vec::new();
    for state in MARIADB {
        let mut row = vec![state[0].to_owned()];
        for reset in 0..3 {
            row.push(kept_by_mariadb(&opts, reset, state).await?);
        }
        rows.push(row);
    }
    let header = [
        "left behind",
        "`ROLLBACK`",
        "`COM_RESET_CONNECTION`",
        "`COM_CHANGE_USER`",
    ];
    Ok(of_words(&header, &rows))
}

/// What it is, the commands that leave it behind, and the field of `CLIENT INFO`
/// that shows it.
const REDIS: [[&str; 3]; 7] = [
    ["`MULTI`", "MULTI", "multi"],
    ["`SELECT 3`", "SELECT 3", "db"],
    ["`AUTH` as another user", "AUTH other secret", "user"],
    ["`CLIENT SETNAME`", "CLIENT SETNAME litter", "name"],
    ["`CLIENT TRACKING ON`", "CLIENT TRACKING ON BCAST", "flags"],
    ["`HELLO 3`", "HELLO 3", "resp"],
    ["`CLIENT NO-EVICT ON`", "CLIENT NO-EVICT ON", "flags"],
];

async fn command(
    connection: &mut MultiplexedConnection,
    words: &str,
) -> redis::RedisResult<redis::Value> {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    command.query_async(connection).await
}

/// A field of `CLIENT LIST` for this connection, asked by another one: inside
/// `MULTI` no question is answered.
async fn field(
    watcher: &mut MultiplexedConnection,
    id: i64,
    name: &str,
) -> Result<String, AnyError> {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .arg("ID")
        .arg(id)
        .query_async(watcher)
        .await?;
    let value = list
        .split(' ')
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    Ok(value.ok_or_else(|| format!("no field {name} in {list}"))?.to_owned())
}

async fn kept_by_redis(
    client: &redis::Client,
    reset: &str,
    state: [&str; 3],
) -> Result<String, AnyError> {
    let [name, litter, shown] = state;
    let mut watcher = client.get_multiplexed_async_connection().await?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let id: i64 =
        redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
    let fresh = field(&mut watcher, id, shown).await?;
    command(&mut connection, litter).await?;
    if field(&mut watcher, id, shown).await? == fresh {
        return Err(format!("{name}: nothing to see").into());
    }
    // DISCARD is an error where there is no MULTI.
    let _ = command(&mut connection, reset).await;
    Ok(if field(&mut watcher, id, shown).await? == fresh {
        "gone"
    } else {
        "stays"
    }
    .to_owned())
}

pub(super) async fn redis() -> Result<String, AnyError> {
    let server = test_servers::Redis::start()?;
    server.command(&["ACL", "SETUSER", "other", "on", ">secret", "+@all", "~*"])?;
    let client = redis::Client::open(server.url())?;
    let mut rows = Vec::new();
    for state in REDIS {
        let mut row = vec![state[0].to_owned()];
        for reset in ["DISCARD", "RESET"] {
            row.push(kept_by_redis(&client, reset, state).await?);
        }
        rows.push(row);
    }
    Ok(of_words(&["left behind", "`DISCARD`", "`RESET`"], &rows))
}
