//! Processes: another one of this test binary, and what the operating system knows of this one. `None` where there is no
//! `/proc`.

use std::fs;
use std::process::{Command, Stdio};

/// This test binary once more, to run one test that is ignored otherwise.
pub(crate) fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary knows where it is"));
    command.args([name, "--exact", "--ignored", "--nocapture"]).stdin(Stdio::null());
    command
}

/// How many files, sockets among them, are open.
pub(crate) fn open_files() -> Option<usize> {
    // The folder that is being read is open too, each time.
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// How much memory is in use, in KiB.
pub(crate) fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
