//! The corpus of the fuzz targets, as an ordinary test, and what both share.
//!
//! `fuzz/fuzz_targets` hands [`decode::run`] and [`exchange::run`] bytes that libFuzzer makes up; this test hands them
//! the files of `corpus`, of which each one reached code that no other did. So every build runs what fuzzing once found,
//! with the stable compiler and without libFuzzer. How to fuzz, and how to add to the corpus: `fuzz/Cargo.toml`.

mod decode;
mod exchange;
mod input;
mod peer;
mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs every file of a corpus. Returns what was seen, all together.
fn run<T: Ord>(corpus: &str, target: impl Fn(&[u8]) -> BTreeSet<T>) -> BTreeSet<T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut seen = BTreeSet::new();
    for file in files {
        let data = fs::read(&file).unwrap();
        match catch_unwind(AssertUnwindSafe(|| target(&data))) {
            Ok(these) => seen.extend(these),
            Err(_) => panic!("it fails on {}: {}", file.display(), data.escape_ascii()),
        }
    }
    seen
}

/// Framing: whatever bytes arrive, in whatever pieces, the packets and the error are those of ten lines of reference.
#[test]
fn the_decoder_agrees_with_the_reference_on_the_corpus() {
    use decode::Seen::*;
    let all = [Packet, EmptyPacket, SplitPacket, TooLong, EndBetweenFrames, EndInsideFrame, LargeAnnounced];
    assert_eq!(run("decode", decode::run), BTreeSet::from(all), "the corpus reaches every case");
}

/// cancel.tainted: whatever is sent, received, dropped half-way or pushed by the peer, a connection is passed on only
/// when nothing is outstanding.
#[test]
fn a_connection_is_reusable_only_when_nothing_is_outstanding_on_the_corpus() {
    use exchange::Seen::*;
    let all = [
        Reusable,
        ReusedAfterExchange,
        AnswerOutstanding,
        BytesUnread,
        SendDropped,
        SendDroppedUnpolled,
        SendTooLong,
        ReceiveDropped,
        Received,
        Refused,
        PeerGone,
    ];
    assert_eq!(run("exchange", exchange::run), BTreeSet::from(all), "the corpus reaches every case");
}
