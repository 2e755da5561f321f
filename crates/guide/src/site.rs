//! The pages over HTTP, and the websocket that tells them to reload.
//!
//! Each good build is an edition with a number. A page carries the number of its edition in the address of its
//! websocket, and is told to reload as soon as another edition is current: also when that came between the page and
//! its websocket.

use std::path::PathBuf;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
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
        router = router.nest_service("/api", ServeDir::new(api));
    }
    router.fallback(page).with_state(editions)
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
