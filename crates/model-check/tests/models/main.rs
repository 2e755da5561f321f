//! Scenarios of a few threads, in every interleaving.

mod admin;
mod asked;
mod background;
mod connect;
mod goodbye;
mod home;
mod hooks;
mod hostile;
mod recall;
mod release;
mod reset;
mod served;

use model_check::{Acquired, Held, World, block_on};

/// Closes the pool to its end (`close.complete`).
fn close(world: &World) {
    block_on(world.pool.close());
    assert_eq!(world.dialer.live(), 0, "closed, with a connection open");
}

/// An acquire that may meet a close.
fn ok_or_closed(acquired: Acquired) {
    if let Err(error) = acquired {
        assert!(error.is_closed(), "{error}");
    }
}

/// An acquire that may run out of time. Returns whether it got a connection.
#[expect(clippy::needless_pass_by_value, reason = "the connection goes back here")]
fn ok_or_timeout(acquired: Acquired) -> bool {
    if let Err(error) = &acquired {
        assert!(error.is_timeout(), "{error}");
    }
    acquired.is_ok()
}

/// A connection that nobody before has left anything in.
fn clean(acquired: Acquired) -> Held {
    let held = acquired.unwrap();
    assert!(held.is_clean(), "`reset.between`: handed out without its reset");
    held
}

/// The same, if the acquire does not meet a close.
fn clean_or_closed(acquired: Acquired) {
    if acquired.is_ok() {
        drop(clean(acquired));
    } else {
        ok_or_closed(acquired);
    }
}
