//! See `tests/fuzz/exchange.rs`, which this runs, and `fuzz/Cargo.toml` for how to run this.
#![no_main]

#[path = "../../tests/fuzz/exchange.rs"]
mod exchange;
#[path = "../../tests/fuzz/input.rs"]
mod input;
#[path = "../../tests/fuzz/peer.rs"]
mod peer;
#[path = "../../tests/fuzz/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    exchange::run(data);
});
