//! What a reader runs: the examples, the programs of the troubleshooting pages, and the projects that a page leads to.
//!
//! All of it waits more than it works: for deadlines, for servers that are gone, for one compiler. In one program these
//! waits overlap.

mod examples;
mod faults;
mod first_service;
mod quick_start;
mod troubleshooting;
