//! The pool under a model checker.
//!
//! Below are the sources of `poolhouse`, compiled once more. They find what they share, wait, run and tell the time
//! with in `sync` and `time`; here these two are ours, made of loom's locks and threads. All the rest is the published
//! code, line by line: the policy, the future of an acquire, the guard, and the background task.
//!
//! loom runs a scenario again and again, each time with another order of its steps, until no order is left. A step is
//! what happens between two takes of a lock, or two wake-ups. [`model`] is where a scenario begins. Without
//! `MODEL_CHECK_AT_LENGTH=1`, no order takes the turn from a thread more than twice.
//!
//! A published module that is missing from the list below is a compile error here. Those with sockets, the handle for
//! threads without a runtime, and the options as text decide nothing and are left out.

mod alone;
mod dialer;
mod executor;
mod planned;
mod sync;
mod time;
mod world;

pub use crate::dialer::{Connection, Dial, Dialer, Refused};
pub use crate::executor::block_on;
pub use crate::planned::{catch_planned, panic_as_planned};
pub use crate::sync::Runtime;
pub use crate::time::pass;
pub use crate::world::{Acquired, Held, Hooks, Queued, World, bounded, config, hooked, model};

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
    "../../poolhouse/src/admin.rs" admin
    "../../poolhouse/src/background.rs" background
    "../../poolhouse/src/builder.rs" builder
    "../../poolhouse/src/call_out.rs" call_out
    "../../poolhouse/src/chores.rs" chores
    "../../poolhouse/src/clock.rs" clock
    "../../poolhouse/src/closing.rs" closing
    "../../poolhouse/src/config.rs" config
    "../../poolhouse/src/config_error.rs" config_error
    "../../poolhouse/src/error.rs" error
    "../../poolhouse/src/events.rs" events
    "../../poolhouse/src/histogram.rs" histogram
    "../../poolhouse/src/hooks.rs" hooks
    "../../poolhouse/src/inner.rs" inner
    "../../poolhouse/src/maintenance.rs" maintenance
    "../../poolhouse/src/manager.rs" manager
    "../../poolhouse/src/policy/mod.rs" policy
    "../../poolhouse/src/pool.rs" pool
    "../../poolhouse/src/pooled_connection.rs" pooled_connection
    "../../poolhouse/src/state.rs" state
    "../../poolhouse/src/stats.rs" stats
    "../../poolhouse/src/weak_pool.rs" weak_pool
}

pub use crate::acquire::Acquire;
pub use crate::admin::CloseReport;
pub use crate::builder::PoolBuilder;
pub use crate::config::{ConfigError, IdleOrder, PoolConfig};
pub use crate::error::{
    AcquireError, AcquireErrorKind, AcquireTimeout, ConnectError, ConnectFailed, Failure, Holder, Phase,
    Retry,
};
pub use crate::events::{Event, Listener, RetireReason};
pub use crate::histogram::Histogram;
pub use crate::hooks::{Discard, HookFuture};
pub use crate::maintenance::ConnectionInfo;
pub use crate::manager::{FailureKind, IntoManager, Manager};
pub use crate::pool::Pool;
pub use crate::pooled_connection::PooledConnection;
pub use crate::stats::{CloseCounts, PoolStats};
