//! What readers type and paste into the search box, in a real browser. The list is in `tests/data/searches.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use book_checks::{Book, assert_none, search};
use test_servers::{Chromium, start_or_skip};

use crate::search::{BOOK, hashed, root};

/// How many results a reader looks at.
const SHOWN: usize = 3;

/// The scripts of the book, and a page that asks them all queries, as the search box does.
fn page_that_asks(book: &Path, queries: &[&str]) -> String {
    let scripts: String = [hashed(book, "elasticlunr"), hashed(book, "searchindex")]
        .map(|script| format!("<script src=\"file://{}\"></script>\n", script.display()))
        .concat();
    let queries = serde_json::to_string(&queries).unwrap().replace("</", "<\\/");
    format!(
        "<!DOCTYPE html><meta charset=utf-8><pre id=found></pre><script>window.search = {{}};</script>\n{scripts}\
         <script>
         const {{ index, doc_urls, search_options }} = window.search;
         const loaded = elasticlunr.Index.load(index);
         const found = {queries}.map((query) => {{
             const pages = loaded.search(query, search_options).map((result) => doc_urls[result.ref].split('#')[0]);
             return [...new Set(pages)].slice(0, {SHOWN}).join(' ');
         }});
         document.getElementById('found').textContent = found.join('\\n');
         </script>"
    )
}

/// The first pages that the search finds for each query.
fn ask(chromium: &Chromium, queries: &[&str]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("asks.html");
    fs::write(&page, page_that_asks(&BOOK, queries)).unwrap();
    let text = visit(chromium, &page, "");
    let found = text.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found = found.expect("the page answers").0.split('\n');
    let found: Vec<Vec<String>> =
        found.map(|pages| pages.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(found.len(), queries.len(), "{text}");
    found
}

/// What is on the page when its scripts have run.
pub(crate) fn visit(chromium: &Chromium, page: &Path, query: &str) -> String {
    let address = format!("file://{}{query}", page.display());
    chromium.visit(&address, &["--allow-file-access-from-files", "--virtual-time-budget=60000"])
}

/// Each error of the tables by symptom, and the pages of every row that has it.
fn errors() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("book/src/troubleshooting/index.md")).unwrap();
    let mut errors: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in page.lines() {
        let Some((texts, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once(" | ")) else {
            continue;
        };
        let links = rest.split("](").skip(1).map(|link| link.split([')', '#']).next().unwrap_or_default());
        let page = |link: &str| {
            let path = link.trim_end_matches(".md");
            let here = || format!("troubleshooting/{path}.html");
            path.strip_prefix("../").map_or_else(here, |path| format!("{path}.html"))
        };
        let pages: Vec<String> = links.map(page).collect();
        // A single word is no line.
        for text in texts.split('`').step_by(2).filter(|text| text.contains(' ')) {
            errors.entry(text.replace("...", "")).or_default().extend(pages.iter().cloned());
        }
    }
    errors
}

/// A reader pastes the line that is in the log.
#[test]
fn each_error_of_the_tables_finds_its_page() {
    let chromium = start_or_skip!(Chromium::find());
    let errors = errors();
    assert!(errors.len() > 150, "{} errors", errors.len());
    let typed: Vec<&str> = errors.keys().map(|text| &**text).collect();
    // The tables themselves, and the page of all errors.
    let is_table = |page: &String| ["troubleshooting/index.html", "reference/errors.html"].contains(&&**page);
    let missed: Vec<String> = errors
        .iter()
        .zip(ask(&chromium, &typed))
        .filter(|((_, pages), found)| !found.iter().any(|page| is_table(page) || pages.contains(page)))
        .map(|((text, pages), found)| format!("{text}\n    wants one of {pages:?}, and finds {found:?}"))
        .collect();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), errors.len(), missed.join("\n"));
}

/// The box stops at nothing that a reader may paste.
#[test]
fn no_query_stops_the_search() {
    let chromium = start_or_skip!(Chromium::find());
    let long = "a connection was closed ".repeat(500);
    let queries = [
        "",
        " ",
        "constructor __proto__ toString hasOwnProperty valueOf",
        "(((( [a-z]+ \\ $& \\u0000 %s %d {}",
        "<script>alert(1)</script> & \u{2028} '\"`",
        "日本語 Ünïcödé 🦀",
        "-1 0 1e999 NaN undefined null",
        &long,
    ];
    assert_eq!(ask(&chromium, &queries).len(), queries.len());
}

/// Each pasted line, with its numbers, and each short query, misspelt ones too, shows its page among the first three.
#[test]
fn what_readers_paste_finds_its_page() {
    let chromium = start_or_skip!(Chromium::find());
    let list = include_str!("../data/searches.txt");
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let queries: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(" => ").expect("query => page")).collect();
    let pages: BTreeSet<&str> = queries.iter().flat_map(|(_, pages)| pages.split(" or ")).collect();
    for page in pages {
        assert!(BOOK.join(format!("{page}.html")).exists(), "there is no page {page}");
    }
    let typed: Vec<&str> = queries.iter().map(|(query, _)| *query).collect();
    let missed: Vec<String> = queries
        .iter()
        .zip(ask(&chromium, &typed))
        .filter(|((_, pages), found)| {
            !pages.split(" or ").any(|page| found.contains(&format!("{page}.html")))
        })
        .map(|((query, page), found)| format!("{query}\n    wants {page}, and finds {found:?}"))
        .collect();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), queries.len(), missed.join("\n"));
}

#[test]
fn each_page_is_found_by_the_words_that_it_lists() {
    let chromium = start_or_skip!(Chromium::find());
    let queries = search::queries(&Book::load(&root()).expect("the chapters can be read"));
    let typed: Vec<&str> = queries.iter().map(|query| query.words.as_str()).collect();
    let missed =
        queries.iter().zip(ask(&chromium, &typed)).filter(|(query, found)| !found.contains(&query.url));
    assert_none(
        missed
            .map(|(query, found)| query.missed(&found.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect(),
    );
}

/// The page itself shows what is found, with a link and the words around it: for a line that mdBook's own search does not
/// find, and for one word.
#[test]
#[ignore = "long: drives a browser"]
fn a_page_shows_what_it_finds() {
    let chromium = start_or_skip!(Chromium::find());
    let page = BOOK.join("troubleshooting/index.html");
    let pasted = "?search=psycopg2.OperationalError%3A+FATAL%3A++sorry%2C+too+many+clients+already";
    for (query, wanted) in [(pasted, "too-many-clients.html"), ("?search=leak", "leaks.html")] {
        let text = visit(&chromium, &page, query);
        let results = text.split_once("id=\"mdbook-searchresults\"").expect("a list of results").1;
        let results = results.split_once("</ul>").expect("its end").0;
        let first: Vec<&str> = results.split("<li").skip(1).take(SHOWN).collect();
        assert!(first.iter().any(|result| result.contains(wanted)), "{query} finds {first:#?}");
        // A section whose heading has the word need not have it in its text.
        let word = query.trim_start_matches("?search=");
        let heading = |result: &str| result.split_once("</a>").map(|(link, _)| link.to_lowercase());
        let shows = |result: &str| {
            result.contains("<em>") || heading(result).is_some_and(|heading| heading.contains(word))
        };
        assert!(first.iter().all(|result| shows(result)), "{query} marks no word: {first:#?}");
    }
}

/// A line that is pasted into the box of the page goes into the search.
#[test]
#[ignore = "long: drives a browser"]
fn the_box_for_a_line_asks_the_search() {
    let chromium = start_or_skip!(Chromium::find());
    let page = BOOK.join("troubleshooting/index.html");
    let html = fs::read_to_string(&page).unwrap();
    let typing = "<script>
        if (!window.location.search) {
            document.getElementById('pasted').value = 'ERROR 1040 (HY000): Too many connections';
            document.querySelector('.paste button').click();
        }
        </script>";
    // Beside the page, for its links lead from there.
    let page = page.with_file_name("typed.html");
    fs::write(&page, html.replace("</body>", &format!("{typing}</body>"))).unwrap();
    let text = visit(&chromium, &page, "");
    let results = text.split_once("id=\"mdbook-searchresults\"").expect("a list of results").1;
    assert!(results.contains("too-many-clients.html"), "{results}");
}

/// From the click on the magnifying glass to the first result, on a processor a quarter as fast as this one: 1.1 s on a
/// quiet machine, printed each time. The bound is generous, for a test machine is busy with other tests.
#[test]
#[ignore = "long: drives a browser"]
fn the_first_result_comes_soon_on_a_slow_processor() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&format!("file://{}", BOOK.join("troubleshooting/index.html").display()));
    page.slow_down(4.0);
    let millis = page.evaluate(
        "(async () => {
            const before = performance.now();
            document.getElementById('mdbook-search-toggle').click();
            const bar = document.getElementById('mdbook-searchbar');
            bar.value = 'FATAL: sorry, too many clients already';
            bar.dispatchEvent(new Event('keyup'));
            while (document.querySelector('#mdbook-searchresults li') === null) {
                await new Promise(requestAnimationFrame);
            }
            return performance.now() - before;
        })()",
    );
    let millis = millis.as_f64().unwrap();
    let _ = writeln!(std::io::stderr(), "the first result at a quarter of the speed: {millis:.0} ms");
    assert!(millis < 5_000.0, "{millis} ms");
}
