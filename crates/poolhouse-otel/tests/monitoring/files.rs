//! The files, and the rules with a shorter clock.

use std::path::{Path, PathBuf};

use regex::{Captures, Regex};
use tokio::sync::Mutex;

/// A minute of the rules takes this long in the tests, in milliseconds.
pub(crate) const MINUTE: u64 = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read(name: &str) -> String {
    let file = root().join("book/src/guide/monitoring").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The source of a page of the guide.
pub(crate) fn page(name: &str) -> String {
    let file = root().join(format!("book/src/{name}.md"));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The name of the page, by the address that an alert has.
pub(crate) fn page_at(address: &str) -> &str {
    let page = address.strip_prefix("<guide>/").and_then(|page| page.strip_suffix(".html"));
    page.unwrap_or_else(|| panic!("no address of a page: {address}"))
}

/// The rules with every window and every `for` a hundredth as long: what takes five minutes takes three seconds. Bounds
/// on times, such as how long a wait may be, are not durations of the rules, and stay.
pub(crate) fn hastened(rules: &str) -> String {
    let duration = Regex::new(r"(?m)(\[|^ *for: )(\d+)(m|h)\b").unwrap();
    let shorter = |found: &Captures<'_>| {
        let minutes = found[2].parse::<u64>().unwrap() * if &found[3] == "h" { 60 } else { 1 };
        format!("{}{}ms", &found[1], minutes * MINUTE)
    };
    duration.replace_all(rules, shorter).into_owned()
}

/// One test at a time has pools in faults. Two at once are late on a small machine, and late callers are a fault.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

#[test]
fn windows_and_fors_get_shorter_and_nothing_else_does() {
    let rules = "  # after 5m\n  expr: rate(a[5m]) > 0.5\n  for: 10m\n  expr: b[1h]\n";
    let expected = "  # after 5m\n  expr: rate(a[3000ms]) > 0.5\n  for: 6000ms\n  expr: b[36000ms]\n";
    assert_eq!(hastened(rules), expected);
}
