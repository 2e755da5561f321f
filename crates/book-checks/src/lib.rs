//! What keeps the book honest.
//!
//! Each module is one check: a function from the [`Book`] to its [`Finding`]s, and unit tests that break the rule on
//! purpose. `cargo test --test book` runs them all against the real book; `cargo guide` uses the same code to rewrite
//! what is generated.
//!
//! A finding names the file and the line, says what is wrong, and says what to do.

pub mod addresses;
pub mod api;
mod api_model;
mod api_text;
pub mod arithmetic;
pub mod assertions;
pub mod book;
pub mod cargo;
pub mod cited_guarantees;
mod claims;
pub mod code_defaults;
pub mod code_width;
pub mod commands;
mod config_options;
pub mod confused_words;
mod crate_source;
pub mod data_blocks;
pub mod defaults;
pub mod diagrams;
mod error_texts;
pub mod errors;
pub mod examples;
pub mod experiments;
pub mod file_index;
pub mod fitting_names;
pub mod generated;
pub mod generators;
pub mod guarantees;
pub mod identities;
pub mod images;
pub mod incidents;
mod kept;
pub mod lab;
pub mod link_words;
pub mod links;
pub mod masks;
pub mod metrics;
mod moves;
pub mod names;
pub mod numbers;
pub mod option_places;
mod other_words;
pub mod outputs;
pub mod packages;
mod passages;
pub mod paths;
pub mod plain_english;
pub mod plots;
mod prose;
pub mod public_api;
pub mod queries;
mod quiz;
pub mod quotes;
pub mod read_again;
pub mod readings;
mod rust_tests;
mod sayings;
pub mod search;
pub mod settings_schema;
pub mod shape;
pub mod snippets;
pub mod spelling;
mod statistics;
pub mod style;
pub mod summary;
pub mod tidy;
pub mod traces;
pub mod tracing_events;
mod words;

#[cfg(test)]
mod fixture;

use std::fmt;

pub use book::{Book, Kind, Page};
pub use generators::Generators;

/// Something in the repository that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the repository: `book/src/tutorial/tour.md`.
    pub file: String,
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    pub fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Finding {
        Finding { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Fails a test with all findings, in the order of file and line.
///
/// # Panics
///
/// If there is a finding.
#[track_caller]
pub fn assert_none(mut findings: Vec<Finding>) {
    findings.sort();
    findings.dedup();
    if !findings.is_empty() {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        panic!("{} to fix:\n{}\n", findings.len(), lines.join("\n"));
    }
}
