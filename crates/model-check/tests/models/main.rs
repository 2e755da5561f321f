//! Scenarios of a few threads, in every interleaving.

mod admin;
mod connect;
mod recall;
mod release;
