//! Every complete program in the book, compiled and run as a plain `main.rs` by skeptic.
