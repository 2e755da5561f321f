//! Every example runs, and prints what the book shows.
//!
//! The expected outputs are `examples/output/NAME.txt`; `cargo guide generate` writes them. What may differ from run to
//! run stands there by a name such as `<duration>`.

use std::env;
use std::path::PathBuf;

use book_checks::{assert_none, examples};

#[test]
fn examples_print_what_the_book_shows() {
    // Asked for as the test runs: a target folder shared by two clones may hold the binary of the other one.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo test"));
    let runs = examples::run_all(&root).unwrap_or_else(|error| panic!("{error:#}"));
    assert_none(examples::check(&root, &runs));
}
