//! What the pool takes from std and tokio to lock, to wait and to run.
//!
//! In one place, so that the package `model-check` can compile the pool with the locks and the threads of a model
//! checker instead. [`crate::time`] is the same for the clock.

pub(crate) use std::sync::Mutex;

pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio::task::{AbortHandle, JoinSet};
