//! The other subcommands, and the help of all.

use crate::fixture::{Running, SmallBook, guide, stderr, stdout};

#[test]
fn every_subcommand_has_short_help_with_examples() {
    let outer = stdout(&guide(&["--help"]).output().unwrap());
    for subcommand in ["serve", "build", "test", "generate", "read", "echo"] {
        assert!(outer.lines().any(|line| line.trim_start().starts_with(subcommand)), "{subcommand}: {outer}");
        let output = guide(&[subcommand, "--help"]).output().unwrap();
        let help = stdout(&output);
        assert!(output.status.success() && help.contains("Usage: cargo guide"), "{help}");
        assert!(help.contains("Examples:") && help.contains(&format!("cargo guide {subcommand}")), "{help}");
        assert!(help.lines().count() < 70, "{subcommand}: {help}");
    }
    assert!(!outer.contains("mdbook-test"), "what is internal is not offered: {outer}");
}

#[test]
fn a_build_has_no_reload_script_and_works_from_any_folder() {
    let book = SmallBook::new();
    let output = book.command(&["build"]).current_dir(book.root().join("book/src")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let page = book.read("target/book/index.html");
    assert!(page.contains("first words") && !page.contains("__reload") && !page.contains("WebSocket"));
    assert!(stdout(&output).contains("index.html"), "{}", stdout(&output));
}

/// Of mdBook's variables and of anybody's.
#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_does_no_harm() {
    use std::os::unix::ffi::OsStrExt;

    let not_utf8 = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let book = SmallBook::new();
    for (name, value) in [("SOMEBODYS".as_ref(), not_utf8), (not_utf8, "value".as_ref())] {
        let output = book.command(&["build"]).env(name, value).output().unwrap();
        assert!(output.status.success(), "{name:?}: {}", stderr(&output));
    }
    let output = book.command(&["build"]).env("MDBOOK_BOOK__TITLE", not_utf8).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = stderr(&output);
    assert!(complaint.contains("MDBOOK_BOOK__TITLE is not UTF-8"), "{complaint}");
}

#[test]
fn mdbooks_variables_override_the_configuration() {
    let book = SmallBook::new();
    let mut command = book.command(&["build"]);
    command.env("MDBOOK_BOOK__TITLE", "Overridden").env("MDBOOK_OUTPUT__HTML__NO_SECTION_LABEL", "true");
    command.env("MDBOOK_VERSION", "not mdBook's");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(book.read("target/book/index.html").contains("Overridden"));
    let output = book.command(&["build"]).env("MDBOOK_BUILD__BUILD_DIR", "7").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("MDBOOK_BUILD__BUILD_DIR"), "{}", stderr(&output));
}

#[test]
fn a_failed_build_leaves_the_last_good_one_and_nothing_else() {
    let book = SmallBook::new();
    assert!(book.run(&["build"]).status.success());
    book.write("book/src/one.md", "{{#include nowhere.txt}}\n");
    let output = book.run(&["build"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere.txt"), "{}", stderr(&output));
    assert!(book.read("target/book/index.html").contains("first words"));
    let left: Vec<_> =
        std::fs::read_dir(book.root().join("target")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["book"]);

    book.write("book/src/one.md", "second words\n");
    assert!(book.run(&["build"]).status.success());
    assert!(book.read("target/book/index.html").contains("second words"));
}

#[test]
fn the_preprocessor_of_the_tests_is_not_run_for_html() {
    let book = SmallBook::new();
    let config = book.read("book.toml");
    book.write(
        "book.toml",
        &format!("{config}[preprocessor.externs]\ncommand = \"./none-such\"\nrenderers = [\"test\"]\n"),
    );
    let output = book.run(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn outside_a_book_the_error_says_where_to_go() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = guide(&["build"]).current_dir(elsewhere.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("book.toml") && stderr(&output).contains("--root"),
        "{}",
        stderr(&output)
    );

    let book = SmallBook::new();
    let root = book.root().to_str().unwrap();
    let output = guide(&["build", "--root", root]).current_dir(elsewhere.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A stand-in for cargo that passes everything but the faults.
#[cfg(unix)]
fn stand_in(book: &SmallBook) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let script = "#!/bin/sh
case \"$*\" in
  *faults*) echo 'test cured ... FAILED'; echo 'why it failed'; echo 'test fine ... ok'
            echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out'; exit 101;;
  *programs*) echo 'error[E0425]: it does not compile' >&2; exit 101;;
  *) echo 'test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out';;
esac
";
    book.write("cargo.sh", script);
    let path = book.root().join("cargo.sh");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn test_prints_the_failures_and_then_one_table() {
    let book = SmallBook::new();
    let output = book.command(&["test"]).env("CARGO", stand_in(&book)).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    let table = text.find("check ").expect("a table");
    for reason in ["why it failed", "error[E0425]"] {
        assert!(text.find(reason).is_some_and(|at| at < table), "{reason} above the table: {text}");
    }
    assert!(!text.contains("test fine ... ok"), "{text}");
    let cells: Vec<Vec<&str>> = text[table..].lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[1][..4], ["snippets", "4", "0", "1"]);
    assert_eq!(cells[2][..4], ["programs", "-", "-", "-"]);
    assert_eq!(cells[4][..4], ["faults", "1", "1", "0"]);
    assert_eq!(cells.last().unwrap()[..4], ["total", "17", "1", "4"]);

    let output = book.command(&["test", "snippets", "book"]).env("CARGO", stand_in(&book)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(stdout(&output).lines().count(), 4, "{}", stdout(&output));
}

#[test]
fn mdbooks_own_test_is_run_when_it_is_configured() {
    let book = SmallBook::new();
    let config = book.read("book.toml");
    book.write(
        "book.toml",
        &format!("{config}[preprocessor.externs]\ncommand = \"false\"\nrenderers = [\"test\"]\n"),
    );
    let output = book.run(&["test", "mdbook"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("externs"), "{}", stdout(&output));
    assert!(stdout(&output).contains("before any test ran"), "{}", stdout(&output));

    let child = book.run(&["mdbook-test"]);
    assert!(!child.status.success() && !stdout(&child).contains("passed"), "{}", stdout(&child));

    // Configured, but told to leave the chapters alone: the chapters themselves are judged.
    book.write(
        "book.toml",
        &format!("{config}[preprocessor.externs]\ncommand = \"false\"\nrenderers = []\n"),
    );
    book.write("book/src/SUMMARY.md", "- [One](one.md)\n- [Two](two.md)\n");
    book.write("book/src/two.md", "```rust\nassert_eq!(1, 2);\n```\n");
    let output = book.run(&["test", "mdbook"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("assert"), "{text}");
    let row: Vec<&str> =
        text.lines().find(|line| line.starts_with("mdbook ")).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["mdbook", "1", "1", "0"], "{text}");
}

#[test]
fn generate_lists_what_is_out_of_date_and_cannot_be_written() {
    let book = SmallBook::new();
    let output = book.run(&["generate", "--check"]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).contains("up to date"), "{}", stdout(&output));

    book.write("book/src/one.md", "<!-- generated: none-such -->\n<!-- end generated -->\n");
    for arguments in [&["generate", "--check"][..], &["generate"]] {
        let output = book.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(stdout(&output).contains("book/src/one.md:1"), "{}", stdout(&output));
    }
}

#[test]
fn read_shows_what_nobody_has_read_and_records_it() {
    let book = SmallBook::new();
    let page = "book/src/one.md";
    book.write(page, "# Waiting\n\nA pool waits later.\n");
    let shown = |arguments: &[&str]| {
        let output = book.run(&[&["read"], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let first = shown(&["--unread"]);
    assert!(first.contains("book/src/one.md:3: A pool waits later.\n  against the code"), "{first}");
    assert!(first.ends_with("1 recorded as not read yet\n"), "{first}");
    assert!(shown(&[]).ends_with("0 recorded as read\n"));
    assert!(book.read("book/data/readings.txt").contains("? A pool waits later.\n"));
    assert!(shown(&[page]).contains("A pool waits later.\n"));
    assert!(book.read("book/data/readings.txt").ends_with(" A pool waits later.\n"));
    assert!(!book.read("book/data/readings.txt").contains("? A"));
    assert!(shown(&[page]).ends_with("0 recorded as read\n"));
    assert_eq!(book.run(&["read", "book/src/none.md"]).status.code(), Some(1));
}

#[test]
fn lab_prints_the_runs_of_a_preset_and_of_knobs_and_refuses_the_rest() {
    let lab = |arguments: &[&str]| guide(&[&["lab"], arguments].concat()).output().unwrap();
    let printed = |arguments: &[&str]| {
        let output = lab(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let listed = printed(&[]);
    assert!(pool_lab::PRESETS.iter().all(|preset| listed.contains(preset.name)), "{listed}");
    let knobs = "rate=50&hold=40&max_connections=4&duration=20";
    let scenario = pool_lab::Scenario::parse(knobs).unwrap();
    let run = pool_lab::run(&scenario);
    assert_eq!(printed(&[knobs, "--json"]), format!("{}\n", pool_lab::report(&run)));
    assert_eq!(printed(&[knobs]), pool_lab::table(&[("run".to_owned(), run)]));
    let preset = printed(&["nested-acquires"]);
    assert!(preset.contains("| two at a time |") && preset.contains("timed out: "), "{preset}");
    let sized = printed(&["--size", "rate=100&hold=50&target=20&duration=20"]);
    assert!(sized.starts_with("Set max_connections to "), "{sized}");
    assert!(printed(&["--loads", knobs]).starts_with("| load | busy | requests a second |"));
    for (wrong, said) in
        [("silly", "no preset silly"), ("rate=0", "rate is \"0\""), ("colour=red", "colour is no knob")]
    {
        let output = lab(&[wrong]);
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[cfg(unix)]
#[test]
fn echo_runs_alone_with_its_faults() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = guide(&["echo", "--listen", "127.0.0.1:0", "--latency", "20ms"]);
    command.current_dir(elsewhere.path());
    let mut running = Running::start(command);
    running.line("listening on 127.0.0.1:");
    running.line("latency");
    running.signal("INT");
    assert_eq!(running.end().code(), Some(0));

    let output = guide(&["echo", "--listen", "256.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}
