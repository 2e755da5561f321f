//! Measures poolhouse beside other pools. The README says what is measured, how, and how to read it.

pub mod competitor;
pub mod competitors;
pub mod counts;
pub mod echo;
pub mod harness;
pub mod load;
pub mod machine;
pub mod report;
pub mod result;
pub mod runtime;
pub mod scenarios;
pub mod server;
pub mod sizes;
pub mod stats;
pub mod targets;
