//! The search of the real book. What each page asks for, and how, is in `book_checks::search`; what readers paste is in
//! `tests/data/searches.txt`, and a real browser looks for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use book_checks::search::{self, Index};
use book_checks::{Book, assert_none};

use crate::fixture::{guide, stderr};

/// How many results a reader looks at.
const SHOWN: usize = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The book, built into the folder.
fn built(folder: &Path) -> PathBuf {
    let book = folder.join("book");
    let output = guide(&["build", "--dest-dir"]).arg(&book).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    book
}

/// The file with this beginning, and a hash behind it.
fn hashed(folder: &Path, beginning: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)))
        .unwrap_or_else(|| panic!("the built book has a {beginning}"))
}

#[test]
fn each_page_is_found_by_the_words_that_it_lists() {
    let folder = tempfile::tempdir().unwrap();
    let script = hashed(&built(folder.path()), "searchindex");
    let index = Index::parse(&fs::read_to_string(script).unwrap()).unwrap();
    let book = Book::load(&root()).expect("the chapters can be read");
    assert_none(search::check(&book, &index));
}

/// The scripts of the book, and a page that asks them all queries, as the search box does.
fn page_that_asks(book: &Path, queries: &[(&str, &str)]) -> String {
    let scripts: String = [
        hashed(book, "elasticlunr"),
        hashed(&book.join("book/theme"), "search"),
        hashed(book, "searchindex"),
    ]
    .map(|script| format!("<script src=\"file://{}\"></script>\n", script.display()))
    .concat();
    let queries: Vec<&str> = queries.iter().map(|(query, _)| *query).collect();
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

/// What is on the page when its scripts have run. `None` where there is no Chromium.
fn visit(page: &Path, query: &str, folder: &Path) -> Option<String> {
    let program = std::env::var_os("CHROMIUM").unwrap_or_else(|| "chromium".into());
    let output = Command::new(program)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=60000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{query}", page.display()))
        .output();
    let Ok(output) = output else {
        let missing = "Chromium is missing: install chromium, or set CHROMIUM to its path";
        assert!(std::env::var_os("REAL_SERVERS").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
        return None;
    };
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "the console says: {complaints:#?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Each pasted line, with its numbers, and each short query, misspelt ones too, shows its page among the first three.
#[test]
fn what_readers_paste_finds_its_page() {
    let list = include_str!("../data/searches.txt");
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let queries: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(" => ").expect("query => page")).collect();
    let folder = tempfile::tempdir().unwrap();
    let book = built(folder.path());
    let pages: BTreeSet<&str> = queries.iter().flat_map(|(_, pages)| pages.split(" or ")).collect();
    for page in pages {
        assert!(book.join(format!("{page}.html")).exists(), "there is no page {page}");
    }
    let page = folder.path().join("asks.html");
    fs::write(&page, page_that_asks(&book, &queries)).unwrap();
    let Some(text) = visit(&page, "", folder.path()) else { return };
    let found = text.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found: Vec<&str> = found.expect("the page answers").0.lines().collect();
    assert_eq!(found.len(), queries.len(), "{text}");
    let missed: Vec<String> = queries
        .iter()
        .zip(&found)
        .filter(|((_, pages), found)| {
            !pages.split(" or ").any(|page| found.split(' ').any(|other| other == format!("{page}.html")))
        })
        .map(|((query, page), found)| format!("{query}\n    wants {page}, and finds {found:?}"))
        .collect();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), queries.len(), missed.join("\n"));
}

/// The page itself shows what is found, with a link and the words around it: for a line that mdBook's own search does not
/// find, and for one word.
#[test]
fn a_page_shows_what_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let book = built(folder.path());
    let page = book.join("troubleshooting/index.html");
    let pasted = "?search=psycopg2.OperationalError%3A+FATAL%3A++sorry%2C+too+many+clients+already";
    for (query, wanted) in [(pasted, "too-many-clients.html"), ("?search=leak", "leaks.html")] {
        let Some(text) = visit(&page, query, folder.path()) else { return };
        let results = text.split_once("id=\"mdbook-searchresults\"").expect("a list of results").1;
        let results = results.split_once("</ul>").expect("its end").0;
        let first: Vec<&str> = results.split("<li").skip(1).take(SHOWN).collect();
        assert!(first.iter().any(|result| result.contains(wanted)), "{query} finds {first:#?}");
        assert!(first.iter().all(|result| result.contains("<em>")), "{query} marks no word: {first:#?}");
    }
}

/// A line that is pasted into the box of the page goes into the search.
#[test]
fn the_box_for_a_line_asks_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let book = built(folder.path());
    let page = book.join("troubleshooting/index.html");
    let html = fs::read_to_string(&page).unwrap();
    let typing = "<script>
        if (!window.location.search) {
            document.getElementById('pasted').value = 'ERROR 1040 (HY000): Too many connections';
            document.querySelector('.paste button').click();
        }
        </script>";
    fs::write(&page, html.replace("</body>", &format!("{typing}</body>"))).unwrap();
    let Some(text) = visit(&page, "", folder.path()) else { return };
    let results = text.split_once("id=\"mdbook-searchresults\"").expect("a list of results").1;
    assert!(results.contains("too-many-clients.html"), "{results}");
}
