//! What a run of cargo's tests has counted, and the table of it.

use std::fmt::Write;
use std::time::Duration;

/// The tests of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Tally {
    /// Adds up the `test result:` lines, one a test binary. `None` if there is none: the tests did not run.
    pub(crate) fn parse(output: &str) -> Option<Tally> {
        let mut total = None;
        for line in output.lines() {
            let Some((_, counts)) =
                line.trim_start().strip_prefix("test result: ").and_then(|line| line.split_once(". "))
            else {
                continue;
            };
            let total = total.get_or_insert_with(Tally::default);
            for count in counts.split(';') {
                match count.trim().split_once(' ') {
                    Some((number, "passed")) => total.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => total.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => total.ignored += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        total
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) check: &'static str,
    /// `None` when the tests did not get as far as running.
    pub(crate) tally: Option<Tally>,
    pub(crate) succeeded: bool,
    pub(crate) took: Duration,
}

impl Row {
    fn verdict(&self) -> &'static str {
        match (self.succeeded, self.tally) {
            (false, Some(_)) => "FAILED",
            (false, None) => "FAILED before any test ran",
            (true, Some(Tally { passed: 0, .. }) | None) => "ok, but it tested nothing",
            (true, Some(_)) => "ok",
        }
    }
}

/// The rows, a total, and a verdict for each, aligned for a fixed-width font. `took` is the time of the whole: checks may run
/// beside each other.
pub(crate) fn table(rows: &[Row], took: Duration) -> String {
    let total = Row {
        check: "total",
        tally: Some(rows.iter().filter_map(|row| row.tally).fold(Tally::default(), |sum, one| Tally {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
            ignored: sum.ignored + one.ignored,
        })),
        succeeded: rows.iter().all(|row| row.succeeded),
        took,
    };
    let width = rows.iter().map(|row| row.check.len()).max().unwrap_or(0).max("total".len());
    let mut out = format!("{:width$}  passed  failed  ignored  seconds\n", "check");
    for row in rows.iter().chain([&total]) {
        let [passed, failed, ignored] = row.tally.map_or_else(
            || ["-"; 3].map(str::to_owned),
            |tally| [tally.passed, tally.failed, tally.ignored].map(|count| count.to_string()),
        );
        let seconds = row.took.as_secs_f64();
        writeln!(
            out,
            "{:width$}  {passed:>6}  {failed:>6}  {ignored:>7}  {seconds:>7.1}  {}",
            row.check,
            row.verdict()
        )
        .expect("a string takes everything");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "
running 3 tests
test introduction.md (line 3) ... ok
test tour.md (line 9) ... FAILED
test tour.md (line 20) ... ignored

failures:
    tour.md (line 9)

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.23s

running 12 tests
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.01s

all doctests ran in 1.50s; merged doctests compilation took 0.80s
";

    fn row(check: &'static str, tally: Option<Tally>, succeeded: bool, millis: u64) -> Row {
        Row { check, tally, succeeded, took: Duration::from_millis(millis) }
    }

    #[test]
    fn the_counts_of_every_test_binary_are_added_up() {
        assert_eq!(Tally::parse(SAMPLE), Some(Tally { passed: 13, failed: 1, ignored: 1 }));
    }

    #[test]
    fn output_without_a_result_is_not_a_pass() {
        assert_eq!(Tally::parse("error[E0425]: cannot find value `x`\n"), None);
        assert_eq!(Tally::parse("the text `test result: ok.` within a line\n"), None);
    }

    #[test]
    fn the_table_lines_up() {
        let rows = [
            row("snippets", Some(Tally { passed: 61, failed: 0, ignored: 2 }), true, 3_210),
            row("book", Some(Tally { passed: 7, failed: 1, ignored: 0 }), false, 12_000),
            row("faults", None, false, 450),
        ];
        let expected = "\
check     passed  failed  ignored  seconds
snippets      61       0        2      3.2  ok
book           7       1        0     12.0  FAILED
faults         -       -        -      0.5  FAILED before any test ran
total         68       1        2     15.7  FAILED
";
        assert_eq!(table(&rows, Duration::from_millis(15_660)), expected);
    }

    #[test]
    fn a_check_that_tested_nothing_says_so() {
        let text = table(&[row("empty", Some(Tally::default()), true, 0)], Duration::ZERO);
        assert!(text.lines().nth(1).unwrap().ends_with("ok, but it tested nothing"), "{text}");
    }
}
