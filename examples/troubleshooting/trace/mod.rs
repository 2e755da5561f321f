//! What the pictures of the pages are drawn from: how a number changes while a
//! program runs.
//!
//! With the environment variable `TRACE` set, the program prints each change to
//! stderr, as `trace: PART; TIME VALUE`. Without it nothing here does anything.
//! `cargo guide generate` keeps the changes in `book/data/traces`.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

struct Part {
    name: &'static str,
    start: Instant,
    level: usize,
}

static PART: Mutex<Option<Part>> = Mutex::new(None);

fn current() -> MutexGuard<'static, Option<Part>> {
    PART.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a part, at time zero and level zero. What follows belongs to it.
pub(crate) fn part(name: &'static str) {
    if env::var_os("TRACE").is_some() {
        *current() = Some(Part { name, start: Instant::now(), level: 0 });
        mark();
    }
}

/// Ends the part. What follows belongs to none.
pub(crate) fn end() {
    *current() = None;
}

/// Says the level, though it may not have changed: where a part begins, and where
/// it ends.
fn mark() {
    if let Some(part) = &*current() {
        eprintln!(
            "trace: {}; {} {}",
            part.name,
            part.start.elapsed().as_millis(),
            part.level
        );
    }
}

fn change(to: impl FnOnce(usize) -> usize) {
    if let Some(part) = &mut *current() {
        let level = to(part.level);
        if level != part.level {
            part.level = level;
            eprintln!(
                "trace: {}; {} {level}",
                part.name,
                part.start.elapsed().as_millis()
            );
        }
    }
}

/// The level is one higher until this is dropped.
pub(crate) struct One(());

pub(crate) fn one() -> One {
    change(|level| level + 1);
    One(())
}

impl Drop for One {
    fn drop(&mut self) {
        change(|level| level.saturating_sub(1));
    }
}

/// Reads the level at regular intervals until this is dropped.
pub(crate) struct Watch(Option<JoinHandle<()>>);

pub(crate) fn watch(
    every: Duration,
    read: impl Fn() -> usize + Send + 'static,
) -> Watch {
    Watch(current().is_some().then(|| {
        tokio::spawn(async move {
            loop {
                change(|_| read());
                sleep(every).await;
            }
        })
    }))
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
            mark();
        }
    }
}

/// Values at whole numbers that the program counts itself, such as its requests.
pub(crate) fn points(points: impl IntoIterator<Item = (u64, usize)>) {
    if let Some(part) = &*current() {
        for (at, value) in points {
            eprintln!("trace: {}; {at} {value}", part.name);
        }
    }
}
