//! The chapters of the guide as rustdoc modules: `cargo test -p chapters --doc` runs every snippet of the book.
//!
//! The build script makes one module of each file in `book/src`. They exist for doctests only, so that neither a build
//! nor the documentation of the workspace carries the book.

#[cfg(doctest)]
include!(concat!(env!("OUT_DIR"), "/chapters.rs"));
