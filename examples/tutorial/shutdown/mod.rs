//! Leaving in order: no new requests, then the old ones end, then the pool closes.
//! Each with a deadline.

use std::io;
use std::time::Duration;

use axum::Router;
use poolhouse::PacketPool;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long requests may take to end, and how long the pool then waits for its
/// connections.
const REQUESTS: Duration = Duration::from_secs(10);
const POOL: Duration = Duration::from_secs(5);

/// Ctrl-C, or SIGTERM, with which orchestrators stop a process. It listens from
/// this call on.
#[cfg(unix)]
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub(crate) fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Serves until `stop` ends. Says whether everything ended in time.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    pool: PacketPool,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<bool> {
    let (stopping, stopped) = oneshot::channel();
    let service = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(());
    });
    // Graceful shutdown has no deadline of its own: a client that reads slowly
    // would keep us forever.
    let deadline = async {
        let _ = stopped.await;
        sleep(REQUESTS).await;
    };
    tokio::select! {
        served = service.into_future() => served?,
        () = deadline => {
            eprintln!("requests are still under way after {REQUESTS:?}");
        }
    }

    // Last, because the requests needed it.
    let report = pool.close_within(POOL).await;
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(report.is_complete())
}
