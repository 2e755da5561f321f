//! `poolhouse-redis` against real servers. Without Redis each test is skipped, loudly: see `test-servers`.
#![cfg(unix)]

mod common;

mod cancelled;
mod commands;
mod left_behind;
mod out_of_step;
mod outages;
mod pushes;
mod random;
mod refusals;
