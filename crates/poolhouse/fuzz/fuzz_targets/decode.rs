//! See `tests/fuzz/decode.rs`, which this runs, and `fuzz/Cargo.toml` for how to run this.
#![no_main]

#[path = "../../tests/fuzz/decode.rs"]
mod decode;
#[path = "../../tests/fuzz/input.rs"]
mod input;
#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/fuzz/peer.rs"]
mod peer;
#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/fuzz/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    decode::run(data);
});
