//! Managers that panic: no capacity is lost.

use std::time::Duration;

use poolhouse::RetireReason;

use crate::common::{Mock, assert_hands_out_exactly, pool, settle};

/// `panic.no_loss`
#[tokio::test(start_paused = true)]
async fn a_panic_in_create_or_recycle_costs_no_capacity() {
    for what in ["create", "recycle"] {
        let mock = Mock::default();
        let pool = pool(&mock, 1);
        mock.state().panics = Some(what);
        if let Ok(held) = pool.acquire_within(Duration::from_secs(2)).await {
            held.release();
            settle().await;
            assert_eq!(pool.stats().closed.get(RetireReason::Panicked), 1, "{what}");
            assert_eq!(mock.state().detached, [1], "{what}");
        }
        mock.state().panics = None;
        assert_hands_out_exactly(&pool, 1).await;
    }
}

/// `panic.no_loss`: `detach` runs as the connection is dropped. Its holder sees the panic.
#[tokio::test(start_paused = true)]
async fn a_panic_in_detach_costs_no_capacity() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let held = pool.acquire().await.unwrap();
    mock.state().panics = Some("detach");
    assert!(tokio::spawn(async move { held.invalidate() }).await.is_err_and(|error| error.is_panic()));
    assert_eq!(mock.state().open, 0);
    mock.state().panics = None;
    assert_hands_out_exactly(&pool, 1).await;
}
