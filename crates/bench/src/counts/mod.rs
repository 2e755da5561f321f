//! What does not depend on the day: instructions, allocations and sizes.
//!
//! The program runs itself under valgrind, once with few operations and once with more. The difference is what the
//! operations cost; start-up and filling the pool cancel out. Everything runs on one thread, so it repeats: allocations
//! exactly, instructions within 0.2 %, for the runtime's timer looks at the clock.

mod baseline;
mod child;
mod valgrind;

use std::thread;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

pub use baseline::{check, ours};
pub use child::Job;
use valgrind::{heap, instructions};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counts {
    pub command: String,
    pub date: String,
    pub machine: Machine,
    pub rustc: String,
    pub results: Vec<Count>,
    pub sizes: Vec<Size>,
}

/// The cost of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub scenario: String,
    pub competitor: String,
    pub instructions_per_op: f64,
    pub allocations_per_op: f64,
    pub bytes_per_op: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Size {
    pub competitor: String,
    pub guard_bytes: usize,
    pub acquire_future_bytes: usize,
    /// What the heap grows by for each of 100,000 acquires that wait, without the futures themselves.
    pub bytes_per_waiter: f64,
    /// The same for 10,000.
    pub bytes_per_waiter_10k: f64,
}

/// Counts every competitor that `wants` lets through.
pub fn count(wants: impl Fn(&str) -> bool) -> Result<(Vec<Count>, Vec<Size>)> {
    let jobs: Vec<Job> = child::jobs().into_iter().filter(|job| wants(&job.competitor)).collect();
    let progress = ProgressBar::new(jobs.len() as u64).with_style(
        ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}").expect("a valid template"),
    );
    let (mut counts, mut sizes) = (Vec::new(), Vec::new());
    for job in jobs {
        progress.set_message(format!("{} {}", job.scenario, job.competitor));
        if job.scenario == child::WAITERS {
            sizes.push(size(&job)?);
        } else {
            counts.push(cost(&job)?);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok((counts, sizes))
}

fn cost(job: &Job) -> Result<Count> {
    let (few, many) = job.operations();
    let ops = (job.tasks() as u64 * (many - few)) as f64;
    let (few, many) = (job.times(few), job.times(many));
    // Load on the machine changes no count: two at a time.
    let ((less, more), (fewer, further)) = thread::scope(|scope| -> Result<_> {
        let heaps = scope.spawn(|| Ok::<_, anyhow::Error>((heap(&few)?, heap(&many)?)));
        let instructions = (instructions(&few)?, instructions(&many)?);
        Ok((heaps.join().expect("no panic")?, instructions))
    })?;
    let per_op = |less: u64, more: u64| (more as f64 - less as f64) / ops;
    Ok(Count {
        scenario: job.scenario.clone(),
        competitor: job.competitor.clone(),
        instructions_per_op: per_op(fewer, further),
        allocations_per_op: per_op(less.total_blocks, more.total_blocks),
        bytes_per_op: per_op(less.total_bytes, more.total_bytes),
    })
}

fn size(job: &Job) -> Result<Size> {
    let sizes = child::sizes(&job.competitor).expect("a job of a known competitor");
    let at_end = |waiters| -> Result<u64> { Ok(heap(&job.times(waiters))?.end_bytes) };
    let nobody = at_end(0)?;
    let per_waiter = |waiters: u64| -> Result<f64> {
        let grown = at_end(waiters)? - nobody - waiters * sizes.stored_bytes as u64;
        Ok(grown as f64 / waiters as f64)
    };
    Ok(Size {
        competitor: job.competitor.clone(),
        guard_bytes: sizes.guard_bytes,
        acquire_future_bytes: sizes.future_bytes,
        bytes_per_waiter: per_waiter(100_000)?,
        bytes_per_waiter_10k: per_waiter(10_000)?,
    })
}
