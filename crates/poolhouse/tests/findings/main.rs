//! What other pools' tests and public bug reports found wrong in this pool, told as tests from outside. Each test names
//! the guarantee that was broken.
//!
//! Time is paused wherever the finding does not need the real clock. What may hang or end the whole process runs in a
//! process of its own, or in a thread that is waited for with a bound.

#[path = "../it/common.rs"]
#[expect(dead_code, reason = "the helpers of another test binary, of which some are of use here")]
mod common;
mod fairness;
mod foreign;
mod handover;
mod hostile;
mod look;
mod matrix;
mod memory;
mod scale;
mod small;
mod support;
mod time;
mod wakeups;
