//! Arithmetic in prose is computed: `90 / 12` is 7.5, and may be written as 8, or as 7, or as "7, rounded down".
//!
//! A sum is read from its first number to the number behind its `=`. Units are left out: both sides have the same, or the
//! reader sees that they differ.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, generated, prose};

/// Numbers with units, joined by signs, then `=` and a number.
pub(crate) static SUM: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"\d(?:[\d,]*\d)?(?:\.\d+)?";
    let unit = r"(?: ?(?:µs|ms|s|min|h|%|KiB|MiB|GiB|kB|MB|GB)(?-u:\b))?";
    let operand = format!(r"\(*{number}{unit}\)*");
    Regex::new(&format!(r"({operand}(?: [-+−×*/÷] {operand})+) = (?:about )?({number})"))
        .expect("a valid pattern")
});
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d[\d,]*(?:\.\d+)?|[-+−×*/÷()]").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        for run in prose::runs(page) {
            // Code is read too: a formula often stands in backticks.
            let text = run.text.replace('`', " ");
            for sum in SUM.captures_iter(&text) {
                let line = page.line_at(run.source(sum.get(1).expect("the sum").start()));
                if !generated::contains(page, line) {
                    let end = sum.get(0).expect("the whole match").end();
                    let rounded_down = text[end..].starts_with(", rounded down");
                    let message = judge(&sum[1], &sum[2], rounded_down);
                    found.extend(message.map(|message| Finding::new(&page.name, line, message)));
                }
            }
        }
    }
    found
}

fn judge(sum: &str, stated: &str, rounded_down: bool) -> Option<String> {
    let computed = compute(sum)?;
    let decimals = stated.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let scale = 10_f64.powi(i32::try_from(decimals).ok()?);
    let value: f64 = stated.replace(',', "").parse().ok()?;
    let near = |wanted: f64| (value - wanted / scale).abs() < 1e-9 * wanted.abs().max(1.0);
    let rounded = !rounded_down && near((computed * scale).round());
    let fits = rounded || near((computed * scale + 1e-9).floor());
    (!fits).then(|| format!("{sum} is {computed:.4}, not {stated}: compute it again"))
}

/// The value of a sum. `None` if its brackets do not pair.
fn compute(sum: &str) -> Option<f64> {
    let tokens: Vec<&str> = TOKEN.find_iter(sum).map(|token| token.as_str()).collect();
    let mut rest = tokens.as_slice();
    let value = terms(&mut rest)?;
    rest.is_empty().then_some(value)
}

fn terms(tokens: &mut &[&str]) -> Option<f64> {
    let mut value = factors(tokens)?;
    while let Some(sign @ ("+" | "-" | "−")) = tokens.first().copied() {
        *tokens = &tokens[1..];
        let term = factors(tokens)?;
        value += if sign == "+" { term } else { -term };
    }
    Some(value)
}

fn factors(tokens: &mut &[&str]) -> Option<f64> {
    let mut value = operand(tokens)?;
    while let Some(sign @ ("×" | "*" | "/" | "÷")) = tokens.first().copied() {
        *tokens = &tokens[1..];
        let factor = operand(tokens)?;
        value = if matches!(sign, "×" | "*") { value * factor } else { value / factor };
    }
    Some(value)
}

fn operand(tokens: &mut &[&str]) -> Option<f64> {
    let (first, rest) = tokens.split_first()?;
    *tokens = rest;
    if *first != "(" {
        return first.replace(',', "").parse().ok();
    }
    let value = terms(tokens)?;
    let (close, rest) = tokens.split_first()?;
    *tokens = rest;
    (*close == ")").then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    #[test]
    fn sums_that_are_right_or_rounded_pass() {
        let text = "# A\n\n100 × 0.05 = 5, and 90 / 12 = 7. 4 × 500 ms / 100 ms = 20.\n\
                    (60999 - 32768 + 1) / 60 s = 470 and `10 / 0.02 s = 500`.\n2 / 3 = 0.67, 1,000 + 24 = 1,024. x = 5.\n";
        expect(check(&Fixture::chapter(text).book), &[]);
    }

    #[test]
    fn sums_that_are_wrong_are_found() {
        let text = "# A\n\n90 / 8 = 12 and\n100 × 0.05 = 50.\n\n| a |\n|---|\n| `10 / 0.02 s = 50` |\n\n2 / 3 = 0.68\n\n\
                    (1 + 2) × 3 = 7\n\n90 / 12 = 8, rounded down\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[
                (A, 3, "90 / 8 is 11.25"),
                (A, 4, "100 × 0.05 is 5.0000, not 50"),
                (A, 8, "is 500.0000, not 50"),
                (A, 10, "not 0.68"),
                (A, 12, "is 9.0000, not 7"),
                (A, 14, "is 7.5000, not 8"),
            ],
        );
    }
}
