//! Clients that do not lend a connection: where their limits are, and what beyond them looks like.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::{Builder, Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use test_servers::{Redis, start_or_skip};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::common::{TOO_LONG, until};

/// An HTTP server that answers a request when it is given a permit.
struct Server {
    address: SocketAddr,
    /// An answer takes one.
    permits: Semaphore,
    /// Connections, ever.
    accepted: AtomicUsize,
    /// Connections that are open now.
    open: AtomicUsize,
    /// Requests without an answer.
    waiting: AtomicUsize,
}

impl Server {
    /// Takes HTTP/1.1, or HTTP/2 with at most so many streams on a connection.
    async fn start(max_concurrent_streams: Option<u32>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let count = AtomicUsize::default;
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            permits: Semaphore::new(0),
            accepted: count(),
            open: count(),
            waiting: count(),
        });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.accepted.fetch_add(1, Ordering::SeqCst);
                serving.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serving.clone().serve(stream, max_concurrent_streams));
            }
        });
        server
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        max_concurrent_streams: Option<u32>,
    ) {
        let this = self.clone();
        let answer = service_fn(move |_: Request<Incoming>| {
            let this = this.clone();
            async move {
                this.waiting.fetch_add(1, Ordering::SeqCst);
                this.permits.acquire().await.expect("it is open").forget();
                this.waiting.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let stream = TokioIo::new(stream);
        let _ = match max_concurrent_streams {
            None => {
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(stream, answer)
                    .await
            }
            Some(streams) => {
                let mut server =
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                server
                    .max_concurrent_streams(streams)
                    .serve_connection(stream, answer)
                    .await
            }
        };
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn is(count: &AtomicUsize, expected: usize) -> bool {
        count.load(Ordering::SeqCst) == expected
    }
}

/// Sends a request, and reads the answer to its end.
fn send(
    client: &Client<HttpConnector, Empty<Bytes>>,
    server: &Server,
) -> tokio::task::JoinHandle<Result<(), hyper_util::client::legacy::Error>> {
    let uri: Uri = format!("http://{}/", server.address).parse().unwrap();
    let answer = client.get(uri);
    tokio::spawn(async move {
        answer.await?.into_body().collect().await.expect("the body is empty");
        Ok(())
    })
}

fn client() -> Builder {
    Client::builder(TokioExecutor::new())
}

/// `pool_max_idle_per_host` bounds what is kept. Nothing bounds what is opened.
#[tokio::test]
async fn a_burst_over_http_1_opens_a_connection_for_each_request() {
    let server = Server::start(None).await;
    let client = client().pool_max_idle_per_host(2).build_http();
    let burst: Vec<_> = (0..20).map(|_| send(&client, &server)).collect();
    until("all are in flight", || Server::is(&server.waiting, 20)).await;
    assert!(Server::is(&server.accepted, 20));
    server.permits.add_permits(20);
    for request in burst {
        request.await.unwrap().unwrap();
    }
    until("the others are closed", || Server::is(&server.open, 2)).await;
    server.permits.add_permits(1);
    send(&client, &server).await.unwrap().unwrap();
    assert!(Server::is(&server.accepted, 20), "it had one");
}

/// The server bounds the streams. The request beyond waits in the client: no error, no other connection.
#[tokio::test]
async fn a_request_beyond_the_streams_of_http_2_waits_silently() {
    let server = Server::start(Some(2)).await;
    let client = client().http2_only(true).build_http();
    // The client knows the limit when it has had an answer.
    server.permits.add_permits(1);
    send(&client, &server).await.unwrap().unwrap();
    let requests: Vec<_> = (0..3).map(|_| send(&client, &server)).collect();
    until("two have arrived", || Server::is(&server.waiting, 2)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(Server::is(&server.waiting, 2), "the third has not arrived");
    assert!(
        requests.iter().all(|request| !request.is_finished()),
        "and nobody is told"
    );
    server.permits.add_permits(3);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert!(Server::is(&server.accepted, 1));
}

async fn multiplexed(
    server: &Redis,
    response_timeout: Option<Duration>,
) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    let config =
        AsyncConnectionConfig::new().set_response_timeout(response_timeout);
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

async fn ping(
    connection: &mut MultiplexedConnection,
) -> redis::RedisResult<String> {
    redis::cmd("PING").query_async(connection).await
}

/// A `BLPOP` that waits at the server holds up the commands of all others on the connection.
#[tokio::test]
async fn a_command_that_waits_holds_up_a_multiplexed_connection() {
    let server = start_or_skip!(Redis::start());
    let mut connection = multiplexed(&server, None).await;
    let mut blocked = connection.clone();
    let pop = tokio::spawn(async move {
        redis::cmd("BLPOP")
            .arg("queue")
            .arg(0)
            .query_async::<(String, String)>(&mut blocked)
            .await
    });
    until("it waits", || {
        server.command(&["CLIENT", "LIST"]).unwrap().contains("cmd=blpop")
    })
    .await;
    let waits = timeout(Duration::from_millis(200), ping(&mut connection)).await;
    assert!(waits.is_err(), "{waits:?}");
    // With a limit, as is the default, it fails, although the server is well.
    connection.set_response_timeout(Duration::from_millis(200));
    assert!(ping(&mut connection).await.unwrap_err().is_timeout());
    server.command(&["RPUSH", "queue", "item"]).unwrap();
    assert_eq!(timeout(TOO_LONG, pop).await.unwrap().unwrap().unwrap().1, "item");
    assert_eq!(ping(&mut connection).await.unwrap(), "PONG");
}
