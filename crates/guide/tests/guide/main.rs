//! The real program against small books: what it serves, what it prints, how it ends.
#![forbid(unsafe_code)]

mod build;
#[cfg(unix)]
mod calculators;
mod cli;
mod fixture;
mod http;
#[cfg(unix)]
mod lab_page;
#[cfg(unix)]
mod look;
#[cfg(unix)]
mod quiz;
mod search;
#[cfg(unix)]
mod search_box;
mod serve;
