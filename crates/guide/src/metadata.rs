//! What a search engine, a chat that shows a link, and a crawler read: each page's own description, its address and its
//! card, and the list of all pages. mdBook gives every page the description of the book, and no address.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The longest description, in characters. Search engines show about as many.
const LONGEST: usize = 160;

/// Pages that nobody should be led to.
const UNLISTED: [&str; 3] = ["404.html", "print.html", "toc.html"];

/// Writes the description, the address and the card into each page of a book, and `sitemap.xml` beside them.
pub(crate) fn add(book: &Path, site: &str) -> Result<()> {
    let site = site.trim_end_matches('/');
    let mut pages = Vec::new();
    collect(book, book, &mut pages)?;
    pages.sort();
    let mut sitemap = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for page in pages {
        let path = book.join(&page);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let address = format!("{site}/{page}");
        let with_head = with_metadata(&text, &address);
        fs::write(&path, with_head).with_context(|| format!("cannot write {}", path.display()))?;
        let _ = writeln!(sitemap, "  <url><loc>{address}</loc></url>");
    }
    sitemap.push_str("</urlset>\n");
    let path = book.join("sitemap.xml");
    fs::write(&path, sitemap).with_context(|| format!("cannot write {}", path.display()))
}

/// The pages below a folder, by their paths from the book's.
fn collect(book: &Path, folder: &Path, pages: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            collect(book, &path, pages)?;
            continue;
        }
        let name = path.strip_prefix(book)?.to_string_lossy().replace('\\', "/");
        // The first page is there twice: as itself and as the index.
        let is_page = name.ends_with(".html") && !UNLISTED.contains(&name.as_str()) && name != "index.html";
        if is_page {
            pages.push(name);
        }
    }
    Ok(())
}

fn with_metadata(page: &str, address: &str) -> String {
    const OF_THE_BOOK: &str = "<meta name=\"description\" content=\"";
    let Some((before, rest)) = page.split_once(OF_THE_BOOK) else { return page.to_owned() };
    let Some((of_the_book, after)) = rest.split_once("\">") else { return page.to_owned() };
    let title = between(page, "<title>", "</title>").unwrap_or_default();
    let own = description(page);
    let text = if own.is_empty() { of_the_book } else { &own };
    format!(
        "{before}{OF_THE_BOOK}{text}\">\n        \
         <link rel=\"canonical\" href=\"{address}\">\n        \
         <meta property=\"og:type\" content=\"article\">\n        \
         <meta property=\"og:title\" content=\"{title}\">\n        \
         <meta property=\"og:description\" content=\"{text}\">\n        \
         <meta property=\"og:url\" content=\"{address}\">\n        \
         <meta name=\"twitter:card\" content=\"summary\">{after}"
    )
}

/// The words between the title and whatever comes next that is no paragraph and no list, as the text of an attribute.
fn description(page: &str) -> String {
    let Some(text) = between(page, "<main>", "</main>").and_then(|main| Some(main.split_once("</h1>")?.1))
    else {
        return String::new();
    };
    let end = ["<h2", "<pre", "<table", "<div"].iter().filter_map(|tag| text.find(tag)).min();
    shortened(&without_tags(&text[..end.unwrap_or(text.len())]))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

/// The words, with the entities as they are.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    for (index, part) in html.split('<').enumerate() {
        text.push_str(if index == 0 { part } else { part.split_once('>').map_or("", |(_, words)| words) });
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('"', "&quot;")
}

/// Cut after a word, if it is too long.
fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short = String::new();
    for word in text.split(' ') {
        if short.chars().count() + word.chars().count() + 2 > LONGEST {
            break;
        }
        short.push_str(word);
        short.push(' ');
    }
    format!("{}…", short.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "<head><title>Sizing - The Guide</title>\n<meta name=\"description\" content=\"A book.\">\n</head>";

    #[test]
    fn a_page_has_a_description_of_its_own() {
        let page = format!(
            "{HEAD}<p>menu</p><main><h1>Sizing</h1><!-- found by: size --><p>The <b>number</b> that\nyou \"came\" for</p>\
             <pre>code</pre></main><p>b</p>"
        );
        let page = with_metadata(&page, "https://a.example/guide/sizing.html");
        assert!(
            page.contains("name=\"description\" content=\"The number that you &quot;came&quot; for\">"),
            "{page}"
        );
        assert!(
            page.contains("<link rel=\"canonical\" href=\"https://a.example/guide/sizing.html\">"),
            "{page}"
        );
        assert!(page.contains("property=\"og:title\" content=\"Sizing - The Guide\">"), "{page}");
        assert!(page.ends_with("<p>b</p>"), "the rest is as it was: {page}");
    }

    #[test]
    fn a_page_without_a_paragraph_has_that_of_the_book() {
        let page =
            with_metadata(&format!("{HEAD}<main><h1>Empty</h1><pre></main>"), "https://a.example/empty.html");
        assert!(page.contains("property=\"og:description\" content=\"A book.\">"), "{page}");
    }

    #[test]
    fn a_long_description_ends_with_a_word() {
        let text = shortened(&"forty-two ".repeat(40));
        assert!(text.chars().count() <= LONGEST && text.ends_with("forty-two…"), "{text}");
    }
}
