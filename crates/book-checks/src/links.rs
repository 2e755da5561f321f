//! Every relative link and anchor resolves, as mdBook 0.5 resolves them.
//!
//! Addresses elsewhere are not fetched, but must be https. A link in a chapter stays within `book/src`, since nothing
//! else is in the published book. The one exception is the crate's documentation, which is published beside it, below
//! `api/`: there the item and the anchor must be ones that rustdoc makes.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Parser, Tag, TagEnd};
use regex::Regex;

use crate::api_model::entries;
use crate::book::resolve;
use crate::{Book, Finding, Kind, Page, api};

static HTML_ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?-u:\b)(?:id|name)\s*=\s*["']([^"']+)["']"#).expect("a valid pattern"));
static HTML_LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?-u:\b)(?:href|src)\s*=\s*["']([^"']*)["']"#).expect("a valid pattern"));
/// A host of at least two parts, and nothing that an address cannot hold.
static HTTPS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?(?:[/?#][^\s<>`\\]*)?$")
        .expect("a valid pattern")
});
static FOOTNOTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[\^([^\]\s]+)\]").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let parsed: BTreeMap<&str, Targets> =
        book.pages.iter().map(|page| (page.name.as_str(), read(page))).collect();
    let mut found = Vec::new();
    for page in &book.pages {
        let targets = &parsed[page.name.as_str()];
        for (offset, message) in &targets.broken {
            found.push(Finding::new(&page.name, page.line_at(*offset), message));
        }
        for (offset, link) in &targets.links {
            if let Some(message) = judge(book, &parsed, page, link) {
                found.push(Finding::new(&page.name, page.line_at(*offset), message));
            }
        }
    }
    found
}

/// What one page links to, and what can be linked to in it.
#[derive(Default)]
struct Targets {
    ids: HashSet<String>,
    links: Vec<(usize, String)>,
    broken: Vec<(usize, String)>,
}

fn judge(book: &Book, parsed: &BTreeMap<&str, Targets>, page: &Page, link: &str) -> Option<String> {
    if link.starts_with("mailto:") || HTTPS.is_match(link) || (page.kind == Kind::Summary && link.is_empty())
    {
        return None;
    }
    if link.is_empty() {
        return Some("a link to nowhere: give it a target".to_owned());
    }
    if link.starts_with("https://") {
        return Some(format!("{link} is no address that a browser could open: fix it"));
    }
    if link.contains("://") {
        return Some(format!("{link} is not https: use https"));
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() { Some(page.name.clone()) } else { resolve(page.folder(), path) };
    let Some(file) = file else { return Some(format!("{link} leaves the repository: fix the path")) };
    // Beside the published book stands the crate's own documentation.
    if let Some(path) = file.strip_prefix("book/src/api/") {
        return api::judge_rustdoc_link(&entries(&book.root), path, anchor);
    }
    if page.kind != Kind::Readme && !file.starts_with("book/src/") {
        return Some(format!(
            "{link} leaves the book: name the file as `{file}`, or link to it with https on the code host"
        ));
    }
    if !book.has(&file) {
        return Some(format!("{link} leads to {file}, which does not exist: fix the link"));
    }
    let anchor = anchor?;
    let Some(targets) = parsed.get(file.as_str()) else {
        return Some(format!("{link} has an anchor, but {file} is no page of the book: drop the anchor"));
    };
    if targets.ids.contains(anchor) {
        return None;
    }
    let mut near: Vec<&str> = targets.ids.iter().map(String::as_str).collect();
    near.sort_by_key(|id| (std::cmp::Reverse(common_prefix(id, anchor)), *id));
    near.truncate(3);
    Some(format!("{link}: {file} has no anchor `{anchor}`: the nearest are `{}`", near.join("`, `")))
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count()
}

/// Whether something on the page can be linked to by this anchor.
pub(crate) fn has_anchor(page: &Page, anchor: &str) -> bool {
    read(page).ids.contains(anchor)
}

fn read(page: &Page) -> Targets {
    let mut targets = Targets::default();
    let mut undefined: Vec<Range<usize>> = Vec::new();
    let mut report = |link: BrokenLink<'_>| {
        // `[x]` alone may be plain text; `[x][y]` and `[x][]` are meant to be links.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            undefined.push(link.span);
        }
        None::<(CowStr<'_>, CowStr<'_>)>
    };
    let parser =
        Parser::new_with_broken_link_callback(&page.text, snippets::markdown_options(), Some(&mut report));
    let mut ids = Ids::default();
    let mut heading: Option<(Option<String>, String)> = None;
    let mut footnotes = BTreeMap::new();
    let mut references = HashSet::new();
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { id, .. }) => heading = Some((id.map(String::from), String::new())),
            Event::Start(Tag::DefinitionListTitle) => heading = Some((None, String::new())),
            Event::End(TagEnd::Heading(_) | TagEnd::DefinitionListTitle) => {
                if let Some((id, text)) = heading.take() {
                    let id = id.unwrap_or_else(|| ids.of(&text));
                    if !targets.ids.insert(id.clone()) {
                        let message =
                            format!("a second anchor `{id}`: links find the first alone; rename it");
                        targets.broken.push((range.start, message));
                    }
                }
            }
            Event::Start(Tag::Link { dest_url, link_type, .. }) if link_type != LinkType::Email => {
                targets.links.push((range.start, dest_url.into_string()));
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                targets.links.push((range.start, dest_url.into_string()));
            }
            Event::Start(Tag::FootnoteDefinition(name)) => {
                targets.ids.insert(format!("footnote-{name}"));
                footnotes.insert(name.into_string(), range.start);
            }
            Event::FootnoteReference(name) => {
                references.insert(name.into_string());
            }
            Event::Html(html) | Event::InlineHtml(html) if !html.trim_start().starts_with("<!--") => {
                targets.ids.extend(HTML_ID.captures_iter(&html).map(|found| found[1].to_owned()));
                targets
                    .links
                    .extend(HTML_LINK.captures_iter(&html).map(|found| (range.start, found[1].to_owned())));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, heading)) = &mut heading {
                    heading.push(' ');
                }
            }
            _ => {}
        }
    }
    for span in undefined {
        let text = page.text[span.clone()].to_owned();
        targets.broken.push((span.start, format!("{text} has no definition: add `[name]: address`")));
    }
    for (name, offset) in &footnotes {
        if !references.contains(name) {
            targets.broken.push((*offset, format!("nothing refers to the footnote `{name}`: drop it")));
        }
    }
    for run in crate::prose::runs(page) {
        let words = run.words();
        for undefined in FOOTNOTE.captures_iter(&words) {
            let offset = run.source(undefined.get(0).map_or(0, |whole| whole.start()));
            let message = format!("the footnote `{}` is not defined: add `[^{0}]: text`", &undefined[1]);
            targets.broken.push((offset, message));
        }
    }
    targets
}

/// Makes the ids that mdBook gives to headings.
#[derive(Default)]
struct Ids(HashSet<String>);

impl Ids {
    fn of(&mut self, heading: &str) -> String {
        let id: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
                c if c.is_whitespace() => Some('-'),
                _ => None,
            })
            .collect();
        let mut unique = id.clone();
        for number in 1.. {
            if self.0.insert(unique.clone()) {
                break;
            }
            unique = format!("{id}-{number}");
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn headings_get_the_ids_of_mdbook() {
        let mut ids = Ids::default();
        assert_eq!(ids.of("`--passes`: add more rustdoc passes"), "--passes-add-more-rustdoc-passes");
        assert_eq!(ids.of("Method-call 🐙 expressions \u{1f47c}"), "method-call--expressions-");
        assert_eq!(
            (ids.of("Über"), ids.of("Über"), ids.of("Über")),
            ("über".into(), "über-1".into(), "über-2".into())
        );
    }

    #[test]
    fn good_links_pass() {
        let a = "# A\n\n## Twice\n\n## Twice\n\n## Own {#mine}\n\nterm\n: meaning\n\n<a id=\"raw\"></a>\n\n\
                 [1](#twice-1) [2](#mine) [3](b/c.md#say-code) [4](https://x.example) [5](p.svg) [6](#raw) [7](#term)\n\
                 ![p](p.svg) note[^n] [not a link] and [ref][r].\n\n[^n]: text\n\n[r]: b/c.md\n";
        let fixture = Fixture::new(&[
            ("book/src/a.md", a),
            ("book/src/b/c.md", "# Say `code`!\n\n[up](../a.md#a)\n"),
            ("book/src/p.svg", "<svg/>"),
            ("README.md", "[to the book](book/src/a.md#twice)\n"),
        ]);
        expect(check(&fixture.book), &[]);
    }

    #[test]
    fn every_kind_of_broken_link_is_found() {
        let a = "# A\n\n[1](#nowhere)\n[2](gone.md)\n[3](../../README.md)\n[4](http://x.example)\n![5](p.png)\n\
                 [6][none]\nnote[^none]\n<img src=\"q.png\">\n[7](../../../etc)\n[8]()\n\n[^unused]: text\n\n\
                 [9](https://https://x.example)\n\n## One {#same}\n\n## Two {#same}\n";
        let fixture = Fixture::new(&[("book/src/a.md", a), ("README.md", "[x](docs/x.md)\n")]);
        expect(
            check(&fixture.book),
            &[
                ("README.md", 1, "docs/x.md"),
                ("book/src/a.md", 3, "no anchor `nowhere`: the nearest are `a`"),
                ("book/src/a.md", 4, "does not exist"),
                ("book/src/a.md", 5, "leaves the book"),
                ("book/src/a.md", 6, "not https"),
                ("book/src/a.md", 7, "p.png"),
                ("book/src/a.md", 8, "no definition"),
                ("book/src/a.md", 9, "not defined"),
                ("book/src/a.md", 10, "q.png"),
                ("book/src/a.md", 11, "leaves the repository"),
                ("book/src/a.md", 12, "to nowhere"),
                ("book/src/a.md", 14, "nothing refers"),
                ("book/src/a.md", 16, "no address"),
                ("book/src/a.md", 20, "a second anchor `same`"),
            ],
        );
    }
}
