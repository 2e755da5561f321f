//! What a server may say to a login, and what the pool makes of it. The server here knows one sentence.

use poolhouse::FailureKind::{self, Busy, Permanent, Transient};
use poolhouse::Manager;
use poolhouse_postgres::PostgresManager;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::Result;

/// Answers the next startup message with an error.
async fn refuse(listener: &TcpListener, code: &str, message: &str) -> Result {
    let (mut stream, _) = listener.accept().await?;
    let length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let mut answer = vec![b'E'];
    answer.extend_from_slice(&u32::try_from(4 + fields.len())?.to_be_bytes());
    answer.extend_from_slice(fields.as_bytes());
    stream.write_all(&answer).await?;
    Ok(stream.shutdown().await?)
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_its_advice() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("postgres://app:secret@127.0.0.1:{}/shop", listener.local_addr()?.port());
    let manager = PostgresManager::from_url(&url)?;
    let cases: [(&str, &str, FailureKind, &str); 16] = [
        ("28P01", "password authentication failed for user \"app\"", Permanent, "check the password"),
        ("28000", "no pg_hba.conf entry for host", Permanent, "pg_hba.conf"),
        ("3D000", "database \"shop\" does not exist", Permanent, "name of the database"),
        ("42501", "permission denied for database \"shop\"", Permanent, "GRANT CONNECT"),
        ("53300", "sorry, too many clients already", Busy, "lower max_connections of the pools"),
        ("08P01", "no more connections allowed (max_client_conn)", Busy, "raise max_client_conn"),
        ("08P01", "password authentication failed", Permanent, "check the password"),
        ("08P01", "SASL authentication failed", Permanent, "check the password"),
        ("08P01", "no such user: app", Permanent, "check the user"),
        ("08P01", "no such database: shop", Permanent, "[databases]"),
        (
            "08P01",
            "server login has been failing, cached error: password authentication failed for user \"app\"",
            Transient,
            "log",
        ),
        ("08P01", "bouncer config error", Transient, "see the server's log"),
        ("08P01", "invalid startup packet", Transient, "see the server's log"),
        ("57P03", "the database system is starting up", Transient, "wait"),
        ("57P01", "terminating connection due to administrator command", Transient, "wait"),
        ("XX000", "cache lookup failed", Transient, "see the server's log"),
    ];
    for (code, message, kind, advice) in cases {
        let (refused, told) = tokio::join!(manager.connect(), refuse(&listener, code, message));
        told?;
        let error = refused.expect_err(message);
        assert_eq!((error.kind(), manager.classify(&error)), (kind, kind), "{code}");
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some(code));
        let text = error.to_string();
        assert!(text.contains(code) && text.contains(advice), "{text}");
        let source = std::error::Error::source(&error).expect("the server's own words");
        assert_eq!(source.to_string(), format!("FATAL: {message}"));
        assert!(!format!("{error:?}{manager:?}").contains("secret"));
    }
    Ok(())
}
