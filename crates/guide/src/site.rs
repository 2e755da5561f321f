//! The pages over HTTP, and the websocket that tells them to reload.
//!
//! Each good build is an edition with a number. A page carries the number of its edition in the address of its
//! websocket, and is told to reload as soon as another edition is current: also when that came between the page and
//! its websocket.

use std::path::PathBuf;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::sync::watch;
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

/// One good build of the book.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    pub(crate) number: u64,
    pub(crate) folder: PathBuf,
    pub(crate) not_found: PathBuf,
}

/// The path of the websocket, for the pages of an edition. mdBook wants it without the leading slash.
pub(crate) fn reload_path(edition: u64) -> String {
    format!("__reload/{edition}")
}

/// `api` is the folder of the crates' documentation, if the book has any.
pub(crate) fn router(editions: watch::Receiver<Edition>, api: Option<PathBuf>) -> Router {
    let mut router = Router::new().route("/__reload/{edition}", get(reload));
    if let Some(api) = api {
        router = router.nest_service("/api", ServeDir::new(api).redirect_path_prefix("/api"));
    }
    router.fallback(page).layer(middleware::from_fn(admit)).with_state(editions)
}

/// No path of a book is longer.
const LONGEST_PATH: usize = 2048;

/// No file system has a longer name, in bytes. To ask for one is an error that is not "not found".
const LONGEST_NAME: usize = 255;

/// How many bytes a name in a path has, of which each may be written as `%41`.
fn length(name: &str) -> usize {
    name.len().saturating_sub(2 * name.matches('%').count())
}

/// Refuses what no reader's browser asks for.
///
/// A page of somebody else's may have its own name lead to this machine (DNS rebinding), and would then read what is
/// served here. Its browser still sends that name as `Host`, and for a websocket as `Origin`.
async fn admit(request: Request, next: Next) -> Response {
    match refusal(&request) {
        Some(refusal) => refusal,
        // What cargo documents has no page above the crates.
        None if ["/api", "/api/"].contains(&request.uri().path()) => {
            Redirect::temporary("/api/poolhouse/").into_response()
        }
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<Response> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = header(header::ORIGIN).map(|origin| origin.strip_prefix("http://").unwrap_or_default());
    if !header(header::HOST).is_some_and(is_this_machine) || !origin.is_none_or(is_this_machine) {
        let why = "this server is for this machine only: open it at http://127.0.0.1 or http://localhost\n";
        return Some((StatusCode::FORBIDDEN, why).into_response());
    }
    let path = request.uri().path();
    // A redirect to `//guide/` would lead to the host `guide`.
    if path.starts_with("//") || path.split('/').any(|name| length(name) > LONGEST_NAME) {
        return Some(StatusCode::NOT_FOUND.into_response());
    }
    (path.len() > LONGEST_PATH).then(|| StatusCode::URI_TOO_LONG.into_response())
}

/// Whether an authority, with or without a port, names the loopback interface.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

async fn page(State(editions): State<watch::Receiver<Edition>>, request: Request) -> Response {
    let Edition { folder, not_found, .. } = editions.borrow().clone();
    let files = ServeDir::new(folder).not_found_service(ServeFile::new(not_found));
    let mut response = files.oneshot(request).await.into_response();
    // Two builds within one second look the same to a cache.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn reload(
    State(editions): State<watch::Receiver<Edition>>,
    Path(edition): Path<u64>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| tell(socket, editions, edition))
}

/// Sends "reload", the message that mdBook's script waits for, once the page is out of date.
async fn tell(mut socket: WebSocket, mut editions: watch::Receiver<Edition>, shown: u64) {
    tokio::select! {
        current = editions.wait_for(|current| current.number != shown) => {
            if current.is_err() {
                return;
            }
        }
        // A page says nothing; whatever arrives here is its end.
        _ = socket.recv() => return,
    }
    // The page may have gone in the meantime, and then nobody is left to tell.
    let _ = socket.send("reload".into()).await;
}
