//! Every error of the crate names a page that exists, in its text and in its documentation, and has an entry in the
//! book.
//!
//! The entry is a generated block `error KIND`, such as `error AcquireError::Closed`: what the documentation says of the
//! variant, the text of a real error, and a link to the page that it names. What stands around it is written by hand.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::crate_source::{self, derives, doc, line, summary};
use crate::error_texts::{SAMPLES, Sample};
use crate::{Book, Finding, Generators, Kind, generated};

const CHAPTER: &str = "book/src/reference/errors.md";
const FOLDER: &str = "book/src/reference";

static NAMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Guide: [^\n]*").expect("a valid pattern"));
/// A line of the pool's own list of pages.
static CONSTANT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*[A-Z_]+ = "[a-z/-]+"$"#).expect("a valid pattern"));
static PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"[`"]([a-z]+/[a-z-]+)[`"]"#).expect("a valid pattern"));

/// A variant of an error of the crate.
struct Variant {
    /// `AcquireError::Closed`.
    name: String,
    file: String,
    line: usize,
    doc: String,
}

fn variants(root: &Path) -> Vec<Variant> {
    let mut found = Vec::new();
    for file in crate_source::files(root).iter() {
        let errors = file.enums().filter(|item| derives(&item.attrs, "Error"));
        for (item, variant) in
            errors.flat_map(|item| item.variants.iter().map(move |variant| (item, variant)))
        {
            found.push(Variant {
                name: format!("{}::{}", item.ident, variant.ident),
                file: file.name.clone(),
                line: line(&variant.ident),
                doc: doc(&variant.attrs),
            });
        }
    }
    found
}

pub fn check(book: &Book) -> Vec<Finding> {
    let variants = variants(&book.root);
    let mut found = Vec::new();
    for variant in &variants {
        let samples: Vec<&Sample> =
            SAMPLES.iter().filter(|sample| sample.variant() == variant.name).collect();
        let mut add = |message: String| found.push(Finding::new(&variant.file, variant.line, message));
        if samples.is_empty() {
            add(format!("no sample of {}: make one in crates/book-checks/src/error_texts.rs", variant.name));
        }
        for sample in samples {
            match sample.page() {
                None => {
                    add(format!("{}: its text names no page of the guide: `{}`", sample.kind, sample.text));
                }
                Some(page) if !exists(book, page) => {
                    add(format!("{}: there is no page `{page}`", sample.kind));
                }
                // What stands for another error has the pages of that.
                Some(page)
                    if !variant.doc.contains(page) && !variant.doc.contains("page of the guide is that") =>
                {
                    add(format!("{}: its documentation does not say `Guide: {page}`", sample.kind));
                }
                Some(_) => {}
            }
        }
    }
    found.extend(pages_in_source(book));
    if let Some(chapter) = book.page(CHAPTER)
        && !variants.is_empty()
    {
        for sample in SAMPLES.iter() {
            let name = format!("error {}", sample.kind);
            if !generated::has(chapter, &name) {
                let message =
                    format!("no entry for {}: write one, with `<!-- generated: {name} -->`", sample.kind);
                found.push(Finding::new(CHAPTER, 1, message));
            }
        }
    }
    found
}

fn exists(book: &Book, page: &str) -> bool {
    book.page(&format!("book/src/{page}.md")).is_some_and(|page| page.kind == Kind::Chapter)
}

/// Every page that the source names, in documentation or in a constant, is there.
fn pages_in_source(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in crate_source::files(&book.root).iter() {
        let text = std::fs::read_to_string(book.root.join(&file.name)).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let named = NAMED.find(line).map_or("", |named| named.as_str());
            let constant = CONSTANT.find(line).map_or("", |constant| constant.as_str());
            for page in PAGE.captures_iter(named).chain(PAGE.captures_iter(constant)) {
                if !exists(book, &page[1]) {
                    let message = format!("there is no page `{}` in the book: fix the name", &page[1]);
                    found.push(Finding::new(&file.name, index + 1, message));
                }
            }
        }
    }
    found
}

/// Adds a generator for each entry.
pub(crate) fn generators(root: &Path, mut generators: Generators) -> Generators {
    for sample in SAMPLES.iter() {
        let root = root.to_owned();
        generators =
            generators.with_fallible(&format!("error {}", sample.kind), move || entry(&root, sample));
    }
    generators
}

fn entry(root: &Path, sample: &Sample) -> Result<String, String> {
    let mut text = said_of(root, sample).map_or_else(String::new, |said| format!("{}\n\n", wrapped(&said)));
    text.push_str(&format!("<div class=\"wrapped\">\n\n```text\n{}\n```\n\n</div>\n", sample.text));
    let page = sample.page().ok_or_else(|| format!("{} names no page", sample.kind))?;
    let title = title(root, page)?;
    let (folder, file) = page.split_once('/').unwrap_or((".", page));
    let path = if FOLDER.ends_with(folder) { format!("{file}.md") } else { format!("../{page}.md") };
    Ok(text + &format!("\nThe page that it names: [{title}]({path}).\n"))
}

/// What the documentation says of the variant. A timeout is told by its phase; of several samples of one variant, the page
/// itself says what each is.
fn said_of(root: &Path, sample: &Sample) -> Option<String> {
    let name = match sample.kind.strip_prefix("AcquireError::Timeout (") {
        Some(phase) => phase.strip_suffix(')')?,
        None => sample.kind,
    };
    let variants = crate_source::files(root);
    let mut variants = variants.iter().flat_map(crate_source::File::enums).flat_map(|item| {
        let of_item =
            item.variants.iter().map(|variant| (variant, format!("{}::{}", item.ident, variant.ident)));
        of_item.collect::<Vec<_>>()
    });
    let (variant, _) = variants.find(|(_, full)| full == name || *full == format!("Phase::{name}"))?;
    let said = summary(&doc(&variant.attrs));
    Some(said.split(" The page of the guide is that").next().unwrap_or_default().to_owned())
}

/// The title of a page.
fn title(root: &Path, page: &str) -> Result<String, String> {
    let file = format!("book/src/{page}.md");
    let text = std::fs::read_to_string(root.join(&file)).map_err(|error| format!("{file}: {error}"))?;
    let title = text.lines().find_map(|line| line.strip_prefix("# "));
    title.map(ToOwned::to_owned).ok_or_else(|| format!("{file} has no title"))
}

/// Breaks lines before the limit of the style check.
pub(crate) fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 118 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const ERRORS: &str = "crates/poolhouse/src/error.rs";

    #[test]
    fn a_new_variant_a_missing_page_and_a_missing_entry_are_found() {
        let source = "pages! {\n    GONE = \"guide/gone\"\n}\n#[derive(Debug, Error)]\n\
                      pub enum AcquireError {\n    /// Guide: `guide/shutting-down`.\n    Closed,\n    /// No page.\n    \
                      Overloaded,\n    New,\n}\n";
        let entries: String = SAMPLES
            .iter()
            .filter(|sample| sample.kind != "CloseReport")
            .map(|sample| format!("<!-- generated: error {} -->\n<!-- end generated -->\n", sample.kind))
            .collect();
        let fixture = Fixture::new(&[
            (ERRORS, source),
            ("book/src/guide/shutting-down.md", "# Shutting down\n"),
            ("book/src/guide/load-shedding.md", "# Load shedding\n"),
            (CHAPTER, &entries),
        ]);
        expect(
            check(&fixture.book),
            &[
                (CHAPTER, 1, "no entry for CloseReport"),
                (ERRORS, 2, "no page `guide/gone`"),
                (ERRORS, 9, "does not say `Guide: guide/load-shedding`"),
                (ERRORS, 10, "no sample of AcquireError::New"),
            ],
        );
    }

    #[test]
    fn an_entry_has_the_summary_the_text_and_the_link() {
        let source =
            "#[derive(Error)]\npub enum AcquireError {\n    /// It is [`closed`](x).\n    Closed,\n}\n";
        let fixture =
            Fixture::new(&[(ERRORS, source), ("book/src/guide/shutting-down.md", "# Shutting down\n")]);
        let sample = SAMPLES.iter().find(|sample| sample.kind == "AcquireError::Closed").unwrap();
        let entry = entry(&fixture.book.root, sample).unwrap();
        assert!(
            entry.starts_with("It is `closed`.\n\n<div class=\"wrapped\">\n\n```text\nthe pool for db.example:5432 is closed"),
            "{entry}"
        );
        assert!(entry.ends_with(
            "```\n\n</div>\n\nThe page that it names: [Shutting down](../guide/shutting-down.md).\n"
        ));
    }

    #[test]
    fn long_lines_are_broken() {
        assert!(wrapped(&"word ".repeat(60)).lines().all(|line| line.len() <= 118));
    }
}
