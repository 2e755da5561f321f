//! The bridge over managers in memory, in paused time.

mod common;
mod detach;
mod errors;
mod faults;
mod hooks;
mod recycle;
mod storm;
