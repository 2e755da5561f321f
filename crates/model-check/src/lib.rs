//! The pool under a model checker.
//!
//! Below are the sources of `poolhouse`, compiled once more. They find what they share, wait, run and tell the time
//! with in `sync` and `time`; here these two are ours, made of loom's locks and threads. All the rest is the published
//! code, line by line: the deciding core, the future of an acquire, the guard, and the background task.
//!
//! loom runs a scenario again and again, each time with another order of its steps, until no order is left. A step is
//! what happens between two takes of a lock, or two wake-ups. [`model`] is where a scenario begins.
//!
//! A published module that is missing from the list below is a compile error here. Those with sockets, and the handle
//! for threads without a runtime, decide nothing and are left out.

mod dialer;
mod executor;
mod sync;
mod time;
mod world;

pub use crate::dialer::{Connection, Dial, Dialer, Refused};
pub use crate::executor::block_on;
pub use crate::time::pass;
pub use crate::world::{Acquired, Held, Queued, World, bounded, config, model};

macro_rules! published {
    ($($path:literal $name:ident)+) => {
        $(
            #[path = $path]
            #[allow(dead_code, unreachable_pub)]
            mod $name;
        )+
    };
}

published! {
    "../../poolhouse/src/acquire.rs" acquire
    "../../poolhouse/src/config.rs" config
    "../../poolhouse/src/control.rs" control
    "../../poolhouse/src/core/mod.rs" core
    "../../poolhouse/src/desk.rs" desk
    "../../poolhouse/src/driver.rs" driver
    "../../poolhouse/src/error.rs" error
    "../../poolhouse/src/events.rs" events
    "../../poolhouse/src/guard.rs" guard
    "../../poolhouse/src/histogram.rs" histogram
    "../../poolhouse/src/manager.rs" manager
    "../../poolhouse/src/pool.rs" pool
    "../../poolhouse/src/shared.rs" shared
    "../../poolhouse/src/stats.rs" stats
}

pub use crate::acquire::Acquire;
pub use crate::config::{ConfigError, IdleOrder, PoolConfig};
pub use crate::control::CloseReport;
pub use crate::error::{AcquireError, AcquireTimeout, ConnectError, ConnectFailed, Holder, Phase};
pub use crate::events::{Event, Listener, RetireReason};
pub use crate::guard::PooledConnection;
pub use crate::histogram::Histogram;
pub use crate::manager::{FailureKind, IntoManager, Manager};
pub use crate::pool::Pool;
pub use crate::stats::PoolStats;
