//! What the programs of the troubleshooting pages do over time, and the pictures that are drawn from it.
//!
//! A program with `mod trace;` says each change on stderr if it is asked to (`examples/troubleshooting/trace`). The data
//! is kept in `book/data/traces`; a test runs the programs again and compares, and compares the pictures with the data.

use std::path::Path;
use std::{fs, io};

use anyhow::{Result, bail};
use figures::traces::{self, DATA, FOLDER};

use crate::examples::{self, DEADLINE, Example, Run};
use crate::{Finding, kept, masks, tidy};

/// Makes a program say what it does, see `examples/troubleshooting/trace/mod.rs`.
const VARIABLE: (&str, &str) = ("TRACE", "1");

const SIGN: &str = "trace: ";

/// Builds the programs that have a trace, and runs them with it.
///
/// # Errors
///
/// They do not compile, or one cannot be started.
pub fn run_all(root: &Path) -> Result<Vec<(Example, Run)>> {
    let mut traced = examples::list(root)?;
    traced.retain(|example| {
        fs::read_to_string(root.join(&example.source))
            .is_ok_and(|text| text.lines().any(|line| line == "mod trace;"))
    });
    if traced.is_empty() {
        return Ok(Vec::new());
    }
    let programs = examples::build(root)?;
    let run =
        |example: &Example| examples::run_with(root, &programs[&example.name], &[], &[VARIABLE], DEADLINE);
    let runs = examples::in_parallel(&traced, 4, run);
    traced.into_iter().zip(runs).map(|(example, run)| Ok((example, run?))).collect()
}

fn file(example: &Example) -> String {
    format!("{DATA}/{}.txt", example.name)
}

/// The changes that a program has said: a line for each part.
fn data(run: &Run) -> String {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in run.stderr.lines().filter_map(|line| line.strip_prefix(SIGN)) {
        let Some((name, change)) = line.split_once("; ") else { continue };
        match parts.last_mut() {
            Some((last, changes)) if *last == name => changes.push(change),
            _ => parts.push((name, vec![change])),
        }
    }
    parts.iter().map(|(name, changes)| format!("{name}: {}\n", changes.join(", "))).collect()
}

/// Whether the programs still do what is drawn, and print what they print without a trace.
pub fn check_data(root: &Path, runs: &[(Example, Run)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (example, run) in runs {
        if let Some(failure) = examples::failure(run) {
            found.push(Finding::new(&example.source, 1, failure));
            continue;
        }
        let printed = fs::read_to_string(root.join(examples::OUTPUTS).join(format!("{}.txt", example.name)));
        if printed.is_ok_and(|expected| masks::render(&run.stdout, &expected) != expected) {
            let message =
                format!("prints something else with `{}=1`: a trace must change nothing", VARIABLE.0);
            found.push(Finding::new(&example.source, 1, message));
        }
        found.extend(kept::drift(root, &file(example), &data(run), |_| {
            format!("{} does something else now: run `cargo guide generate`", example.source)
        }));
    }
    found
}

/// Runs the programs and keeps what they say. Returns what changed.
///
/// # Errors
///
/// A program does not compile, fails, or says nothing; or a file cannot be written.
pub fn rewrite(root: &Path) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for (example, run) in &run_all(root)? {
        if let Some(failure) = examples::failure(run) {
            bail!("{}: {failure}", example.source);
        }
        let data = data(run);
        if data.is_empty() {
            bail!("{}: has `mod trace;` and traces nothing: call `trace::part`", example.source);
        }
        if kept::write(root, &file(example), &data)? {
            changed.push(file(example));
        }
    }
    Ok(changed)
}

/// A book without traces has no pictures of them.
fn has_traces(root: &Path) -> bool {
    root.join(DATA).is_dir()
}

/// Whether the pictures are what the data draws.
pub fn check(root: &Path) -> Vec<Finding> {
    if !has_traces(root) {
        return Vec::new();
    }
    let pictures = match traces::all(root) {
        Ok(pictures) => pictures,
        Err(message) => return vec![Finding::new(DATA, 1, message)],
    };
    let mut found: Vec<Finding> = pictures
        .iter()
        .filter_map(|(file, drawn)| {
            kept::drift(root, file, drawn, |_| {
                format!("the picture differs from what {DATA} draws: run `cargo guide generate`")
            })
        })
        .collect();
    let mut files = Vec::new();
    tidy::walk(root, FOLDER, &mut files);
    for file in files.into_iter().filter(|file| pictures.iter().all(|(picture, _)| picture != file)) {
        found.push(Finding::new(file, 1, "nothing draws this picture: remove it"));
    }
    found
}

/// Draws the pictures anew. Returns the names of those that changed.
///
/// # Errors
///
/// The data cannot be read, or a picture cannot be written.
pub fn redraw(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    if !has_traces(root) {
        return Ok(changed);
    }
    for (file, drawn) in traces::all(root).map_err(io::Error::other)? {
        if kept::write(root, &file, &drawn)? {
            changed.push(file);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::{Fixture, expect};

    fn traced(stdout: &str, stderr: &str) -> (Example, Run) {
        let example =
            Example { name: "leaks".to_owned(), source: "examples/troubleshooting/leaks.rs".to_owned() };
        let run = Run {
            status: Some(std::process::ExitStatus::default()),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            elapsed: Duration::ZERO,
        };
        (example, run)
    }

    #[test]
    fn the_changes_of_each_part_are_a_line() {
        let (_, run) = traced("", "trace: a; 0 1\nwarning\ntrace: a; 5 0\ntrace: b: c; 0 2\n");
        assert_eq!(data(&run), "a: 0 1, 5 0\nb: c: 0 2\n");
    }

    #[test]
    fn a_program_that_does_something_else_is_found() {
        let kept = format!("{DATA}/leaks.txt");
        let fixture = Fixture::new(&[(&kept, "a: 0 1\n"), ("examples/output/leaks.txt", "lost: 3\n")]);
        let check = |stdout, stderr| check_data(&fixture.book.root, &[traced(stdout, stderr)]);
        expect(check("lost: 3\n", "trace: a; 0 1\n"), &[]);
        expect(check("lost: 3\n", "trace: a; 0 2\n"), &[(&kept, 1, "does something else now")]);
        expect(
            check("lost: 2\n", "trace: a; 0 1\n"),
            &[("examples/troubleshooting/leaks.rs", 1, "a trace must change nothing")],
        );
    }

    #[test]
    fn a_picture_needs_its_data() {
        assert_eq!(check(&Fixture::new(&[]).book.root), []);
        let fixture = Fixture::new(&[(&format!("{DATA}/leaks.txt"), "a: 0 1\n")]);
        expect(check(&fixture.book.root), &[(DATA, 1, "cannot be read")]);
        assert!(redraw(&fixture.book.root).is_err());
    }
}
