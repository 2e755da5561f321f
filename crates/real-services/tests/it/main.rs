//! The bridges with the managers that people use, against real servers.
#![cfg(unix)]

mod bb8;
mod common;
mod deadpool;
mod diesel;
mod load;
mod moves;
mod r2d2;
