//! Runs a job under valgrind and reads what it printed.

use std::env;
use std::io;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Job;

/// What `dhat` says of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heap {
    pub(super) total_bytes: u64,
    pub(super) total_blocks: u64,
    pub(super) end_bytes: u64,
}

pub(super) fn instructions(job: &Job) -> Result<u64> {
    let text = run("callgrind", &["--callgrind-out-file=/dev/null"], job)?;
    parse_instructions(&text).with_context(|| format!("callgrind printed no total:\n{text}"))
}

pub(super) fn heap(job: &Job) -> Result<Heap> {
    let text = run("dhat", &["--dhat-out-file=/dev/null"], job)?;
    parse_heap(&text).with_context(|| format!("dhat printed no totals:\n{text}"))
}

fn run(tool: &str, options: &[&str], job: &Job) -> Result<String> {
    let program = env::current_exe().context("cannot find this program")?;
    let output = Command::new("valgrind")
        .arg(format!("--tool={tool}"))
        .args(options)
        .arg(program)
        .args(job.arguments())
        // So that valgrind and not a preloaded allocator is asked for memory.
        .env_remove("LD_PRELOAD")
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "valgrind is not installed, and counts need it. Install it with `apt-get install valgrind` on Debian and \
             Ubuntu, `dnf install valgrind` on Fedora"
        ),
        output => output.context("cannot run valgrind")?,
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{job:?} failed under valgrind {tool}, {}:\n{text}", output.status);
    }
    Ok(text)
}

/// `==1234== Collected : 287534`.
fn parse_instructions(text: &str) -> Option<u64> {
    field(text, "Collected").and_then(|rest| number(rest.trim_start_matches([' ', ':'])))
}

/// `==1234== Total:     6,410 bytes in 31 blocks`, and `At t-end:` likewise.
fn parse_heap(text: &str) -> Option<Heap> {
    let bytes_and_blocks = |name| {
        let mut words = field(text, name)?.split_whitespace();
        let bytes = number(words.next()?)?;
        Some((bytes, number(words.nth(2)?)?))
    };
    let (total_bytes, total_blocks) = bytes_and_blocks("Total:")?;
    let (end_bytes, _) = bytes_and_blocks("At t-end:")?;
    Some(Heap { total_bytes, total_blocks, end_bytes })
}

/// What follows `name` on valgrind's own lines: the program's have no `==pid==`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix("==")?.split_once("== ")?.1.trim_start().strip_prefix(name))
}

fn number(word: &str) -> Option<u64> {
    word.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_callgrind_is_found() {
        let text = "==4711== Callgrind, a call-graph generating cache profiler\n\
                    Collected : 1\n\
                    ==4711== \n\
                    ==4711== Events    : Ir\n\
                    ==4711== Collected : 287534\n\
                    ==4711== \n\
                    ==4711== I   refs:      287,534\n";
        assert_eq!(parse_instructions(text), Some(287_534));
        assert_eq!(parse_instructions("==4711== Events    : Ir\n"), None);
    }

    #[test]
    fn the_totals_of_dhat_are_found() {
        let text = "==815== DHAT, a dynamic heap analysis tool\n\
                    ==815== \n\
                    ==815== Total:     1,006,410 bytes in 31 blocks\n\
                    ==815== At t-gmax: 1,004,096 bytes in 2 blocks\n\
                    ==815== At t-end:  72,704 bytes in 1 blocks\n\
                    ==815== Reads:     8,033 bytes\n";
        let heap = Heap { total_bytes: 1_006_410, total_blocks: 31, end_bytes: 72_704 };
        assert_eq!(parse_heap(text), Some(heap));
        assert_eq!(parse_heap("==815== Total:     many\n"), None);
    }
}
