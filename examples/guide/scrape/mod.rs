//! What Prometheus gets from the route of a program, without a socket.

use std::error::Error;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

/// Asks the route `/metrics`.
pub(crate) async fn asked(route: Router) -> Result<String, Box<dyn Error>> {
    let answer =
        route.oneshot(Request::get("/metrics").body(Body::empty())?).await?;
    let body = to_bytes(answer.into_body(), usize::MAX).await?;
    Ok(String::from_utf8(body.to_vec())?)
}
