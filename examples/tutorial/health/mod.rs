//! Two questions that an orchestrator asks: must it restart us, and may it send us
//! requests?

use axum::extract::State;
use axum::http::StatusCode;
use poolhouse::PacketPool;

/// Liveness: the process answers. A restart would not fix the backend, so nobody
/// asks for it.
pub(crate) async fn live() -> &'static str {
    "alive\n"
}

/// Readiness: a connection is there, idle or at work. Neither question waits, and
/// neither sends anything.
pub(crate) async fn ready(
    State(pool): State<PacketPool>,
) -> (StatusCode, &'static str) {
    if pool.is_closed() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    // Goes back at the end of the line. An idle connection that the backend has
    // closed is not handed out.
    if pool.try_acquire().is_some() {
        return (StatusCode::OK, "ready\n");
    }
    // Full is not broken: those who hold the connections are being served.
    if pool.stats().total_connections > 0 {
        return (StatusCode::OK, "busy\n");
    }
    (StatusCode::SERVICE_UNAVAILABLE, "no connection to the backend\n")
}
