//! How a server ends: by `stop`, by drop, with its runtime or after it.

use std::io;

use poolhouse_echo::{Connector, EchoServer};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::client::{Client, in_time, on_both_transports};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn is_refused(connector: &Connector) -> bool {
    connector.connect().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn is_send_sync<T: Clone + Send + Sync + 'static>(_: &T) {}

on_both_transports! {
    fn stop_waits_until_all_is_closed(server = EchoServer::builder()) {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = Client::connect(&server).await.unwrap();
            client.ask(b"in").await.unwrap();
            clients.push(client);
        }
        server.stop().await;
        assert_eq!((server.counts().open, server.counts().accepted), (0, 3));
        for client in &mut clients {
            client.closed().await;
        }
        let error = Client::connect(&server).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(server.counts().refused, 0, "refused is for the cap");
        server.stop().await;
    }

    fn drop_ends_every_connection(server = EchoServer::builder()) {
        let mut idle = Client::connect(&server).await.unwrap();
        let mut stuck = Client::connect(&server).await.unwrap();
        idle.ask(b"in").await.unwrap();
        // This one is in the middle of a write that cannot end, for nobody reads.
        stuck.send(&vec![0; 16 * 1024 * 1024]).await;
        server.wait_for(|counts| counts.frames_sent == 2).await;
        drop(server);
        idle.closed().await;
        // What it finds depends on what the transport had taken in; that it finds an end does not.
        let _ = stuck.receive_rest().await;
    }
}

#[tokio::test]
async fn drop_closes_the_port_before_it_returns() {
    let server = EchoServer::start().await.unwrap();
    let addr = server.addr();
    drop(server);
    // A connect that blocks this thread, so that no task of the server can run in between.
    let error = std::net::TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn drop_needs_no_runtime() {
    let runtime = runtime();
    let (server, mut client) = runtime.block_on(async {
        let server = EchoServer::start().await.unwrap();
        let mut client = Client::connect(&server).await.unwrap();
        client.ask(b"in").await.unwrap();
        (server, client)
    });
    std::thread::spawn(move || drop(server)).join().unwrap();
    runtime.block_on(in_time(client.closed()));
}

#[test]
fn the_server_may_outlive_its_runtime() {
    let runtime = runtime();
    let socket = runtime.block_on(EchoServer::start()).unwrap();
    let pipe = runtime.block_on(async { EchoServer::in_memory() });
    let clients = runtime
        .block_on(async { (Client::connect(&socket).await.unwrap(), Client::connect(&pipe).await.unwrap()) });
    runtime.block_on(socket.wait_for(|counts| counts.open == 1));
    drop(runtime);
    assert_eq!((socket.counts().open, pipe.counts().open), (0, 0));
    drop((socket, pipe, clients));
}

#[test]
fn all_tasks_end_when_the_server_stops() {
    let runtime = runtime();
    runtime.block_on(in_time(async {
        let socket = EchoServer::start().await.unwrap();
        let pipe = EchoServer::in_memory();
        let _clients = (Client::connect(&socket).await.unwrap(), Client::connect(&pipe).await.unwrap());
        socket.wait_for(|counts| counts.open == 1).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        // Two connections, and the task that accepts.
        assert_eq!(metrics.num_alive_tasks(), 3);
        socket.stop().await;
        pipe.stop().await;
        while metrics.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }));
}

#[tokio::test]
async fn a_connector_does_not_keep_the_server_alive() {
    let server = EchoServer::in_memory();
    let connector = server.connector();
    is_send_sync(&connector);
    let mut client = Client::connect(&server).await.unwrap();
    let other = connector.clone();
    let elsewhere = tokio::spawn(async move { other.connect().await.map(drop) });
    elsewhere.await.unwrap().unwrap();
    assert_eq!(server.counts().accepted, 2);
    drop(server);
    assert!(is_refused(&connector).await);
    in_time(client.closed()).await;
}

#[tokio::test]
async fn a_connector_is_refused_after_stop() {
    let server = EchoServer::in_memory();
    let connector = server.connector();
    server.stop().await;
    assert!(is_refused(&connector).await);
    assert!(connector.connect().await.unwrap_err().to_string().contains("has stopped"));
}

#[tokio::test]
async fn wait_for_returns_the_counts_that_satisfied_it() {
    let server = EchoServer::in_memory();
    let (counts, ()) = in_time(async {
        tokio::join!(server.wait_for(|counts| counts.accepted == 2), async {
            drop(server.connect().await.unwrap());
            tokio::task::yield_now().await;
            drop(server.connect().await.unwrap());
        })
    })
    .await;
    assert_eq!(counts.accepted, 2);
    // The closure runs outside the lock, so it may ask the server.
    in_time(server.wait_for(|counts| *counts == server.counts())).await;
}

#[tokio::test]
async fn futures_may_move_between_threads() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let server = is_send(EchoServer::start()).await.unwrap();
    is_send(server.wait_for(|_| true)).await;
    is_send(server.stop()).await;
    assert!(TcpStream::connect(server.addr()).await.is_err());
}

#[tokio::test]
#[should_panic(expected = "in memory and has no address")]
async fn a_server_in_memory_has_no_address() {
    let server = EchoServer::in_memory();
    assert_eq!(server.try_addr(), None);
    server.addr();
}

/// The header could not say such a length, and the server closed connections over it.
#[cfg(target_pointer_width = "64")]
#[tokio::test]
async fn a_frame_length_that_no_header_can_say_is_refused() {
    let above = usize::try_from(u32::MAX).unwrap() + 1;
    for length in [above, usize::MAX] {
        let error = EchoServer::builder().max_frame_length(length).start().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("max_frame_length is {length}")), "{error}");
    }
    EchoServer::builder().max_frame_length(above - 1).start().await.unwrap();
}

#[cfg(target_pointer_width = "64")]
#[tokio::test]
#[should_panic = "max_frame_length is"]
async fn in_memory_too() {
    EchoServer::builder().max_frame_length(usize::MAX).in_memory();
}
