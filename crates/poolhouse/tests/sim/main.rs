//! The pool against a server and a network that fail, in virtual time: hours of it in seconds.
//!
//! `matrix` tries every fault in every phase of a pool's dealings with its server. `soak` lets faults come and go at
//! random under traffic. Both hold the pool to the same promises, which are in `common`.

mod clients;
mod common;
mod dead;
mod env;
mod faults;
mod matrix;
mod network;
mod sessions;
mod soak;
mod strike;
