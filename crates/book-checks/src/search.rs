//! A reader who types the words of a symptom into the search box finds the page.
//!
//! Each troubleshooting page lists such words: `<!-- found by: pool exhausted; timed out waiting -->`. Any other page
//! may. Each query, typed into the search box of the built book, must show the page among the first three results.
//!
//! The search box runs elasticlunr.js over the index that mdBook made. [`Index::search`] does what that does, step by
//! step: cut the query into words, trim, drop stop words and stem them; look each up, and all words that it begins, in
//! the trie of each field; score; and, with a boolean AND, keep what has every word *in the same field*. A result is a
//! section, not a page, so the words of a query have to stand together below one heading.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use elasticlunr::Language;
use elasticlunr::lang::English;
use regex::Regex;
use serde_json::{Map, Value};

use crate::{Book, Finding};

/// How many results a reader looks at.
const SHOWN: usize = 3;

/// A word that only begins like one in the index weighs this much, less the longer the rest is.
const EXPANDED: f64 = 0.15;

static FOUND_BY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--\s*found by:(.*?)-->").expect("a valid pattern"));

/// Checks every page that lists queries against the index of the built book, and that troubleshooting pages do.
pub fn check(book: &Book, index: &Index) -> Vec<Finding> {
    let pages = book.chapters().filter_map(|page| {
        let path = page.name.strip_prefix("book/src/")?.strip_suffix(".md")?;
        // The search leaves the test page out.
        let is_symptom = path
            .strip_prefix("troubleshooting/")
            .is_some_and(|name| !["index", "test-yourself"].contains(&name));
        Some((page, format!("{path}.html"), is_symptom))
    });
    let mut found = Vec::new();
    for (page, url, is_symptom) in pages {
        let queries: Vec<(usize, &str)> = FOUND_BY
            .captures_iter(&page.text)
            .filter_map(|comment| comment.get(1))
            .flat_map(|list| {
                let line = page.line_at(list.start());
                list.as_str().split(';').map(move |query| (line, query.trim()))
            })
            .filter(|(_, query)| !query.is_empty())
            .collect();
        if queries.is_empty() && is_symptom {
            let form = "`<!-- found by: words; other words -->`";
            found.push(Finding::new(&page.name, 1, format!("by which words is it found? Add {form}")));
        }
        for (line, query) in queries {
            let results = index.search(query);
            let first: Vec<&str> = results.iter().copied().take(SHOWN).collect();
            if first.iter().any(|result| result.split('#').next() == Some(url.as_str())) {
                continue;
            }
            let instead = if first.is_empty() { "nothing".to_owned() } else { first.join(", ") };
            let message = format!(
                "a search for `{query}` finds {instead}: use all its words below one heading of this page"
            );
            found.push(Finding::new(&page.name, line, message));
        }
    }
    found
}

/// The search index of a built book, and the options with which the page searches it.
pub struct Index {
    /// The address of each section, by its number.
    urls: Vec<String>,
    fields: Vec<Field>,
    /// Whether a section must have every word.
    all_words: bool,
    /// Whether a word also finds those that begin with it.
    expand: bool,
    sections: f64,
}

struct Field {
    boost: f64,
    /// A node has `docs`, `df` and, by the next character, the nodes below it.
    root: Map<String, Value>,
    /// How many words each section has in this field.
    lengths: BTreeMap<usize, f64>,
}

type Scores = BTreeMap<usize, f64>;

impl Index {
    /// Reads `searchindex-*.js`, as mdBook 0.5 writes it.
    ///
    /// # Errors
    ///
    /// It is not such a file.
    pub fn parse(script: &str) -> Result<Index> {
        let start =
            script.find("JSON.parse('").context("no JSON.parse in the search index")? + "JSON.parse('".len();
        let end = script.rfind("')").context("the search index has no end")?;
        ensure!(start <= end, "the search index ends before it begins");
        let whole: Value = serde_json::from_str(&unescape(&script[start..end]))?;
        let (options, index) = (&whole["search_options"], &whole["index"]);
        let urls = whole["doc_urls"].as_array().context("no doc_urls")?;
        let lengths = index["documentStore"]["docInfo"].as_object().context("no docInfo")?;
        let mut fields = Vec::new();
        for (name, field) in options["fields"].as_object().context("no fields")? {
            let root = index["index"][name]["root"].as_object();
            fields.push(Field {
                boost: field["boost"].as_f64().unwrap_or(1.0),
                root: root.with_context(|| format!("no index of {name}"))?.clone(),
                lengths: lengths
                    .iter()
                    .filter_map(|(section, info)| Some((section.parse().ok()?, info[name].as_f64()?)))
                    .collect(),
            });
        }
        Ok(Index {
            urls: urls.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            fields,
            all_words: options["bool"] == "AND",
            expand: options["expand"] == true,
            sections: index["documentStore"]["length"].as_f64().context("no length")?,
        })
    }

    /// The addresses of the sections that the search box shows for a query, the best first.
    pub fn search(&self, query: &str) -> Vec<&str> {
        self.scores(query)
            .into_iter()
            .filter_map(|(section, _)| Some(self.urls.get(section)?.as_str()))
            .collect()
    }

    fn scores(&self, query: &str) -> Vec<(usize, f64)> {
        let words = words(query);
        let mut scores = Scores::new();
        for field in self.fields.iter().filter(|field| field.boost != 0.0) {
            for (section, score) in self.search_field(&words, field) {
                *scores.entry(section).or_default() += score * field.boost;
            }
        }
        let mut scores: Vec<_> = scores.into_iter().collect();
        // Stable, so that equals stay in the order of the book.
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        scores
    }

    fn search_field(&self, words: &[String], field: &Field) -> Scores {
        let mut scores: Option<Scores> = None;
        let mut exact = BTreeMap::<usize, f64>::new();
        for word in words {
            let mut of_word = Scores::new();
            for (key, node) in field.lookup(word, self.expand) {
                let inverse = 1.0 + (self.sections / (node["df"].as_f64().unwrap_or(0.0) + 1.0)).ln();
                let rest = (key.len() - word.len()) as f64 / key.len() as f64;
                let weight = if key == *word { 1.0 } else { EXPANDED * (1.0 - rest) };
                for (section, info) in node["docs"].as_object().into_iter().flatten() {
                    let Ok(section) = section.parse() else { continue };
                    if self.all_words && scores.as_ref().is_some_and(|scores| !scores.contains_key(&section))
                    {
                        continue;
                    }
                    if key == *word {
                        *exact.entry(section).or_default() += 1.0;
                    }
                    let length = field.lengths.get(&section).copied().unwrap_or(0.0);
                    let norm = if length == 0.0 { 1.0 } else { 1.0 / length.sqrt() };
                    let frequency = info["tf"].as_f64().unwrap_or(0.0);
                    *of_word.entry(section).or_default() += frequency * inverse * norm * weight;
                }
            }
            scores = Some(match scores {
                None => of_word,
                Some(before) if self.all_words => of_word
                    .into_iter()
                    .filter_map(|(section, score)| Some((section, score + before.get(&section)?)))
                    .collect(),
                Some(mut before) => {
                    for (section, score) in of_word {
                        *before.entry(section).or_default() += score;
                    }
                    before
                }
            });
        }
        let mut scores = scores.unwrap_or_default();
        for (section, score) in &mut scores {
            if let Some(count) = exact.get(section) {
                *score *= count / words.len() as f64;
            }
        }
        scores
    }
}

impl Field {
    /// The node of a word, and with `expand` those of all words that begin with it.
    fn lookup(&self, word: &str, expand: bool) -> Vec<(String, &Map<String, Value>)> {
        let mut node = &self.root;
        for character in word.chars() {
            match node.get(character.encode_utf8(&mut [0; 4])).and_then(Value::as_object) {
                Some(next) => node = next,
                None => return Vec::new(),
            }
        }
        let mut found = Vec::new();
        let mut open = vec![(word.to_owned(), node)];
        while let Some((key, node)) = open.pop() {
            if expand {
                for (character, next) in
                    node.iter().filter(|(name, _)| !matches!(name.as_str(), "docs" | "df"))
                {
                    open.extend(next.as_object().map(|next| (format!("{key}{character}"), next)));
                }
            }
            found.push((key, node));
        }
        found
    }
}

/// A query as the index has its words.
fn words(query: &str) -> Vec<String> {
    let words = query.to_lowercase();
    let words = words.split(|c: char| c.is_whitespace() || c == '-').filter(|word| !word.is_empty());
    English::new().make_pipeline().run(words.map(str::to_owned).collect())
}

/// What stands in a JavaScript string between single quotes.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use elasticlunr::IndexBuilder;
    use serde_json::json;

    use super::*;
    use crate::fixture::{Fixture, expect};

    /// An index as mdBook writes it, of sections of a title and a body.
    fn index(sections: &[(&str, &str, &str)]) -> Index {
        let mut builder = IndexBuilder::new().add_fields(["title", "body"]).build();
        for (number, (_, title, body)) in sections.iter().enumerate() {
            builder.add_doc(&number.to_string(), [title, body]);
        }
        let whole = json!({
            "search_options": {
                "bool": "AND",
                "expand": true,
                "fields": {"title": {"boost": 3}, "body": {"boost": 1}},
            },
            "doc_urls": sections.iter().map(|(url, _, _)| url).collect::<Vec<_>>(),
            "index": builder,
        });
        let json = whole.to_string().replace('\\', "\\\\").replace('\'', "\\'");
        Index::parse(&format!("window.search = Object.assign(window.search, JSON.parse('{json}'));")).unwrap()
    }

    fn small() -> Index {
        index(&[
            ("a.html#leaks", "Leaks", "who holds the connection, and it's a \"quote\" \\ of one"),
            ("b.html#waits", "Waits", "the pool timed out, waiting for a connection that was held"),
            ("b.html#size", "Size of a pool", "connections, and timeouts"),
            ("c.html", "Other", "leaking pools"),
        ])
    }

    #[test]
    fn words_are_trimmed_and_stemmed_and_stop_words_dropped() {
        assert_eq!(words("Timed-out, waiting for the `connections`!"), ["time", "out", "wait", "connect"]);
        assert!(words("who is it").is_empty());
    }

    #[test]
    fn a_result_has_every_word_in_one_field() {
        assert_eq!(small().search("timed out waiting"), ["b.html#waits"]);
        assert_eq!(small().search("size timeouts"), [""; 0], "one is in the title, the other in the body");
        assert_eq!(small().search("pool nonesuch"), [""; 0]);
        assert_eq!(small().search("nonesuch pool"), [""; 0]);
        assert_eq!(small().search(""), [""; 0]);
    }

    #[test]
    fn a_title_weighs_more_than_a_body() {
        assert_eq!(small().search("leak"), ["a.html#leaks", "c.html"]);
        assert_eq!(small().search("pool")[0], "b.html#size");
    }

    #[test]
    fn the_beginning_of_a_word_finds_it() {
        assert_eq!(small().search("quo"), ["a.html#leaks"]);
        assert_eq!(small().search("conn").len(), 3);
    }

    /// The numbers are those that elasticlunr.js 0.9.5 gives for the same index.
    #[test]
    fn scores_are_those_of_the_search_box() {
        let scores = |query| -> Vec<(usize, String)> {
            small()
                .scores(query)
                .into_iter()
                .map(|(section, score)| (section, format!("{score:.6}")))
                .collect()
        };
        assert_eq!(scores("pool waiting"), [(1, "1.216918".to_owned())]);
        assert_eq!(scores("time conn"), [(1, "0.363109".to_owned()), (2, "0.163229".to_owned())]);
        let pool = [(2, "3.591708".to_owned()), (3, "0.910529".to_owned()), (1, "0.525694".to_owned())];
        assert_eq!(scores("pool"), pool);
    }

    #[test]
    fn any_word_will_do_without_the_boolean_and() {
        let index = Index { all_words: false, expand: false, ..small() };
        assert_eq!(index.search("size held"), ["b.html#size", "b.html#waits"]);
        assert!(index.search("conn").is_empty());
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        assert!(Index::parse("window.search = {}").is_err());
        assert!(Index::parse("JSON.parse('{}')").is_err());
    }

    #[test]
    fn a_page_is_found_by_its_words_or_named() {
        let page = |name: &str| format!("book/src/troubleshooting/{name}.md");
        let (leaks, waits, mute) = (page("leaks"), page("waits"), page("mute"));
        let fixture = Fixture::new(&[
            (&leaks, "# Leaks\n\n<!-- found by: who holds; leak -->\n"),
            (&waits, "# Waits\n\n<!-- found by:\n  timed out;\n  holds; elephants\n-->\n"),
            (&mute, "# Mute\n"),
            ("book/src/troubleshooting/index.md", "# By symptom\n"),
            ("book/src/guide/sizing.md", "# Sizing\n"),
            ("book/src/guide/other.md", "# Other\n\n<!-- found by: timed out; leaking -->\n"),
        ]);
        let index = index(&[
            ("troubleshooting/leaks.html#symptom", "Leaks", "who holds the connection"),
            ("troubleshooting/waits.html", "Waits", "it timed out"),
        ]);
        expect(
            check(&fixture.book, &index),
            &[
                ("book/src/guide/other.md", 3, "`leaking` finds troubleshooting/leaks.html#symptom"),
                ("book/src/guide/other.md", 3, "`timed out` finds troubleshooting/waits.html"),
                (&mute, 1, "by which words"),
                (&waits, 3, "`elephants` finds nothing"),
                (&waits, 3, "`holds` finds troubleshooting/leaks.html#symptom"),
            ],
        );
    }
}
