//! Slips that render without a complaint: a word twice, a row of a table with a cell too few, a heading twice in its section.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pulldown_cmark::{Event, Parser, Tag};
use regex::Regex;

use crate::{Book, Finding, Page, prose};

static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}'’]+|[^\p{L}'’\s]").expect("a valid pattern"));

/// Words that a sentence may have twice: "the load that that query makes".
const TWICE: [&str; 2] = ["that", "had"];

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        let mut add = |line: usize, message: String| found.push(Finding::new(&page.name, line, message));
        words(page, &mut add);
        rows(page, &mut add);
        headings(page, &mut add);
    }
    found
}

fn words(page: &Page, add: &mut impl FnMut(usize, String)) {
    for run in prose::runs(page) {
        let mut last = "";
        for word in WORD.find_iter(&run.text) {
            let (place, word) = (word.start(), word.as_str());
            let is_word = word.chars().all(char::is_alphabetic) && word.chars().count() > 1;
            let in_code = run.code().any(|(range, _)| range.contains(&place));
            if is_word && !in_code && word.eq_ignore_ascii_case(last) && !TWICE.contains(&word) {
                add(page.line_at(run.source(place)), format!("`{word}` stands twice: leave one out"));
            }
            last = word;
        }
    }
}

/// Markdown fills a short row with empty cells, and drops what a long one has too much.
fn rows(page: &Page, add: &mut impl FnMut(usize, String)) {
    let mut columns = 0;
    for (event, range) in Parser::new_ext(&page.text, snippets::markdown_options()).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(alignments)) => columns = alignments.len(),
            Event::Start(Tag::TableRow) => {
                let cells = cells(&page.text[range.clone()]);
                if cells != columns {
                    let message =
                        format!("the row has {cells} cells, and the table {columns} columns: fix the row");
                    add(page.line_at(range.start), message);
                }
            }
            _ => {}
        }
    }
}

fn cells(row: &str) -> usize {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(row);
    row.replace(r"\|", "").matches('|').count() + 1
}

/// Sections of a changelog may be called alike, each below its own version.
fn headings(page: &Page, add: &mut impl FnMut(usize, String)) {
    let mut above: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut fence = false;
    for (index, line) in page.text.lines().enumerate() {
        fence ^= line.trim_start().starts_with("```");
        let level = line.len() - line.trim_start_matches('#').len();
        if fence || level == 0 || level > 6 || !line[level..].starts_with(' ') {
            continue;
        }
        above.truncate(level - 1);
        above.resize(level - 1, String::new());
        above.push(line[level..].trim().to_owned());
        if !seen.insert(above.clone()) {
            add(
                index + 1,
                format!("the heading `{}` stands twice: name one of them otherwise", above[level - 1]),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    #[test]
    fn what_is_well_formed_passes() {
        let text = "# A\n\nThe load that that query makes, `a a`, is so. Wait, wait.\n\n\
                    | a | b |\n|---|---|\n| `x \\| y` | |\n| c | d |\n\n## 1\n\n### Added\n\n## 2\n\n### Added\n\n\
                    ```sh\n# x\n# x\n```\n";
        expect(check(&Fixture::chapter(text).book), &[]);
    }

    #[test]
    fn a_word_twice_is_found() {
        let text = "# The the A\n\nIt is is\nso, and of\nof it.\n\n- a list with with\n\n| in a a | cell cell |\n|---|---|\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[(A, 1, "`the`"), (A, 3, "`is`"), (A, 5, "`of`"), (A, 7, "`with`"), (A, 9, "`cell`")],
        );
    }

    #[test]
    fn a_row_of_another_length_and_a_heading_twice_are_found() {
        let text = "# A\n\n| a | b |\n|---|---|\n| c |\n| d | e | f |\n| g | h |\n| i\n\n## B\n\n### C\n\n### C\n\n## B\n\n## `D`\n\n## `D`\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[
                (A, 5, "1 cells, and the table 2"),
                (A, 6, "3 cells"),
                (A, 8, "1 cells"),
                (A, 14, "`C` stands twice"),
                (A, 16, "`B` stands twice"),
                (A, 20, "`D`"),
            ],
        );
    }
}
