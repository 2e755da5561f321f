//! A link leads where its words say: its text shares a word with what it leads to.
//!
//! A page has the words of its title, of its file's name, and of the searches that must find it (`found by`); a heading
//! has its own, and those of its page. `data/other_words.toml` has more of them. A text that is the title of a page leads to
//! that page. `above` and `below` need no other word, if that is where it is. Links to other sites are not judged: what they
//! prove is read by a person (see `claims`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use regex::Regex;

use crate::book::resolve;
use crate::other_words::{self, OtherWords};
use crate::{Book, Finding, Page, generated, prose, words};

static FOUND_BY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--\s*found by:(.*?)-->").expect("a valid pattern"));

/// What a page is called.
#[derive(Default)]
struct Names {
    title: String,
    words: BTreeSet<String>,
}

pub fn check(book: &Book) -> Vec<Finding> {
    check_with(book, &OtherWords::of_the_book())
}

fn check_with(book: &Book, others: &OtherWords) -> Vec<Finding> {
    let names: BTreeMap<&str, Names> =
        book.texts().map(|page| (page.name.as_str(), names(page, others))).collect();
    let mut found = Vec::new();
    for page in book.texts() {
        for run in prose::runs(page) {
            for (place, target) in run.links() {
                let at = run.source(place.start);
                let line = page.line_at(at);
                if generated::contains(page, line) {
                    continue;
                }
                let message = judge(&names, others, page, (at, &run.text[place]), target);
                found.extend(message.map(|message| Finding::new(&page.name, line, message)));
            }
        }
    }
    found
}

fn names(page: &Page, others: &OtherWords) -> Names {
    let mut title = String::new();
    let mut in_title = false;
    for event in Parser::new_ext(&page.text, snippets::markdown_options()) {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) => in_title = true,
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => break,
            Event::Text(text) | Event::Code(text) if in_title => title.push_str(&text),
            _ => {}
        }
    }
    let mut words = words::content(&title);
    words.extend(words::content(page.name.rsplit('/').next().unwrap_or_default().trim_end_matches(".md")));
    for searches in FOUND_BY.captures_iter(&page.text) {
        words.extend(words::content(&searches[1]));
    }
    words.extend(other_words::of(&others.pages, &page.name));
    Names { title, words }
}

fn judge(
    names: &BTreeMap<&str, Names>,
    others: &OtherWords,
    page: &Page,
    (at, text): (usize, &str),
    target: &str,
) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let said = words::content(text);
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    if path.contains("/api/") {
        let leads_there = !said.is_disjoint(&words::content(target));
        return (!leads_there).then(|| format!("[{text}] has no word of {target}: fix the link"));
    }
    let file = if path.is_empty() { page.name.clone() } else { resolve(page.folder(), path)? };
    // What is no page has no words, and whether it exists is checked elsewhere.
    let to = names.get(file.as_str())?;
    if to.title != text
        && let Some((other, _)) = names.iter().find(|(_, names)| names.title == text)
        && anchor.is_none()
    {
        return Some(format!("[{text}] is the title of {other}, and leads to {file}: fix the link"));
    }
    let mut there = if path.is_empty() { BTreeSet::new() } else { to.words.clone() };
    if let Some(anchor) = anchor {
        there.extend(words::content(anchor));
        there.extend(other_words::of(&others.pages, &format!("{file}#{anchor}")));
    }
    // A formula has no words, and a heading may have none that says something.
    let is_its_heading = anchor.is_some_and(|anchor| letters(anchor).contains(&letters(text)));
    let is_there = !said.is_disjoint(&there) || is_its_heading || letters(text).len() < 3;
    if is_there || (path.is_empty() && points(page, at, text, anchor?)) {
        return None;
    }
    Some(format!(
        "[{text}] has no word of {target}: say where it leads, or add a word to [pages] in {}",
        other_words::FILE
    ))
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether the text, which stands `at` this place, says "above" or "below", and the heading is there.
fn points(page: &Page, at: usize, text: &str, anchor: &str) -> bool {
    let is_heading = |line: &&str| line.starts_with('#') && letters(line) == letters(anchor);
    let Some(heading) = page.text.lines().find(is_heading).and_then(|heading| page.text.find(heading)) else {
        return false;
    };
    (text.contains("below") && heading > at) || (text.contains("above") && heading < at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn found(text: &str) -> Vec<Finding> {
        let files = [
            (A, text),
            (
                "book/src/sizing.md",
                "# Sizes of a pool\n\n<!-- found by: how many connections -->\n\n## Replicas\n",
            ),
            ("book/src/b.md", "# Retries\n"),
        ];
        let others = OtherWords {
            pages: [
                ("book/src/b.md".to_owned(), "repeat".to_owned()),
                ("book/src/sizing.md#replicas".to_owned(), "instance".to_owned()),
            ]
            .into(),
            ..OtherWords::default()
        };
        check_with(&Fixture::new(&files).book, &others)
    }

    #[test]
    fn links_that_say_where_they_lead_pass() {
        expect(
            found(
                "# A\n\n[Retries](b.md), [repeat it](b.md), [large pools](sizing.md), [connections](sizing.md),\n\
                 [instances](sizing.md#replicas), [the replica](sizing.md#replicas), [below](#the-end), [it ends](#the-end), [`B::C`](#bc), [λ × W](b.md),\n\
                 [`Pool::close`](../api/poolhouse/struct.Pool.html#method.close), [any](https://x.example).\n\n## The end\n\n\
                 [above](#a)\n\n## B::C\n",
            ),
            &[],
        );
    }

    #[test]
    fn links_that_lead_elsewhere_are_found() {
        expect(
            found(
                "# A\n\n[Retries](sizing.md)\n[repeat it](sizing.md)\n[large pools](b.md)\n[above](#the-end)\n\
                 [a replica](#the-end)\n[`close`](../api/poolhouse/struct.Pool.html#method.acquire)\n\n## The end\n",
            ),
            &[
                (A, 3, "is the title of book/src/b.md, and leads to book/src/sizing.md"),
                (A, 4, "has no word of sizing.md"),
                (A, 5, "has no word of b.md"),
                (A, 6, "has no word of #the-end"),
                (A, 7, "has no word of #the-end"),
                (A, 8, "struct.Pool.html#method.acquire"),
            ],
        );
    }
}
