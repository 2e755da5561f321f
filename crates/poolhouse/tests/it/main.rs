//! What the pool promises, tested from outside. One file per group of guarantees; each test names its guarantee's id.
//!
//! Time is paused wherever no thread and no socket is involved, so nothing here waits for a clock.

#[cfg(feature = "blocking")]
mod blocking;
mod bounds;
mod boxed_errors;
mod cancel;
mod cancel_table;
mod check_first;
mod close;
mod common;
mod connect;
mod dead;
mod deadline;
mod ends;
mod epoch;
mod error_chain;
mod events;
mod field;
mod field_errors;
mod field_health;
mod fifo;
mod goodbye;
mod handles;
mod health;
mod hooks;
mod leak;
mod limits;
mod maintenance;
mod nested;
mod outage;
mod packet;
mod panic;
mod ports;
mod release;
mod reset;
#[cfg(feature = "serde")]
mod settings;
mod size;
mod statistics;
mod succession;
mod suspend;
mod trace;
