//! Every example runs, and prints what the book shows.
//!
//! The expected outputs are `examples/output/NAME.txt`; `cargo guide generate` writes them. What may differ from run to
//! run stands there by a name such as `<duration>`.

use std::path::Path;

use book_checks::{assert_none, examples};

#[test]
fn examples_print_what_the_book_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runs = examples::run_all(root).unwrap_or_else(|error| panic!("{error:#}"));
    assert_none(examples::check(root, &runs));
}
