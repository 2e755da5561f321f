//! The bridge over managers in memory, in paused time.

mod common;
mod errors;
mod faults;
mod handover;
