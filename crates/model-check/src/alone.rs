//! Each scenario in a process of its own.
//!
//! loom maps memory for the stacks of each order's threads, and unmaps it. The threads of a process queue up for its
//! map of memory: on two processors the quick run took 5.1 s in one process, and 2.4 s in one for each scenario.

use std::io::Write;
use std::process::Command;
use std::thread;

/// Set in the process that runs one scenario.
const ALONE: &str = "MODEL_CHECK_ALONE";

/// Runs the calling test in another process, and returns true. Returns false in that process, where nothing else runs.
pub(crate) fn ran_elsewhere() -> bool {
    let thread = thread::current();
    // The test harness names a thread after its test. With one thread there are no others to queue up with.
    let Some(test) = thread.name().filter(|name| *name != "main") else { return false };
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let program = std::env::current_exe().expect("a test binary knows where it is");
    let child = Command::new(program).args([test, "--exact", "--nocapture"]).env(ALONE, "1").output();
    let child = child.expect("a child process starts");
    let (said, cried) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "the child ended with {}:\n{said}\n{cried}", child.status);
    assert!(said.contains("1 passed"), "{test} is not the name of a test:\n{said}");
    for line in said.lines().filter(|line| line.contains(" interleavings (")) {
        print_line(line);
    }
    true
}

/// Not by `println`, which the test harness keeps to itself.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
