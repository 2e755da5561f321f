//! One HTTP/1.1 upstream as a manager: connections of hyper, each with one
//! exchange at a time.

use std::borrow::Cow;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use poolhouse::{Discard, Manager, Pool};
use tokio::net::TcpStream;

/// An error of any type.
pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// The longest body that is read.
const LONGEST_BODY: usize = 1024 * 1024;

// ANCHOR: manager
/// One upstream, by its address.
pub(crate) struct Upstream(pub(crate) SocketAddr);

impl Manager for Upstream {
    type Connection = SendRequest<Empty<Bytes>>;
    type Error = AnyError;

    async fn connect(&self) -> Result<Self::Connection, AnyError> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped, or when the server closes the
        // connection.
        tokio::spawn(driver);
        Ok(sender)
    }

    // The driver has seen the end of the connection.
    fn is_connected(&self, sender: &mut Self::Connection) -> bool {
        !sender.is_closed()
    }

    fn is_reusable(&self, sender: &mut Self::Connection) -> bool {
        !sender.is_closed()
    }

    // The exchange is not over: the driver still reads, or the caller has left a
    // part of the body.
    fn needs_reset(&self, sender: &mut Self::Connection) -> bool {
        !sender.is_ready()
    }

    // An error means that hyper closes the connection: the server said so, or too
    // much of a body is left.
    async fn reset(&self, sender: &mut Self::Connection) -> Result<(), AnyError> {
        Ok(sender.ready().await.map_err(|_closed| Discard)?)
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }
}
// ANCHOR_END: manager

// ANCHOR: send
/// Sends a request. One that was never sent goes out again over another
/// connection, whatever its method.
pub(crate) async fn send(
    pool: &Pool<Upstream>,
    mut request: Request<Empty<Bytes>>,
) -> Result<Response<Bytes>, AnyError> {
    for _ in 0..3 {
        let mut connection = pool.acquire().await?;
        match connection.try_send_request(request).await {
            // The guard lives until the body is read: the connection is not free
            // before.
            Ok(response) => return read(response).await,
            Err(mut error) => match error.take_message() {
                // The server had closed the connection before a byte of the
                // request went out.
                Some(unsent) => request = unsent,
                None => return Err(error.into_error().into()),
            },
        }
    }
    Err("the upstream closed three connections before a request could be sent"
        .into())
}

async fn read(response: Response<Incoming>) -> Result<Response<Bytes>, AnyError> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}
// ANCHOR_END: send

// ANCHOR: get
/// A `GET` may be sent twice, so one that got no answer is sent once more.
pub(crate) async fn get(
    pool: &Pool<Upstream>,
    path: &str,
) -> Result<Response<Bytes>, AnyError> {
    let request =
        || Request::get(path).header("host", "upstream.example").body(Empty::new());
    match send(pool, request()?).await {
        Err(error) if no_answer(&error) => send(pool, request()?).await,
        answer => answer,
    }
}

/// Whether the server closed the connection after it may have read the request.
fn no_answer(error: &AnyError) -> bool {
    error
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_incomplete_message)
}
// ANCHOR_END: get
