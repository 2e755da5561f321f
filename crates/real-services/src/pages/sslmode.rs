//! What the modes of TLS verify: libpq, and poolhouse-postgres over rustls.

use std::path::Path;

use poolhouse_postgres::{PostgresManager, Tls};
use test_servers::{Postgres, ServerError};

use super::{client, pool_with, say};
use crate::contestants::AnyError;
use crate::table::of_words;

const MODES: [&str; 6] =
    ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const SECURE: &str = "SELECT CASE WHEN ssl THEN 'TLS' ELSE 'plain' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A self-signed certificate for `localhost`, in PEM, and its key.
fn certificate() -> Result<(String, String), AnyError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

/// What the client knows, and what it meets.
struct Case<'a> {
    heading: &'static str,
    server: &'a Postgres,
    host: &'static str,
    root: Option<&'a str>,
}

fn by_libpq(
    case: &Case<'_>,
    mode: &str,
    folder: &Path,
) -> Result<String, AnyError> {
    let file = folder.join("roots.pem");
    match case.root {
        Some(root) => std::fs::write(&file, root)?,
        None if file.exists() => std::fs::remove_file(&file)?,
        None => {}
    }
    let conninfo = format!(
        "host={} hostaddr=127.0.0.1 port={} user=postgres dbname=postgres sslmode={mode} sslrootcert={}",
        case.host,
        case.server.port(),
        file.display()
    );
    match case.server.libpq(&conninfo, SECURE) {
        Ok(answer) => Ok(answer),
        Err(ServerError::Refused { .. }) => Ok("refused".to_owned()),
        Err(error) => Err(error.into()),
    }
}

async fn by_poolhouse(case: &Case<'_>, mode: &str) -> Result<String, AnyError> {
    let url = format!(
        "postgres://postgres@{}:{}/postgres?hostaddr=127.0.0.1&sslmode={mode}",
        case.host,
        case.server.port()
    );
    let Ok(manager) = PostgresManager::from_url(&url) else {
        return Ok("unknown".to_owned());
    };
    let tls = case
        .root
        .map_or_else(|| Ok(Tls::new()), |root| Tls::with_roots(root.as_bytes()))?;
    let pool = pool_with(manager.tls(tls), 1)?;
    let answer = match pool.acquire_within(std::time::Duration::from_secs(2)).await
    {
        Ok(connection) => say(&connection, SECURE).await?,
        Err(_) => "refused".to_owned(),
    };
    pool.close().await;
    Ok(answer)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let (own, key) = certificate()?;
    let (other, _) = certificate()?;
    let (server, plain) =
        (Postgres::start_with_tls(&own, &key)?, Postgres::start()?);
    let folder = server.folder().to_owned();
    // The server is up, for either client.
    client(&server.url()).await?;
    let case = |heading, server, host, root| Case { heading, server, host, root };
    let cases = [
        case("no root", &server, "localhost", None),
        case("its root", &server, "localhost", Some(own.as_str())),
        case("its root, another name", &server, "db.example", Some(own.as_str())),
        case("another root", &server, "localhost", Some(other.as_str())),
        case("a server without TLS", &plain, "localhost", Some(own.as_str())),
    ];
    let mut rows = Vec::new();
    for mode in MODES {
        let mut row = vec![format!("`{mode}`, libpq")];
        for case in &cases {
            row.push(by_libpq(case, mode, &folder)?);
        }
        rows.push(row);
    }
    for mode in MODES {
        let mut row = vec![format!("`{mode}`, the adapter")];
        for case in &cases {
            row.push(by_poolhouse(case, mode).await?);
        }
        rows.push(row);
    }
    let header: Vec<&str> = ["`sslmode`"]
        .into_iter()
        .chain(cases.iter().map(|case| case.heading))
        .collect();
    Ok(of_words(&header, &rows))
}
