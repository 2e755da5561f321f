//! Every complete program in the book, compiled and run as a plain `main.rs` by skeptic.
//!
//! The name of a test says where its program stands: `tutorial_tour_sect_first_line_12` is line 12 of
//! `book/src/tutorial/tour.md`, in the section "First". What was compiled is kept, and run again; `.cargo/config.toml` says
//! why one at a time.
#![allow(non_snake_case, reason = "skeptic makes the names, of headings that may have no letter")]

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// A target folder shared by two clones can hold the programs of the other one.
#[test]
fn programs_are_of_this_checkout() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("run by cargo test");
    assert_eq!(
        GENERATED_IN, here,
        "the programs are of another checkout: run `touch crates/programs/build.rs` and try again"
    );
}

/// Where a program stands. Skeptic's own message ends in a long command line, so this one comes last.
#[allow(dead_code)] // As long as the book has no program.
struct Place(&'static str);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "\n{}: this program does not compile and run as a plain main.rs of edition 2021; \
                 see the compiler's message above (its line 2 is the line below the fence)",
                self.0
            );
        }
    }
}
