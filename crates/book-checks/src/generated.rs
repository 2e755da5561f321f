//! A generated block holds what its generator returns now.
//!
//! A block stands between `<!-- generated: NAME -->` and `<!-- end generated -->`, each on a line of its own. Blank
//! lines next to the marks belong to the marks.

use std::fs;
use std::io;

use crate::{Book, Finding, Generators, Page};

const START: &str = "<!-- generated:";
const END: &str = "<!-- end generated -->";

/// One block: the lines of its marks, counted from 1, and the name of its generator.
struct Region {
    name: String,
    start: usize,
    end: usize,
}

/// The blocks of a page, and what is wrong with its marks.
fn regions(page: &Page) -> (Vec<Region>, Vec<Finding>) {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for (index, line) in page.text.lines().enumerate() {
        let (line, number) = (line.trim(), index + 1);
        if let Some(rest) = line.strip_prefix(START) {
            if let Some((name, start)) = open.take() {
                wrong.push(Finding::new(&page.name, start, format!("`{name}` has no `{END}`: add it")));
            }
            open = Some((rest.trim_end_matches("-->").trim().to_owned(), number));
        } else if line == END {
            match open.take() {
                Some((name, start)) => found.push(Region { name, start, end: number }),
                None => {
                    wrong.push(Finding::new(
                        &page.name,
                        number,
                        format!("no `{START} NAME -->` before this"),
                    ));
                }
            }
        }
    }
    if let Some((name, start)) = open {
        wrong.push(Finding::new(&page.name, start, format!("`{name}` has no `{END}`: add it")));
    }
    (found, wrong)
}

/// Whether the line is generated.
pub(crate) fn contains(page: &Page, line: usize) -> bool {
    regions(page).0.iter().any(|region| (region.start..=region.end).contains(&line))
}

/// Whether the page has a block of this name.
pub(crate) fn has(page: &Page, name: &str) -> bool {
    regions(page).0.iter().any(|region| region.name == name)
}

pub fn check(book: &Book, generators: &Generators) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        let (regions, wrong) = regions(page);
        found.extend(wrong);
        let lines: Vec<&str> = page.text.lines().collect();
        for region in regions {
            let Some(text) = generators.generate(&region.name) else {
                let known: Vec<&str> = generators.names().collect();
                let message = format!("no generator `{}`: there are [{}]", region.name, known.join(", "));
                found.push(Finding::new(&page.name, region.start, message));
                continue;
            };
            let text = match text {
                Ok(text) => text,
                Err(lack) => {
                    let message = format!("generated block `{}`: {lack}", region.name);
                    found.push(Finding::new(&page.name, region.start, message));
                    continue;
                }
            };
            let inside = trimmed(&lines, region.start, region.end - 1);
            let first = inside.start;
            let present = &lines[inside];
            let expected: Vec<&str> = text.lines().collect();
            if present == expected {
                continue;
            }
            let same = present.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            let wanted =
                expected.get(same).map_or("the end of the block".to_owned(), |line| format!("`{line}`"));
            let message =
                format!("generated block `{}`: expected {wanted}; run `cargo guide generate`", region.name);
            found.push(Finding::new(&page.name, first + same + 1, message));
        }
    }
    found
}

/// The lines of `start..end` without blank ones at either end.
fn trimmed(lines: &[&str], mut start: usize, mut end: usize) -> std::ops::Range<usize> {
    while start < end && lines[start].trim().is_empty() {
        start += 1;
    }
    while end > start && lines[end - 1].trim().is_empty() {
        end -= 1;
    }
    start..end
}

/// Writes what the generators return into the pages. Returns the names of the pages that changed.
///
/// # Errors
///
/// A page cannot be written.
pub fn rewrite(book: &Book, generators: &Generators) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    for page in book.texts() {
        let mut text = String::new();
        let mut copied = 0;
        let lines: Vec<&str> = page.text.split_inclusive('\n').collect();
        for region in regions(page).0 {
            // What cannot be made is left as it is: the check says why.
            let Some(Ok(generated)) = generators.generate(&region.name) else { continue };
            text.push_str(&lines[copied..region.start].concat());
            text.push_str(&format!("\n{generated}\n"));
            copied = region.end - 1;
        }
        text.push_str(&lines[copied..].concat());
        if text != page.text {
            fs::write(book.root.join(&page.name), text)?;
            changed.push(page.name.clone());
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn generators() -> Generators {
        Generators::new().with("g", || "| a |\n| b |".to_owned())
    }

    #[test]
    fn drift_is_found_and_rewritten() {
        let fixture = Fixture::chapter(
            "# A\n\n<!-- generated: g -->\n\n| a |\n| c |\n\n<!-- end generated -->\n\ntext\n",
        );
        expect(
            check(&fixture.book, &generators()),
            &[(A, 6, "expected `| b |`; run `cargo guide generate`")],
        );
        assert_eq!(rewrite(&fixture.book, &generators()).unwrap(), [A]);
        let book = Book::load(&fixture.book.root).unwrap();
        assert_eq!(check(&book, &generators()), []);
        assert!(book.page(A).unwrap().text.ends_with("| b |\n\n<!-- end generated -->\n\ntext\n"));
        assert!(rewrite(&book, &generators()).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_made_is_left_and_reported() {
        let text = "# A\n\n<!-- generated: g -->\n\nold\n\n<!-- end generated -->\n";
        let fixture = Fixture::chapter(text);
        let generators = Generators::new().with_fallible("g", || Err("no data: run it".to_owned()));
        assert!(rewrite(&fixture.book, &generators).unwrap().is_empty());
        expect(check(&fixture.book, &generators), &[(A, 3, "`g`: no data: run it")]);
    }

    #[test]
    fn marks_must_pair_and_names_be_known() {
        let fixture = Fixture::chapter(
            "<!-- end generated -->\n<!-- generated: g -->\n<!-- generated: h -->\n<!-- end generated -->\n",
        );
        expect(
            check(&fixture.book, &generators()),
            &[(A, 1, "before this"), (A, 2, "has no"), (A, 3, "no generator `h`: there are [g]")],
        );
    }
}
