//! A pool against a model of it: random sequences of every public operation, of faults and of time passing.
//!
//! [`ops`] draws a sequence, [`play`] carries it out on a real pool in paused time, on one thread, and on the plain
//! model of [`reference`], and [`check`] judges both after every step; [`server`] judges at every instant, with the
//! rule of [`pause`]. A sequence that fails is shrunk to a small one and printed with its seed, as Rust to paste into
//! [`regressions`].
//!
//! `cargo test` plays the same ten thousand steps each time. A long run is one command:
//!
//! ```text
//! POOLHOUSE_MODEL_STEPS=1000000 cargo test --release -p poolhouse --test model -- --nocapture
//! ```
//!
//! It takes a new seed each time, prints it, and fails too if an operation's outcome never happened.
//! `POOLHOUSE_MODEL_SEED` sets the seed of a run, and `POOLHOUSE_MODEL_SEQUENCE` plays one sequence of it. A sequence
//! goes the same way each time: its seed is the pool's too, and nothing in it reads the real clock.
//!
//! Not here, because they need a second thread or a socket: `blocking`, several runtimes, and `packet`.

mod check;
mod chores;
mod coverage;
mod errands;
mod hands;
mod ledger;
mod maintain;
mod ops;
mod options;
mod owner;
mod pause;
mod play;
mod quiet;
mod reference;
mod regressions;
mod run;
mod server;
mod world;

use std::time::Instant;

/// What `cargo test` plays.
const STEPS: u64 = 10_000;

/// Leaves the function with the message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.replace('_', "").parse().unwrap_or_else(|_| panic!("{name} is {value:?}: set it to a number")))
}

/// `reset.between`, `acquire.fifo`, `acquire.race`, `acquire.deadline`, `acquire.diagnosis`, `acquire.shed`, `try_acquire.immediate`,
/// `size.max`, `size.min`, `resize.exact`, `stats.consistent`, `cancel.no_loss`, `cancel.tainted`, `release.anywhere`,
/// `panic.no_loss`, `lifetime.no_interrupt`, `lifetime.no_dip`, `health.known_dead`, `health.off_path`,
/// `connect.backoff`, `connect.permanent`, `epoch.invalidate_all`, `suspend.nothing_moves`, `close.complete`,
/// `leak.report`: in every sequence, after every step.
#[test]
fn every_sequence_keeps_every_promise() {
    let steps = number("POOLHOUSE_MODEL_STEPS");
    let seed = number("POOLHOUSE_MODEL_SEED").unwrap_or_else(|| match steps {
        Some(_) => fastrand::u64(..),
        None => 1,
    });
    let begun = Instant::now();
    let seen = run::run(seed, steps.unwrap_or(STEPS), number("POOLHOUSE_MODEL_SEQUENCE"));
    println!("{seen}");
    println!(
        "{} steps in {} sequences, seed {seed}, {} acquires served after a wait and {} at once, in {:.1} s",
        seen.steps,
        seen.sequences,
        seen.count("acquire: served after a wait"),
        seen.count("acquire: at once"),
        begun.elapsed().as_secs_f64()
    );
    if seen.steps >= 500_000 {
        assert_eq!(seen.missing(), Vec::<&str>::new(), "these never happened");
    }
}
