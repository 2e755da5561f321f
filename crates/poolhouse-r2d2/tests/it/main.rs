//! The bridge over managers in memory, in paused time. Calls that block wait at a gate, and never for a time.

mod blocking;
mod common;
mod errors;
mod faults;
mod handover;
