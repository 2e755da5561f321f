//! Every example runs, and prints what the book shows.
//!
//! The expected outputs are `examples/output/NAME.txt`; `cargo guide generate` writes them. What may differ from run to
//! run stands there by a name such as `<duration>`.

use std::env;
use std::path::PathBuf;
use std::sync::LazyLock;

use book_checks::assert_none;
use book_checks::examples::{self, Example, Run};

// Asked for as the test runs: a target folder shared by two clones may hold the binary of the other one.
static ROOT: LazyLock<PathBuf> =
    LazyLock::new(|| env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo test").into());

/// One run of each example, for all tests that read what they print.
pub(crate) static RUNS: LazyLock<Vec<(Example, Run)>> =
    LazyLock::new(|| examples::run_all(&ROOT).unwrap_or_else(|error| panic!("{error:#}")));

#[test]
fn examples_print_what_the_book_shows() {
    assert_none(examples::check(&ROOT, &RUNS));
}
