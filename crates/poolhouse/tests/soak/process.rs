//! What the operating system knows of this process. `None` where there is no `/proc`.

use std::fs;

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
