//! A reader who types the words of a symptom into the search box finds the page.
//!
//! Each troubleshooting page lists such words: `<!-- found by: pool exhausted; timed out waiting -->`. Any other page
//! may. Each query, typed into the search box of the built book, must show the page among the first results. Only a
//! browser can tell: a test of the guide asks one.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, incidents};

static FOUND_BY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--\s*found by:(.*?)-->").expect("a valid pattern"));

/// What a page says that it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The file, and the line of its list.
    pub page: String,
    pub line: usize,
    pub words: String,
    /// The address that the search has to show, from the folder of the built book.
    pub url: String,
}

impl Query {
    /// What is wrong if a search shows these pages instead.
    pub fn missed(&self, shown: &[&str]) -> Finding {
        let instead = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
        let words = &self.words;
        let message = format!(
            "a search for `{words}` finds {instead}: use all its words below one heading of this page"
        );
        Finding::new(&self.page, self.line, message)
    }
}

/// The queries of all pages.
pub fn queries(book: &Book) -> Vec<Query> {
    let mut found = Vec::new();
    for page in book.chapters() {
        let Some(path) = page.name.strip_prefix("book/src/").and_then(|name| name.strip_suffix(".md")) else {
            continue;
        };
        for list in FOUND_BY.captures_iter(&page.text).filter_map(|comment| comment.get(1)) {
            let words = list.as_str().split(';').map(str::trim).filter(|words| !words.is_empty());
            found.extend(words.map(|words| Query {
                page: page.name.clone(),
                line: page.line_at(list.start()),
                words: words.to_owned(),
                url: format!("{path}.html"),
            }));
        }
    }
    found
}

/// Finds troubleshooting pages without a query.
pub fn check(book: &Book) -> Vec<Finding> {
    let queries = queries(book);
    let mute = incidents::pages(book).filter(|page| !queries.iter().any(|query| query.page == page.name));
    let form = "`<!-- found by: words; other words -->`";
    mute.map(|page| Finding::new(&page.name, 1, format!("by which words is it found? Add {form}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_page_lists_its_queries_or_is_named() {
        let page = |name: &str| format!("book/src/troubleshooting/{name}.md");
        let (waits, mute) = (page("waits"), page("mute"));
        let fixture = Fixture::new(&[
            (&waits, "# Waits\n\n<!-- found by:\n  timed out;\n  holds;\n-->\n"),
            (&mute, "# Mute\n"),
            ("book/src/troubleshooting/index.md", "# By symptom\n"),
            ("book/src/guide/sizing.md", "# Sizing\n"),
            ("book/src/guide/other.md", "# Other\n\n<!-- found by: leaking -->\n"),
        ]);
        expect(check(&fixture.book), &[(&mute, 1, "by which words")]);
        let queries = queries(&fixture.book);
        let short: Vec<_> = queries.iter().map(|q| (q.url.as_str(), q.words.as_str())).collect();
        assert_eq!(
            short,
            [
                ("guide/other.html", "leaking"),
                ("troubleshooting/waits.html", "timed out"),
                ("troubleshooting/waits.html", "holds"),
            ]
        );
        expect(
            vec![queries[1].missed(&[]), queries[2].missed(&["a.html", "b.html"])],
            &[(&waits, 3, "`holds` finds a.html, b.html"), (&waits, 3, "`timed out` finds nothing")],
        );
    }
}
