//! What is done to the pages once mdBook has made them: a caption above each block that is a part of a program, the name of
//! the packed search index, the line at the foot, and shorter scripts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::listings::{self, MARK};
use crate::{scripts, search_index};

/// Where a reader reports a mistake.
const REPORT: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues/new");

/// How the bar with the title and the buttons begins.
const MENU: &str = "<div id=\"mdbook-menu-bar\"";

/// Goes once over each page of a book, and over the script that loads the search index.
pub(crate) fn pages(root: &Path, site: &Path, search_script: &Path) -> Result<()> {
    let index = search_index::pack(site, search_script)?;
    scripts::shorten_lab(site)?;
    let edition = edition(root);
    let mut programs = BTreeSet::new();
    for file in files(site)? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(site)?.to_string_lossy().replace('\\', "/");
        let mut new = text.clone();
        if let Some(index) = &index {
            new = new.replace(&index.from, &index.to);
        }
        if name.ends_with(".html") {
            let up = "../".repeat(name.matches('/').count());
            new = with_captions(&new, &up, &mut programs);
            new = with_foot(&new, &edition, &name);
            // A column without a name has no header: the names of the rows stand below.
            new = new.replace("<th></th>", "<td></td>");
            // A part of the page that a screen reader can skip as a whole.
            new = new.replacen(MENU, &format!("{MENU} role=\"banner\""), 1);
        }
        if new != text {
            fs::write(&file, new).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    for name in programs.iter().filter(|name| !site.join(listings::path_of(name)).exists()) {
        listings::copy(root, site, name)?;
    }
    Ok(())
}

/// The pages, and the scripts of the first folder: one of them names the search index.
fn files(site: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![site.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            let ends_with = |end| path.extension().is_some_and(|extension| extension == end);
            let is_searcher =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("searcher"));
            if path.is_dir() {
                folders.push(path);
            } else if ends_with("html") || is_searcher {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The page with a caption in the place of each mark. `up` leads to the folder of the site.
fn with_captions(page: &str, up: &str, programs: &mut BTreeSet<String>) -> String {
    let mut parts = page.split(MARK);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->").unwrap_or(("", part));
        programs.insert(name.to_owned());
        text.push_str(&caption(name, up));
        text.push_str(rest);
    }
    text
}

fn caption(name: &str, up: &str) -> String {
    let path = listings::path_of(name);
    let whole = if name.ends_with(".rs") { "whole program" } else { "whole file" };
    // The program of a chapter has no file in the repository: its name says nothing.
    let is_file = name.matches('/').count() > 1 || !name.ends_with(".rs");
    let file = if is_file { format!("<code>{name}</code> ") } else { String::new() };
    format!(
        "<p class=\"listing\">{file}<a href=\"{up}{path}\" aria-label=\"{whole}: {name}\">{whole}</a></p>"
    )
}

/// The version, and the day of the last commit if that is known.
fn edition(root: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let git = Command::new("git").args(["log", "-1", "--format=%cs"]).current_dir(root).output();
    let day = git.ok().filter(|output| output.status.success());
    let day = day.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match day.filter(|day| !day.is_empty()) {
        Some(day) => format!("For poolhouse {version}, as of <time datetime=\"{day}\">{day}</time>."),
        None => format!("For poolhouse {version}."),
    }
}

fn with_foot(page: &str, edition: &str, name: &str) -> String {
    let Some((before, after)) = page.rsplit_once("</main>") else { return page.to_owned() };
    format!(
        "{before}<p class=\"edition\">{edition} <a href=\"{REPORT}?title={name}:%20\">Report a mistake on this \
         page</a></p>\n                    </main>{after}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_becomes_a_caption_with_a_link() {
        let mut programs = BTreeSet::new();
        let page = "<p>a</p><!-- listing: examples/guide/x.rs --><pre></pre><!-- listing: guide/a-1.rs -->b";
        let text = with_captions(page, "../", &mut programs);
        assert!(text.starts_with("<p>a</p><p class=\"listing\"><code>examples/guide/x.rs</code> "), "{text}");
        assert!(text.contains("href=\"../programs/examples/guide/x.rs.txt\""), "{text}");
        assert!(text.contains("<p class=\"listing\"><a href=\"../programs/guide/a-1.rs.txt\""), "{text}");
        assert!(text.ends_with("</p>b"), "{text}");
        assert_eq!(programs.len(), 2);
    }

    #[test]
    fn the_foot_says_which_edition_it_is() {
        let page = with_foot("<main><h1>A</h1></main><nav>", "For 1.", "guide/a.html");
        assert!(page.contains("For 1. <a href="), "{page}");
        assert!(page.contains("?title=guide/a.html:%20\">"), "{page}");
        assert!(page.ends_with("</main><nav>"), "{page}");
    }
}
