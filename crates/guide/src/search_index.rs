//! The file that the search box loads: a third of the one that mdBook makes.
//!
//! mdBook writes an index for elasticlunr, which has each word of each section a second time. `book/theme/search.js` makes
//! the index from the sections when somebody opens the search box. So the file has each section once, and each address
//! and each line of titles above it once a page. The script makes an anchor from its title again. It stands in the file too,
//! without what only its readers need, for it may not have arrived yet.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::scripts::terse;

/// How the name of mdBook's file begins. A hash follows.
const BEGINNING: &str = "searchindex-";

/// How much of a section is searched, in characters. Longer are whole programs, and lists that a program makes, such as the
/// tests of each guarantee. Their beginnings say what they are.
const LONGEST: usize = 4_500;

/// The pages on which each line is looked for by itself: an error, or a word.
const WHOLE: [&str; 2] = ["troubleshooting/index.html", "appendices/glossary.html"];

/// Between the titles above a section.
const ABOVE: &str = " » ";

/// What pages have to call the file.
pub(crate) struct Renamed {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Packs the index of a built book. Nothing if it has none, or no script that could read it.
pub(crate) fn pack(site: &Path, script: &Path) -> Result<Option<Renamed>> {
    let Some(from) = find(site)? else { return Ok(None) };
    let Ok(script) = fs::read_to_string(script) else { return Ok(None) };
    let path = site.join(&from);
    let read = || packed(&fs::read_to_string(&path)?);
    let packed = read().with_context(|| format!("{} cannot be packed", path.display()))?;
    let data = packed.to_string().replace('\\', "\\\\").replace('\'', "\\'");
    let text =
        format!("{}window.search = Object.assign(window.search, JSON.parse('{data}'));\n", terse(&script));
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let to = format!("{BEGINNING}{:08x}.js", hasher.finish() as u32);
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    let path = site.join(&to);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(Renamed { from, to }))
}

fn find(site: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(site).with_context(|| format!("cannot read {}", site.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(BEGINNING) && name.ends_with(".js") {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The sections of mdBook's file, page by page.
fn packed(script: &str) -> Result<Value> {
    const START: &str = "JSON.parse('";
    let start = script.find(START).context("it has no JSON.parse")? + START.len();
    let end = script.rfind("')").context("it has no end")?;
    ensure!(start <= end, "it ends before it begins");
    let mut whole: Value = serde_json::from_str(&unescape(&script[start..end]))?;
    let urls: Vec<String> =
        serde_json::from_value(whole["doc_urls"].take()).context("it has no addresses")?;
    let docs = &whole["index"]["documentStore"]["docs"];
    let mut pages: Vec<(String, String, Vec<Value>)> = Vec::new();
    for (number, url) in urls.iter().enumerate() {
        let section = &docs[number.to_string()];
        let text =
            |field| section[field].as_str().with_context(|| format!("section {number} has no {field}"));
        let (title, line) = (text("title")?, text("breadcrumbs")?);
        let (page, anchor) = url.split_once('#').unwrap_or((url, ""));
        let body = text("body")?;
        let body = in_one_line(if WHOLE.contains(&page) { body } else { beginning(body) });
        let above = line.strip_suffix(title).and_then(|rest| rest.strip_suffix(ABOVE));
        if pages.last().is_none_or(|(last, ..)| last != page) {
            pages.push((page.to_owned(), above.unwrap_or_default().to_owned(), Vec::new()));
        }
        let (_, above_the_page, sections) = pages.last_mut().context("there is a page")?;
        sections.push(if above != Some(above_the_page) {
            json!([title, body, anchor, line])
        } else if slug(title).is_none_or(|made| made != anchor) {
            json!([title, body, anchor])
        } else {
            json!([title, body])
        });
    }
    Ok(json!({
        "results_options": whole["results_options"],
        "search_options": whole["search_options"],
        "doc_urls": [],
        "index": { "packed": pages },
    }))
}

/// The text up to [`LONGEST`].
fn beginning(text: &str) -> &str {
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

/// A text with spaces for its line breaks, which take three bytes each in the file. Excerpts show either as a space.
fn in_one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// The anchor that the script makes of a title, as mdBook does. Nothing where the two may differ.
fn slug(title: &str) -> Option<String> {
    let kept = title.chars().filter(|char| char.is_ascii_alphanumeric() || "_- ".contains(*char));
    title.is_ascii().then(|| kept.collect::<String>().to_ascii_lowercase().replace(' ', "-"))
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
    use super::*;

    fn script(docs: &Value, urls: &Value) -> String {
        let json = json!({
            "results_options": {"limit_results": 20},
            "search_options": {"bool": "AND"},
            "doc_urls": urls,
            "index": {"documentStore": {"docs": docs}, "index": {"title": "large"}},
        });
        let json = json.to_string().replace('\\', "\\\\").replace('\'', "\\'");
        format!("window.search = Object.assign(window.search, JSON.parse('{json}'));")
    }

    #[test]
    fn each_page_has_its_address_and_the_titles_above_once() {
        let section =
            |title: &str, line: &str| json!({"title": title, "body": "it's a \"b\" \\", "breadcrumbs": line});
        let script = script(
            &json!({
                "0": section("A", "Part » A » A"),
                "1": section("C", "Part » A » C"),
                "2": section("Ü", "Part » A » Ü"),
                "3": section("Say: \"no_1\"-", "Part » A » Say: \"no_1\"-"),
                "4": section("D", "else"),
            }),
            &json!(["a.html#a", "a.html#c-1", "a.html#ü", "a.html#say-no_1-", "d.html"]),
        );
        let packed = packed(&script).unwrap();
        let body = "it's a \"b\" \\";
        assert_eq!(
            packed["index"]["packed"],
            json!([
                [
                    "a.html",
                    "Part » A",
                    [["A", body], ["C", body, "c-1"], ["Ü", body, "ü"], ["Say: \"no_1\"-", body]]
                ],
                ["d.html", "", [["D", body, "", "else"]]],
            ])
        );
        assert_eq!(packed["doc_urls"], json!([]));
        assert_eq!(packed["results_options"]["limit_results"], 20);
    }

    #[test]
    fn the_end_of_a_list_without_end_is_left_out() {
        let longest = "é".repeat(LONGEST);
        assert_eq!((beginning("short"), beginning(&longest)), ("short", &*longest));
        assert_eq!(beginning(&format!("{longest}x")), longest);
    }

    #[test]
    fn lines_are_joined_by_spaces() {
        assert_eq!(in_one_line("a b\nc\n\nd"), "a b c  d");
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        assert!(packed("window.search = {}").is_err());
        assert!(packed("JSON.parse('{}')").is_err());
        assert!(packed(&script(&json!({}), &json!(["a.html"]))).is_err());
    }
}
