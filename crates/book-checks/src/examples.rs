//! Runs the examples, and keeps what they print in `examples/output`.
//!
//! The examples test compares, `cargo guide generate` writes, and the faults test runs them against broken servers: all
//! three build and run them here. An example is bounded in time. One that hangs is killed, and that is a failure.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use similar::TextDiff;

use crate::book::resolve;
use crate::{Book, Finding, cargo, masks};

/// Where the expected outputs are.
pub const OUTPUTS: &str = "examples/output";

/// How long an example may run.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// An example by its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Example {
    pub name: String,
    /// Relative to the repository: `examples/tour.rs`.
    pub source: String,
}

impl Example {
    /// The folder that it stands in together with others: `troubleshooting` for `examples/troubleshooting/leaks.rs`.
    pub fn group(&self) -> Option<&str> {
        let (folder, file) = self.source.strip_prefix("examples/")?.rsplit_once('/')?;
        (file != "main.rs").then_some(folder)
    }
}

/// What became of a program.
#[derive(Debug)]
pub struct Run {
    /// `None` if it was killed at its deadline.
    pub status: Option<std::process::ExitStatus>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

/// Every example, by source: `examples/NAME.rs` and `examples/NAME/main.rs`, as cargo finds them, and
/// `examples/GROUP/NAME.rs`, which `Cargo.toml` lists.
///
/// # Errors
///
/// The folder cannot be read. That it does not exist is no error.
pub fn list(root: &Path) -> io::Result<Vec<Example>> {
    let mut found = Vec::new();
    let folder = root.join("examples");
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".rs") {
            found.push(Example { name: name.to_owned(), source: format!("examples/{file}") });
        } else if entry.path().join("main.rs").exists() {
            found.push(Example { source: format!("examples/{file}/main.rs"), name: file });
        } else if entry.path().is_dir() {
            for member in fs::read_dir(entry.path())? {
                let member = member?.file_name().to_string_lossy().into_owned();
                if let Some(name) = member.strip_suffix(".rs") {
                    found
                        .push(Example { name: name.to_owned(), source: format!("examples/{file}/{member}") });
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Builds all examples, and returns their programs by name.
///
/// The command is the one that adds nothing to a finished `cargo test --workspace`: the same packages and features.
///
/// # Errors
///
/// They do not compile, or cargo did not build one that is there.
pub fn build(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = cargo::command()
        .args(["build", "--workspace", "--examples", "--message-format=json-render-diagnostics"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the examples do not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let programs: BTreeMap<String, PathBuf> =
        output.stdout.split(|&byte| byte == b'\n').filter_map(|line| program(root, line)).collect();
    for example in list(root)? {
        if !programs.contains_key(&example.name) {
            bail!(
                "{}: cargo builds no example `{}`: list it in Cargo.toml, at `example = [`",
                example.source,
                example.name
            );
        }
    }
    Ok(programs)
}

/// The example in one line of cargo's messages. Other packages may have examples of the same names.
fn program(root: &Path, line: &[u8]) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_slice(line).ok()?;
    let target = message.get("target")?;
    let is_example = target.get("kind")?.as_array()?.iter().any(|kind| kind == "example");
    let is_ours = Path::new(target.get("src_path")?.as_str()?).starts_with(root.join("examples"));
    let executable = message.get("executable")?.as_str()?;
    (is_example && is_ours).then_some((target.get("name")?.as_str()?.to_owned(), executable.into()))
}

/// Runs a program to its end, or to the deadline.
///
/// # Errors
///
/// It cannot be started.
pub fn run(root: &Path, program: &Path, arguments: &[String], deadline: Duration) -> Result<Run> {
    run_with(root, program, arguments, &[], deadline)
}

/// Runs a program with variables in its environment.
pub(crate) fn run_with(
    root: &Path,
    program: &Path,
    arguments: &[String],
    variables: &[(&str, &str)],
    deadline: Duration,
) -> Result<Run> {
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "0")
        .env("NO_COLOR", "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let status = wait(&mut child, started + deadline)?;
    let elapsed = started.elapsed();
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Ok(Run { status, stdout: text(stdout), stderr: text(stderr), elapsed })
}

/// Reads a pipe in a thread of its own: a program that fills one pipe while we read the other would hang.
fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is worth more than the error.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child, until: Instant) -> Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Calls `work` for every item, `workers` at a time, and returns the results in the order of the items.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], workers: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0..items.len());
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().expect("no worker panics").next() else { return };
                    let result = work(&items[index]);
                    done.lock().expect("no worker panics").insert(index, result);
                }
            });
        }
    });
    done.into_inner().expect("no worker panics").into_values().collect()
}

/// Builds and runs every example without arguments.
///
/// # Errors
///
/// They do not compile, or one cannot be started.
pub fn run_all(root: &Path) -> Result<Vec<(Example, Run)>> {
    let examples = list(root)?;
    if examples.is_empty() {
        return Ok(Vec::new());
    }
    let programs = build(root)?;
    // Most of them wait most of the time.
    let workers = thread::available_parallelism().map_or(2, usize::from) * 4;
    let runs = in_parallel(&examples, workers, |example| run(root, &programs[&example.name], &[], DEADLINE));
    examples.into_iter().zip(runs).map(|(example, run)| Ok((example, run?))).collect()
}

/// What is wrong with the runs: failures, outputs that are not as expected, and files that belong to no example.
pub fn check(root: &Path, runs: &[(Example, Run)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (example, run) in runs {
        let file = output_of(&example.name);
        let message = match (failure(run), fs::read_to_string(root.join(&file))) {
            (Some(failure), _) => failure,
            (None, Err(_)) => {
                format!("{file} does not exist: run `cargo guide generate`, and read what it wrote")
            }
            (None, Ok(expected)) => match drift(&file, &expected, &run.stdout) {
                None => continue,
                Some(drift) => {
                    let places = shown(root, &file);
                    if places.is_empty() {
                        found.push(Finding::new(&example.source, 1, &drift));
                    }
                    found.extend(
                        places
                            .into_iter()
                            .map(|(page, line)| Finding::new(page, line, format!("{file}: {drift}"))),
                    );
                    continue;
                }
            },
        };
        found.push(Finding::new(&example.source, 1, message));
    }
    for (file, _) in orphans(root, runs) {
        found.push(Finding::new(
            file,
            1,
            "no example of this name: delete the file, or run `cargo guide generate`",
        ));
    }
    found
}

/// Where the book shows an output: the chapter and the line.
fn shown(root: &Path, file: &str) -> Vec<(String, usize)> {
    let pages = Book::load(root).map(|book| book.pages).unwrap_or_default();
    let mut places = Vec::new();
    for page in &pages {
        for (index, line) in page.text.lines().enumerate() {
            let includes = snippets::includes(line);
            if includes.iter().any(|include| resolve(page.folder(), &include.path).as_deref() == Some(file)) {
                places.push((page.name.clone(), index + 1));
            }
        }
    }
    places
}

/// Why a run counts as failed.
pub fn failure(run: &Run) -> Option<String> {
    match run.status {
        None => Some(format!(
            "still running after {:?}, and killed: give every wait in it a deadline\n{}{}",
            run.elapsed, run.stdout, run.stderr
        )),
        Some(status) if !status.success() => {
            Some(format!("ended with {status}: make it end well\n{}{}", run.stdout, run.stderr))
        }
        Some(_) => None,
    }
}

/// The difference between what is expected and what was printed, masks aside.
fn drift(file: &str, expected: &str, printed: &str) -> Option<String> {
    let rendered = masks::render(printed, expected);
    if rendered == expected {
        return None;
    }
    let diff = TextDiff::from_lines(expected, &rendered);
    let diff = diff.unified_diff().context_radius(2).header(file, "printed now").to_string();
    Some(format!("the output has changed: if it is right, run `cargo guide generate`\n{diff}"))
}

fn output_of(name: &str) -> String {
    format!("{OUTPUTS}/{name}.txt")
}

fn orphans(root: &Path, runs: &[(Example, Run)]) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(root.join(OUTPUTS)) else { return Vec::new() };
    let files =
        entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    files
        .filter(|(file, _)| !runs.iter().any(|(example, _)| format!("{}.txt", example.name) == *file))
        .map(|(file, path)| (format!("{OUTPUTS}/{file}"), path))
        .collect()
}

/// Runs every example and writes what it prints. Deletes outputs of examples that are gone. Returns what changed.
///
/// # Errors
///
/// An example does not compile, fails, or hangs; or a file cannot be written.
pub fn write_expected(root: &Path) -> Result<Vec<String>> {
    let runs = run_all(root)?;
    let mut changed = Vec::new();
    for (example, run) in &runs {
        if let Some(failure) = failure(run) {
            bail!("{}: {failure}", example.source);
        }
        let file = output_of(&example.name);
        let old = fs::read_to_string(root.join(&file)).ok();
        let new = masks::render(&run.stdout, old.as_deref().unwrap_or_default());
        if old.as_deref() != Some(&new) {
            fs::create_dir_all(root.join(OUTPUTS))?;
            fs::File::create(root.join(&file))?.write_all(new.as_bytes())?;
            changed.push(file);
        }
    }
    for (file, path) in orphans(root, &runs) {
        fs::remove_file(path)?;
        changed.push(file);
    }
    Ok(changed)
}

// The programs that these tests run are scripts of the shell.
#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    fn sh(script: &str, deadline: Duration) -> Run {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run(Path::new("/"), Path::new("/bin/sh"), &arguments, deadline).unwrap()
    }

    fn example(name: &str) -> Example {
        Example { name: name.to_owned(), source: format!("examples/{name}.rs") }
    }

    #[test]
    fn examples_are_found_as_cargo_finds_them() {
        let fixture = Fixture::new(&[
            ("examples/b.rs", ""),
            ("examples/a/main.rs", ""),
            ("examples/a/other.rs", ""),
            ("examples/group/c.rs", ""),
            ("examples/output/b.txt", ""),
        ]);
        let found = list(&fixture.book.root).unwrap();
        let sources: Vec<&str> = found.iter().map(|example| example.source.as_str()).collect();
        assert_eq!(sources, ["examples/a/main.rs", "examples/b.rs", "examples/group/c.rs"]);
        let groups: Vec<Option<&str>> = found.iter().map(Example::group).collect();
        assert_eq!(groups, [None, None, Some("group")]);
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_a_failure_is_told() {
        let hung = sh("echo begun; exec sleep 60", Duration::from_millis(200));
        assert!(hung.status.is_none() && hung.elapsed < Duration::from_secs(20));
        assert!(failure(&hung).unwrap().contains("begun"));
        assert!(failure(&sh("echo why >&2; exit 3", DEADLINE)).unwrap().contains("why"));
        assert!(failure(&sh("exit 0", DEADLINE)).is_none());
    }

    #[test]
    fn a_full_pipe_does_not_block() {
        let run = sh("head -c 300000 /dev/zero >&2; echo done", DEADLINE);
        assert_eq!((run.stdout.as_str(), run.stderr.len()), ("done\n", 300_000));
    }

    #[test]
    fn drift_missing_and_orphaned_outputs_are_found() {
        let fixture = Fixture::new(&[
            ("examples/output/same.txt", "took <duration>\n"),
            ("examples/output/other.txt", "one\ntwo\n"),
            ("examples/output/gone.txt", "x\n"),
            ("examples/output/shown.txt", "old\n"),
            ("book/src/a.md", "# A\n\n```text\n{{#include ../../examples/output/shown.txt}}\n```\n"),
        ]);
        let printed = |text: &str| sh(&format!("printf '{text}'"), DEADLINE);
        let runs = [
            (example("same"), printed("took 3ms\\n")),
            (example("other"), printed("one\\n2\\n")),
            (example("new"), printed("x\\n")),
            (example("shown"), printed("new\\n")),
        ];
        let found = check(&fixture.book.root, &runs);
        expect(
            found,
            &[
                ("book/src/a.md", 4, "-old\n+new\n"),
                ("examples/new.rs", 1, "does not exist: run `cargo guide generate`"),
                ("examples/other.rs", 1, "-two\n+2\n"),
                ("examples/output/gone.txt", 1, "no example of this name"),
            ],
        );
    }

    #[test]
    fn cargos_messages_name_the_programs() {
        let line = |kind: &str, source: &str| {
            format!(
                r#"{{"target":{{"kind":["{kind}"],"name":"x","src_path":"{source}"}},"executable":"/t/x"}}"#
            )
        };
        let read = |line: String| program(Path::new("/r"), line.as_bytes());
        assert_eq!(read(line("example", "/r/examples/x.rs")), Some(("x".to_owned(), PathBuf::from("/t/x"))));
        assert_eq!(read(line("example", "/r/crates/y/examples/x.rs")), None);
        assert_eq!(read(line("bin", "/r/examples/x.rs")), None);
    }

    #[test]
    fn parallel_work_keeps_its_order() {
        assert_eq!(in_parallel(&[1, 2, 3, 4, 5], 3, |n| n * n), [1, 4, 9, 16, 25]);
        assert_eq!(in_parallel(&[0; 0], 3, |n| *n), [0; 0]);
    }
}
