//! However the server misbehaves, every example ends: in time, and with a message that a reader understands.
//!
//! An example takes the address of a server as its first argument. Here each is given a server with one fault. It may
//! succeed or fail. It may not hang, panic, or fail without a word. Those in a folder, such as
//! `examples/troubleshooting`, bring a server of their own, with the faults that they are about.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use book_checks::examples::{self, Example, Run};
use book_checks::{Finding, assert_none};
use poolhouse_echo::{EchoServer, Faults, Reply};

/// Every example ends by then, whatever the server does.
const DEADLINE: Duration = Duration::from_secs(20);

/// Most examples wait most of the time, so many more of them run than there are processors.
const AT_A_TIME: usize = 48;

/// The faults by name. `None` is a server that has gone: nobody listens at its address.
fn faults() -> Vec<(&'static str, Option<Faults>)> {
    let none = Faults::default;
    let reply = |reply| Faults { reply, ..none() };
    let faults = [
        ("max_connections_5", Faults { max_connections: Some(5), ..none() }),
        ("refuses_all", Faults { max_connections: Some(0), ..none() }),
        ("slow", Faults { latency: Some(Duration::from_secs(60)), ..none() }),
        ("closes_idle", Faults { close_idle_after: Some(Duration::from_millis(50)), ..none() }),
        ("closes_after_one_frame", Faults { close_after_frames: Some(1), ..none() }),
        ("never_replies", reply(Reply::Never)),
        ("half_then_stall", reply(Reply::HalfThenStall)),
        ("half_then_close", reply(Reply::HalfThenClose)),
        ("garbage", reply(Reply::Garbage)),
        ("crosstalk", reply(Reply::Crosstalk)),
        ("reset", reply(Reply::Reset)),
    ];
    let faults = faults.into_iter().map(|(name, faults)| (name, Some(faults)));
    faults.chain([("gone", None)]).collect()
}

/// All runs, with the names of their faults. All faults run together, so that their waits overlap.
fn runs() -> Vec<(&'static str, Example, Run)> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo test"));
    let mut examples = examples::list(&root).expect("examples/ can be read");
    examples.retain(|example| example.group().is_none());
    if examples.is_empty() {
        return Vec::new();
    }
    let programs = examples::build(&root).unwrap_or_else(|error| panic!("{error:#}"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let faults = faults();
    let mut jobs: Vec<(&str, &Option<Faults>, &Example)> = Vec::new();
    for (name, faults) in &faults {
        jobs.extend(examples.iter().map(|example| (*name, faults, example)));
    }
    // A server for each run: what one example does to it must not show in another.
    let runs = examples::in_parallel(&jobs, AT_A_TIME, |(_, faults, example)| {
        let server = EchoServer::builder().faults((*faults).clone().unwrap_or_default());
        let server = runtime.block_on(server.start()).expect("the echo server starts");
        if faults.is_none() {
            runtime.block_on(server.stop());
        }
        let address = [server.addr().to_string()];
        examples::run(&root, &programs[&example.name], &address, DEADLINE).expect("the example starts")
    });
    jobs.into_iter().zip(runs).map(|((fault, _, example), run)| (fault, example.clone(), run)).collect()
}

/// What a reader would complain of.
fn complaint(run: &Run) -> Option<&'static str> {
    if run.stderr.contains("panicked at") {
        return Some("panics: return the error from main");
    }
    match run.status {
        None => Some("does not end in 20 s, and was killed: give every wait a deadline"),
        Some(status) if !status.success() && run.stderr.trim().is_empty() => {
            Some("fails without a word: print the error to stderr")
        }
        Some(_) => None,
    }
}

/// One test, for it waits: two that waited for the same runs would keep the other tests waiting too.
#[test]
fn every_example_ends_well_whatever_the_server_does() {
    let mut found = Vec::new();
    for (fault, example, run) in runs() {
        if let Some(complaint) = complaint(&run) {
            let message =
                format!("with a server that has the fault `{fault}`, it {complaint}\n{}", run.stderr);
            found.push(Finding::new(&example.source, 1, message));
        }
    }
    assert_none(found);
}

/// The harness itself: each complaint can be made.
#[cfg(unix)]
#[test]
fn hangs_panics_and_silence_are_complained_of() {
    let run = |script: &str| {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let deadline = Duration::from_millis(500);
        complaint(
            &examples::run(Path::new("/"), Path::new("/bin/sh"), &arguments, deadline).expect("sh starts"),
        )
    };
    assert!(run("exec sleep 60").is_some_and(|text| text.contains("does not end")));
    assert!(run("echo thread main panicked at x >&2; exit 101").is_some_and(|text| text.contains("panics")));
    assert!(run("exit 1").is_some_and(|text| text.contains("without a word")));
    assert_eq!(run("echo connection refused >&2; exit 1"), None);
    assert_eq!(run("exit 0"), None);
}
