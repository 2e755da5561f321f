//! Each incident page has the same sections in the same order, and begins with what to do now.
//!
//! A reader in trouble knows where to look: first the box "Right now", then the text of the error, how to confirm, the
//! causes, the cure, what goes on meanwhile, and the test. Other sections may stand between. The texts of other pools are
//! folded, so that the page stays short for those who use this one.

use crate::{Book, Finding, Page, generated};

/// Where the incident pages are, with a list of them and a test for the reader.
const FOLDER: &str = "book/src/troubleshooting/";
const NO_INCIDENT: [&str; 2] = ["index.md", "test-yourself.md"];

/// How the headings of the second level begin, in order.
const ORDER: [&str; 8] = [
    "Right now",
    "The symptom",
    "How to confirm it",
    "Causes",
    "The cure",
    "Meanwhile",
    "The test that reproduces it",
    "What to read next",
];

/// The only ones that may share a heading: a page of many causes has each cure below its cause.
const TOGETHER: (&str, &str) = ("Causes and cures", "The cure");

/// What the section of the meanwhile answers.
const MEANWHILE: [&str; 3] =
    ["- **The server sees** ", "- **A future that is dropped, or not polled:** ", "- **Lost:** "];

const BOX: &str = "<div class=\"right-now\">";

/// How many steps one takes in five minutes.
const STEPS: std::ops::RangeInclusive<usize> = 3..=5;

/// The pages of which each is about one incident.
pub fn pages(book: &Book) -> impl Iterator<Item = &Page> {
    let is_incident =
        |page: &&Page| page.name.strip_prefix(FOLDER).is_some_and(|name| !NO_INCIDENT.contains(&name));
    book.chapters().filter(is_incident)
}

pub fn check(book: &Book) -> Vec<Finding> {
    pages(book).flat_map(page).collect()
}

fn page(page: &Page) -> Vec<Finding> {
    let lines: Vec<&str> = page.text.lines().collect();
    let mut found = Vec::new();
    let mut add = |line: usize, message: String| found.push(Finding::new(&page.name, line + 1, message));
    begins_with_the_box(&lines, &mut add);
    in_order(&lines, &mut add);
    for lead in MEANWHILE {
        if !lines.iter().any(|line| line.starts_with(lead)) {
            let at = lines.iter().position(|line| line.starts_with("## Meanwhile")).unwrap_or_default();
            add(at, format!("no `{}`: say it below `## Meanwhile`", lead.trim()));
        }
    }
    let folds = |(at, line): (usize, &&str)| *line == "<details>" && !generated::contains(page, at + 1);
    if !lines.iter().enumerate().any(folds) {
        add(0, "nothing is folded: put the texts of other pools into `<details>`".to_owned());
    }
    let test = lines.iter().skip_while(|line| !line.starts_with("## The test"));
    if !test.clone().any(|line| line.contains("`every_cure_cures`")) {
        add(lines.len() - 1, "the section on the test does not name it: `every_cure_cures`".to_owned());
    }
    found
}

/// Between the title and the box there is nothing but the words that searches find.
fn begins_with_the_box(lines: &[&str], add: &mut impl FnMut(usize, String)) {
    let first = lines
        .iter()
        .enumerate()
        .skip(1)
        .find(|(_, line)| !line.trim().is_empty() && !line.starts_with("<!--"));
    let Some((at, _)) = first.filter(|(_, line)| **line == BOX) else {
        add(
            first.map_or(0, |(at, _)| at),
            format!("begin with what to do now: `{BOX}`, `## Right now` and steps"),
        );
        return;
    };
    let inside = lines[at..].iter().take_while(|line| **line != "</div>");
    let steps =
        inside.filter(|line| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok())).count();
    if !STEPS.contains(&steps) {
        let (least, most) = (STEPS.start(), STEPS.end());
        add(at, format!("{steps} steps: from {least} to {most} can be done in five minutes"));
    }
}

fn in_order(lines: &[&str], add: &mut impl FnMut(usize, String)) {
    let headings: Vec<(usize, &str)> =
        lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("## ")?))).collect();
    let mut from = 0_usize;
    for wanted in ORDER {
        let together = from
            .checked_sub(1)
            .and_then(|last| headings.get(last))
            .is_some_and(|(_, last)| wanted == TOGETHER.1 && last.starts_with(TOGETHER.0));
        if together {
            continue;
        }
        match headings[from..].iter().position(|(_, heading)| heading.starts_with(wanted)) {
            Some(place) => from += place + 1,
            None => {
                let at = headings.iter().find(|(_, heading)| heading.starts_with(wanted));
                let after = headings.get(from.saturating_sub(1)).map_or("the title", |(_, heading)| heading);
                let (line, what) = at
                    .map_or((lines.len().saturating_sub(1), "no section"), |(line, _)| (*line, "too early"));
                add(line, format!("{what}: `## {wanted}` belongs behind `{after}`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/troubleshooting/a.md";

    fn good() -> String {
        let sections =
            ["The symptom: x", "How to confirm it", "Another", "Causes, likeliest first", "The cure"];
        let sections: String = sections.map(|name| format!("## {name}\n\ntext\n\n")).concat();
        format!(
            "# A\n\n<!-- found by: a -->\n\n{BOX}\n\n## Right now\n\n1. a\n2. b\n   c\n3. d\n\n</div>\n\n{sections}\
             <details>\n\n</details>\n\n## Meanwhile\n\n{}a\n{}b\n{}c\n\n## The test that reproduces it\n\n\
             `every_cure_cures`\n\n## What to read next\n",
            MEANWHILE[0], MEANWHILE[1], MEANWHILE[2]
        )
    }

    fn found(text: &str) -> Vec<Finding> {
        check(
            &Fixture::new(&[
                (A, text),
                ("book/src/troubleshooting/index.md", "# Index\n"),
                ("book/src/guide/b.md", "# B\n"),
            ])
            .book,
        )
    }

    #[test]
    fn a_page_in_order_passes() {
        expect(found(&good()), &[]);
        let both = good()
            .replace("## Causes, likeliest first", "## Causes and cures: a")
            .replace("## The cure\n", "\n");
        expect(found(&both), &[]);
    }

    #[test]
    fn the_box_comes_first_and_is_short() {
        let late = good().replace("\n\n<div", "\n\nAn introduction.\n\n<div");
        expect(found(&late), &[(A, 5, "begin with what to do now")]);
        expect(found(&good().replace("3. d\n", "")), &[(A, 5, "2 steps")]);
    }

    #[test]
    fn sections_are_there_and_in_order() {
        let swapped = good()
            .replace("## How to confirm it", "## x")
            .replace("## Causes, likeliest first", "## How to confirm it");
        let swapped = swapped.replace("## x", "## Causes, likeliest first");
        let line = swapped.lines().position(|line| line.starts_with("## Causes")).unwrap() + 1;
        expect(found(&swapped), &[(A, line, "too early: `## Causes` belongs behind `How to confirm it`")]);
        let without = good().replace("## Meanwhile\n", "");
        expect(
            found(&without),
            &[(A, without.lines().count(), "no section: `## Meanwhile` belongs behind `The cure`")],
        );
    }

    #[test]
    fn what_a_page_leaves_out_is_named() {
        let text = good()
            .replace(MEANWHILE[2], "- ")
            .replace("<details>\n", "")
            .replace("`every_cure_cures`", "a test");
        let end = text.lines().count();
        let meanwhile = text.lines().position(|line| line == "## Meanwhile").unwrap() + 1;
        expect(
            found(&text),
            &[(A, 1, "nothing is folded"), (A, meanwhile, "no `- **Lost:**`"), (A, end, "does not name it")],
        );
    }
}
