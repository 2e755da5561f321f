//! The Pool Lab: the real pool, in virtual time, under a load that the reader sets.
//!
//! A [`Scenario`] is a set of knobs. [`run`] drives real `Pool`s through it on one thread with a paused clock, and returns
//! a [`Run`]: what the pool did, what its callers saw, and what the pool itself says about it. The same code runs
//! natively and, compiled to WebAssembly, in a browser. A scenario gives the same run to the last digit on both: the draws
//! are seeded, and every number is made of operations that are exact everywhere.
//!
//! Time is in whole milliseconds, because tokio's timers are.
#![forbid(unsafe_code)]

mod advice;
mod arrivals;
mod ask;
mod curve;
mod draws;
mod drive;
mod fleet;
mod json;
mod knobs;
mod ledger;
mod need;
mod picture;
mod preset;
mod report;
mod run;
mod scenario;
mod server;
mod sizing;
mod sizing_words;
mod sweep;
pub mod theory;
mod words;

pub use ask::{Question, ask};
pub use curve::{curve_picture, curve_table};
pub use draws::{Draws, ln};
pub use drive::{in_virtual_time, run};
pub use knobs::{KNOBS, Kind, Knob};
pub use ledger::{Again, Figures, Outcome, Request, quantile};
pub use need::Need;
pub use picture::{picture, table};
pub use preset::{PRESETS, Preset};
pub use report::{error_json, knobs_json, report};
pub use run::{Frame, Life, Run};
pub use scenario::{Arrivals, KnobError, Scenario};
pub use server::{Connection, Dialer, Refusal, Server};
pub use sizing::{Simulated, Sizing, size, sizing_json};
pub use sweep::{Point, sweep, sweep_json};
