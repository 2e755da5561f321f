//! A number in the text below an output is one that the output, or the program that prints it, has.
//!
//! Counts are looked at in the paragraph below the output, whether in digits or in words: "sent three times". Counts of one
//! digit must be in the output, for nearly every program has a `3` somewhere. Durations are looked at there too, whatever
//! their unit: `2 s` is `from_millis(2000)`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use snippets::Block;

use crate::outputs::FOLDER;
use crate::{Book, Finding, Page, arithmetic, examples, outputs};

const WORDS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];

static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d[\d,_]*").expect("a valid pattern"));
static NO_PROSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\]\([^)]*\)|`[^`]*`|<[^>]*>").expect("a valid pattern"));
static COUNT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[^\w.,-])(\d(?:[\d,]*\d)?)(-\w|\.\d|\s*(?:µs|ms|s|min|h|kB|KB|MB|MiB|%|percent|seconds|minutes)(?-u:\b))?",
    )
    .expect("a valid pattern")
});
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    // One is a pronoun too, and two are often "the two".
    Regex::new(&format!(r"(?i)(?-u:\b)({})(?-u:\b)(-\w)?", WORDS[3..].join("|"))).expect("a valid pattern")
});
static DURATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^\w.,-])(\d[\d,]*(?:\.\d+)?) ?(µs|ms|s|min|h)(?-u:\b)").expect("a valid pattern")
});
static IN_CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?:from_)?(secs|millis|micros|ms|seconds)(?:_f64)?\((\d[\d_]*(?:\.\d+)?)\)")
        .expect("a valid pattern")
});

static IN_MILLISECONDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"in ms: (\d+)").expect("a valid pattern"));

/// What an output and its program know.
#[derive(Default)]
struct Known {
    counts: BTreeSet<String>,
    printed: BTreeSet<String>,
    /// In nanoseconds, rounded.
    durations: BTreeSet<u128>,
}

pub fn check(book: &Book) -> Vec<Finding> {
    let sources = examples::list(&book.root).unwrap_or_default();
    let mut found = Vec::new();
    for page in book.chapters() {
        for block in page.blocks().iter().filter(|block| block.language() == Some("text")) {
            let names = names(block);
            if names.is_empty() {
                continue;
            }
            let mut known = Known::default();
            for name in &names {
                known.read(&book.root, &format!("{FOLDER}{name}.txt"), true);
                if let Some(example) = sources.iter().find(|example| example.name == *name) {
                    known.read(&book.root, &example.source, false);
                }
            }
            for (line, text) in lines_below(page, block) {
                for wrong in known.unknown_in(&text) {
                    let message =
                        format!("neither output nor source of `{}` has {wrong}: fix it", names.join("`, `"));
                    found.push(Finding::new(&page.name, line, message));
                }
            }
        }
    }
    found
}

/// The examples whose output a block shows.
fn names(block: &Block) -> Vec<String> {
    let of_path = |path: &str| Some(path.split_once(FOLDER)?.1.strip_suffix(".txt")?.to_owned());
    let includes = block.includes();
    let cutting = block.comment("output of").and_then(outputs::example_of).map(ToOwned::to_owned);
    includes.iter().filter_map(|include| of_path(&include.path)).chain(cutting).collect()
}

impl Known {
    fn read(&mut self, root: &Path, file: &str, printed: bool) {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        let digits = DIGITS.find_iter(&text).map(|number| number.as_str().replace([',', '_'], ""));
        let digits: Vec<String> = digits.collect();
        if printed {
            self.printed.extend(digits.iter().cloned());
        }
        self.counts.extend(digits);
        let in_code = IN_CODE.captures_iter(&text).map(|duration| nanos(&duration[2], &duration[1]));
        let in_text = DURATION.captures_iter(&text).map(|duration| nanos(&duration[1], &duration[2]));
        let counted = IN_MILLISECONDS.captures_iter(&text).map(|duration| nanos(&duration[1], "ms"));
        self.durations.extend(in_code.chain(in_text).chain(counted).flatten());
    }

    /// The numbers of a line that nothing has.
    fn unknown_in(&self, line: &str) -> Vec<String> {
        let counts = COUNT.captures_iter(line).filter(|count| count.get(2).is_none());
        let counts = counts.map(|count| (count[1].to_owned(), count[1].replace(',', "")));
        let words = WORD.captures_iter(line).filter(|word| word.get(2).is_none());
        let words = words.filter_map(|word| {
            let number = WORDS.iter().position(|known| word[1].eq_ignore_ascii_case(known))?;
            Some((word[1].to_owned(), number.to_string()))
        });
        let unknown = counts.chain(words).filter(|(_, number)| !self.has(number)).map(|(written, _)| written);
        let durations = DURATION.captures_iter(line).filter(|duration| {
            nanos(&duration[1], &duration[2]).is_some_and(|nanos| !self.durations.contains(&nanos))
        });
        unknown.chain(durations.map(|duration| format!("{} {}", &duration[1], &duration[2]))).collect()
    }

    fn has(&self, number: &str) -> bool {
        if number.len() > 1 { self.counts.contains(number) } else { self.printed.contains(number) }
    }
}

fn nanos(number: &str, unit: &str) -> Option<u128> {
    let number: f64 = number.replace([',', '_'], "").parse().ok()?;
    let unit = match unit {
        "µs" | "micros" => 1e3,
        "ms" | "millis" => 1e6,
        "min" => 60e9,
        "h" => 3600e9,
        _ => 1e9,
    };
    Some((number * unit).round() as u128)
}

/// The lines of the paragraph below, without what is no prose.
fn lines_below(page: &Page, block: &Block) -> Vec<(usize, String)> {
    let below = page.text[block.range.end..].trim_start();
    let first = page.line_at(page.text.len() - below.len());
    if below.starts_with(['#', '|', '<']) || below.starts_with("```") {
        return Vec::new();
    }
    let paragraph = below.split("\n\n").next().unwrap_or_default();
    // The result of a sum need not be printed: it is computed.
    let paragraph = arithmetic::SUM.replace_all(paragraph, "");
    let blanked = NO_PROSE
        .replace_all(&paragraph, |code: &regex::Captures<'_>| "\n".repeat(code[0].matches('\n').count()));
    blanked.lines().enumerate().map(|(index, line)| (first + index, line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_count_that_the_output_lacks_is_found() {
        let text = "# A\n\n```text\n{{#include ../../examples/output/x.txt}}\n```\n\nOf 3,000 there are 538,\nnot 539, in 77 kB `99`.\n\n\
                    Later 12.\n\n<!-- output of: cargo run --example x -->\n```text\na\n```\n\n20 and 21.\n";
        let fixture = Fixture::new(&[
            ("book/src/a.md", text),
            ("examples/output/x.txt", "a\n538 of 3000\n"),
            ("examples/g/x.rs", "const N: u8 = 2_0;"),
        ]);
        expect(check(&fixture.book), &[("book/src/a.md", 8, "has 539"), ("book/src/a.md", 17, "has 21")]);
    }

    #[test]
    fn small_numbers_words_and_durations_are_looked_at_too() {
        let page = |text: &str| {
            format!("# A\n\n```text\n{{{{#include ../../examples/output/x.txt}}}}\n```\n\n{text}\n")
        };
        let check_with = |text: &str| {
            check(
                &Fixture::new(&[
                    ("book/src/a.md", &page(text)),
                    ("examples/output/x.txt", "sent 3 times, each after 20 ms\n"),
                    (
                        "examples/g/x.rs",
                        "sleep(Duration::from_millis(2000)); let four = 4; // half a minute: 30 s\n",
                    ),
                ])
                .book,
            )
        };
        expect(
            check_with(
                "It is sent three times, after 20 ms or 0.02 s, so 7 × 9 ms = 63 ms. The limit is 2 s, the end after 30 s. Three.",
            ),
            &[],
        );
        let slips = [
            "sent four times",
            "4 times",
            "after 20 s",
            "The limit is 2 ms",
            "2 min",
            "Five of them",
            "sent 5 times",
        ];
        for slip in slips {
            let found = check_with(slip);
            assert_eq!(found.len(), 1, "{slip}: {found:?}");
        }
    }
}
