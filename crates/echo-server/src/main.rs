//! An echo server with faults on demand.
fn main() {}
