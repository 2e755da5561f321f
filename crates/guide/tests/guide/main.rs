//! The real program against small books: what it serves, what it prints, how it ends.
#![forbid(unsafe_code)]

mod build;
mod cli;
mod fixture;
mod http;
#[cfg(unix)]
mod lab_page;
mod search;
#[cfg(unix)]
mod search_box;
mod serve;
