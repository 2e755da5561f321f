//! The few rules of style that a program can see.

use std::sync::LazyLock;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use regex::Regex;

use crate::{Book, Finding, Kind, Page, prose};

/// Longer lines are hard to review. Addresses do not count, nor do tables and code.
const LONGEST: usize = 120;

/// How the last section of a chapter is called.
const NEXT: &str = "## What to read next";

/// Pages from which nobody reads on.
const WITHOUT_A_NEXT: [&str; 2] = ["book/src/404.md", "book/src/appendices/changelog.md"];

static LINK_TO_A_CHAPTER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\]\((?:[^):#]*/)?[^):#/]+\.md(?:#[^)]*)?\)").expect("a valid pattern"));

static BELITTLING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(simply|just|easy|easily|obvious|obviously|of course|trivial|trivially)(?-u:\b)")
        .expect("a valid pattern")
});
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\]\([^)]*\)|<?https://\S+|\{\{#[^}]*\}\}").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        let mut add = |line: usize, message: String| found.push(Finding::new(&page.name, line, message));
        lines(page, &mut add);
        headings(page, &mut add);
        if page.kind == Kind::Chapter && !WITHOUT_A_NEXT.contains(&page.name.as_str()) {
            next(page, &mut add);
        }
        for run in prose::runs(page) {
            let words = run.words();
            if let Some(place) = words.find('*') {
                let line = page.line_at(run.source(place));
                add(line, "an asterisk is shown as such here: close the emphasis, or use `\\*`".to_owned());
            }
            for word in BELITTLING.find_iter(&words) {
                let line = page.line_at(run.source(word.start()));
                add(line, format!("`{}` helps nobody who is stuck: leave it out", word.as_str()));
            }
        }
    }
    found
}

fn lines(page: &Page, add: &mut impl FnMut(usize, String)) {
    let mut exempt = Vec::new();
    for (event, range) in Parser::new_ext(&page.text, snippets::markdown_options()).into_offset_iter() {
        if matches!(event, Event::Start(Tag::CodeBlock(_) | Tag::Table(_) | Tag::HtmlBlock)) {
            exempt.push(page.line_at(range.start)..=page.line_at(range.end));
        }
    }
    for (index, line) in page.text.lines().enumerate() {
        let number = index + 1;
        if line != line.trim_end() {
            add(number, "white space at the end: remove it, and break lines with a backslash".to_owned());
        }
        let length = ADDRESS.replace_all(line, "").chars().count();
        if length > LONGEST && !exempt.iter().any(|lines| lines.contains(&number)) {
            add(number, format!("{length} characters: break the line before {LONGEST}"));
        }
    }
}

/// From every chapter a reader gets to the next sensible thing.
fn next(page: &Page, add: &mut impl FnMut(usize, String)) {
    let end = page.text.lines().count();
    let Some(start) = page.text.lines().position(|line| line == NEXT) else {
        add(end, format!("no section `{NEXT}`: end with one, of two to four links"));
        return;
    };
    let section: Vec<&str> = page.text.lines().skip(start + 1).collect();
    if let Some(after) = section.iter().position(|line| line.starts_with("# ") || line.starts_with("## ")) {
        add(start + after + 2, format!("a section after `{NEXT}`: that one comes last"));
    } else if !section.iter().any(|line| LINK_TO_A_CHAPTER.is_match(line)) {
        add(start + 1, "no link to another chapter: tell where to go on".to_owned());
    }
}

fn headings(page: &Page, add: &mut impl FnMut(usize, String)) {
    let mut last: Option<HeadingLevel> = None;
    let mut titles = 0;
    let mut text = None;
    for (event, range) in Parser::new_ext(&page.text, snippets::markdown_options()).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let line = page.line_at(range.start);
                text = Some((line, String::new()));
                titles += usize::from(level == HeadingLevel::H1);
                if level == HeadingLevel::H1 && titles > 1 {
                    add(line, "a second title: a page has one heading of the first level".to_owned());
                }
                let before = last.map_or(0, |last| last as usize);
                if level as usize > before + 1 {
                    let expected = "#".repeat(before + 1);
                    add(
                        line,
                        format!(
                            "a heading of level {} below level {before}: use `{expected}`",
                            level as usize
                        ),
                    );
                }
                last = Some(level);
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some((_, text)) = &mut text {
                    text.push_str(&part);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((line, text)) = text.take()
                    && text.trim().is_empty()
                {
                    add(line, "an empty heading: name the section".to_owned());
                }
            }
            _ => {}
        }
    }
    if titles == 0 {
        add(1, "no title: begin with `# Title`".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    #[test]
    fn a_plain_page_passes() {
        let long = "x".repeat(130);
        let text = format!(
            "# A\n\n## B\n\n### C\n\n## D\n\n[link](https://{long}.example) `just`\n\n```text\n{long}\n```\n\n| a |\n|---|\n| {long} |\n\n\
             {NEXT}\n\n[B](b.md)\n"
        );
        expect(check(&Fixture::chapter(&text).book), &[]);
    }

    #[test]
    fn a_chapter_ends_with_where_to_go_on() {
        let end = |text: &str| check(&Fixture::chapter(&format!("# A\n\n{text}")).book);
        expect(end("## What to read next\n\n- [B](../b/c.md#d), why.\n"), &[]);
        expect(end("text\n"), &[(A, 3, "no section")]);
        expect(end("## What to read next\n\n- [B](https://b.example/c.md)\n"), &[(A, 3, "no link")]);
        expect(end("## What to read next\n\n[B](b.md)\n\n## More\n"), &[(A, 7, "comes last")]);
    }

    #[test]
    fn every_rule_can_be_broken() {
        let long = "x ".repeat(70);
        let text = format!(
            "# A\n\n### C\n\nSimply wait. \n\n# Again\n\n{}\n\n##\n\n{NEXT}\n\n[B](b.md)\n",
            long.trim()
        );
        expect(
            check(&Fixture::chapter(&text).book),
            &[
                (A, 3, "use `##`"),
                (A, 5, "`Simply` helps nobody"),
                (A, 5, "white space at the end"),
                (A, 7, "a second title"),
                (A, 9, "139 characters"),
                (A, 11, "an empty heading"),
            ],
        );
        expect(check(&Fixture::chapter("text\n").book), &[(A, 1, "no section"), (A, 1, "no title")]);
        expect(
            check(&Fixture::chapter("# A\n\n* *Do** it.\n\n## What to read next\n\n[b](b.md)\n").book),
            &[(A, 3, "an asterisk")],
        );
    }
}
