//! What sockets alone show, and lower bounds on real time.

use std::io;
use std::time::{Duration, Instant};

use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::net::TcpStream;

use crate::client::{Client, in_time, replying};

#[tokio::test]
async fn the_server_tells_where_it_is() {
    let server = EchoServer::start().await.unwrap();
    assert_eq!(server.host(), "127.0.0.1");
    assert_ne!(server.port(), 0);
    assert_eq!(server.addr().to_string(), format!("{}:{}", server.host(), server.port()));
    assert_eq!(server.try_addr(), Some(server.addr()));
    TcpStream::connect((server.host(), server.port())).await.unwrap();
}

#[tokio::test]
async fn a_host_name_will_do() {
    let server = EchoServer::builder().listen("localhost:0").start().await.unwrap();
    let mut client = Client::connect(&server).await.unwrap();
    assert_eq!(client.ask(b"hi").await.as_deref(), Some(&b"hi"[..]));
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let first = EchoServer::start().await.unwrap();
    let taken = first.addr().to_string();
    let error = EchoServer::builder().listen(taken.as_str()).start().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("cannot listen on `{taken}`: ")), "{error}");
}

#[tokio::test]
async fn an_address_without_a_port_is_an_error_that_shows_a_right_one() {
    let error = EchoServer::builder().listen("127.0.0.1").start().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on `127.0.0.1`: "), "{error}");
    assert!(error.to_string().ends_with("such as 127.0.0.1:0"), "{error}");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    in_time(async {
        let server = EchoServer::builder().faults(replying(Reply::Reset)).start().await.unwrap();
        let mut client = Client::connect(&server).await.unwrap();
        client.send(b"hello").await;
        assert_eq!(client.receive_rest().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let counts = server.wait_for(|counts| counts.accepted == 1 && counts.open == 0).await;
        assert_eq!((counts.frames_received, counts.frames_sent), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_refused_client_connects_and_reads_the_end() {
    in_time(async {
        let faults = Faults { max_connections: Some(0), ..Faults::default() };
        let server = EchoServer::builder().faults(faults).start().await.unwrap();
        let mut client =
            Client::connect(&server).await.expect("the system accepts before the server refuses");
        assert_eq!(client.receive_rest().await.unwrap(), b"");
        let counts = server.wait_for(|counts| counts.refused == 1).await;
        assert_eq!((counts.accepted, counts.open, counts.peak_open), (0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn latency_is_at_least_what_was_asked() {
    in_time(async {
        let latency = Duration::from_millis(20);
        let faults = Faults { latency: Some(latency), ..Faults::default() };
        let server = EchoServer::builder().faults(faults).start().await.unwrap();
        let mut client = Client::connect(&server).await.unwrap();
        let asked = Instant::now();
        client.ask(b"?").await.unwrap();
        assert!(asked.elapsed() >= latency);
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_closes() {
    in_time(async {
        let faults = Faults { close_idle_after: Some(Duration::from_millis(5)), ..Faults::default() };
        let server = EchoServer::builder().faults(faults).start().await.unwrap();
        let mut client = Client::connect(&server).await.unwrap();
        assert_eq!(client.receive_rest().await.unwrap(), b"");
    })
    .await;
}

#[tokio::test]
async fn the_pipes_connect_is_not_for_sockets() {
    let server = EchoServer::start().await.unwrap();
    let error = server.connect().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("addr()"), "{error}");
}
