//! S11: what an acquire and a release cost when something else happened in between, as an exchange does.

use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::competitor::{Acquire, Kind, Plain, Visitor, filled};
use crate::competitors;
use crate::harness::{Bench, Scenario};

/// From one use to the next: about what a request to a server nearby takes.
const SPACING: Duration = Duration::from_micros(50);

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S11",
        "A use every 50 µs",
        "One task on one worker, a pool of 8. Every 50 µs it acquires and drops; in between it yields once and keeps the \
         processor busy. Each use is timed alone: the mean of the middle half, less that of reading the clock twice \
         with nothing in between",
    );
    competitors::each(&mut Add(&mut scenario));
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        self.0.lane(&K::about(), |bench| {
            let uses = (bench.slice().as_nanos() / SPACING.as_nanos()) as usize;
            vec![("ns_per_op", round::<K>(bench, uses))]
        });
    }
}

fn round<K: Kind>(bench: &Bench, uses: usize) -> f64 {
    let task = bench.one.spawn(async move {
        let pool = filled::<K, _>(Plain::default(), 8).await;
        times(&*pool, uses / 8).await;
        times(&*pool, uses).await
    });
    let (used, empty) = bench.one.block_on(task).expect("no task panics");
    middle(used) - middle(empty)
}

/// The times of this many uses, and of as many empty ones half-way between them, in nanoseconds.
async fn times<P: Acquire>(pool: &P, uses: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut used, mut empty) = (Vec::with_capacity(uses), Vec::with_capacity(uses));
    let mut next = Instant::now();
    for _ in 0..uses {
        // To the scheduler and back, as an exchange does. Some pools take connections back in a task.
        yield_now().await;
        wait_until(next + SPACING / 2);
        let start = Instant::now();
        empty.push(nanoseconds(start, Instant::now()));
        // A use that was late, because the system ran something else, does not catch up: uses would follow
        // one another.
        next = (next + SPACING).max(Instant::now() + SPACING / 2);
        wait_until(next);
        let start = Instant::now();
        drop(black_box(pool.acquire().await));
        used.push(nanoseconds(start, Instant::now()));
    }
    (used, empty)
}

/// Looks at the clock until it is time: a processor that sleeps wakes up slow.
fn wait_until(time: Instant) {
    while Instant::now() < time {
        spin_loop();
    }
}

fn nanoseconds(start: Instant, end: Instant) -> f64 {
    (end - start).as_nanos() as f64
}

/// The mean of the middle half. A median would be a multiple of the clock's step, which may be 10 ns and more; a mean of
/// all would be that of the few which the system interrupted.
fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let quarter = times.len() / 4;
    let middle = &times[quarter..times.len() - quarter];
    middle.iter().sum::<f64>() / middle.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_the_steps_of_the_clock_and_without_the_extremes() {
        assert_eq!(middle(vec![9_000.0, 20.0, 10.0, 10.0, 20.0, 10.0, 20.0, 0.0]), 15.0);
        assert_eq!(middle(vec![7.0]), 7.0);
    }
}
