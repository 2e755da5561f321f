//! What the site shows of the code: the lines that a reader is to read, and a link to the whole program.
//!
//! mdBook keeps the hidden lines of a block in the page. They are four fifths of all code: pages and the search index grow
//! with them, and without JavaScript they show. So they are taken out before mdBook renders a page. The program that a
//! block is a part of becomes a file beside the pages, `programs/...`.
//!
//! A block is marked by an HTML comment, which mdBook keeps out of its search index; [`crate::finish`] makes a caption of
//! it when the page has its place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use mdbook_driver::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use snippets::{Block, blocks};

/// The folder of the programs, beside the pages.
pub(crate) const FOLDER: &str = "programs";

/// How a comment begins that names the program of the block below it.
pub(crate) const MARK: &str = "<!-- listing: ";

/// Marks the blocks that show a part of a file, before mdBook puts that part in. Of a whole file that is wrapped around its
/// part as hidden lines, only the part is left.
pub(crate) fn mark_files(book: &mut Book, root: &Path, chapters: &Path) {
    book.for_each_chapter_mut(|chapter| {
        let Some(path) = chapter.source_path.as_deref() else { return };
        let folder = chapters.join(path).parent().map(Path::to_path_buf).unwrap_or_default();
        chapter.content = rewritten(&chapter.content, |block| {
            let includes = block.includes();
            let file = without_dots(&folder.join(&includes.first()?.path));
            let name = file.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
            // What a program has printed is no program.
            let code = block.code.replace("{{#rustdoc_include ", "{{#include ");
            Some((file.is_file() && !name.ends_with(".txt")).then_some(name)).map(|name| (name, code))
        });
    });
}

/// Takes hidden lines out of the blocks, once mdBook has put the included files in.
#[derive(Clone, Default)]
pub(crate) struct Listings(Arc<Mutex<BTreeMap<String, String>>>);

impl Preprocessor for Listings {
    fn name(&self) -> &str {
        "listings"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        book.for_each_chapter_mut(|chapter| {
            let Some(path) = chapter.path.as_deref() else { return };
            let chapter_name = path.with_extension("").to_string_lossy().replace('\\', "/");
            let mut count = 0;
            chapter.content = rewritten(&chapter.content, |block| {
                let is_code = block.language().is_some_and(|language| matches!(language, "rust" | "rs"));
                if block.indented || !is_code {
                    return None;
                }
                let code = if block.has_tag("rust") {
                    snippets::shown(&block.code)
                } else {
                    snippets::dedented(block.code.lines())
                };
                let is_part = block.has_tag("rust") && snippets::hides_lines(&block.code);
                let name = (is_part && block.comment("listing").is_none()).then(|| {
                    count += 1;
                    let name = format!("{chapter_name}-{count}.rs");
                    self.keep(&name, snippets::whole_program(&block.code));
                    name
                });
                Some((name, code))
            });
        });
        Ok(book)
    }
}

impl Listings {
    fn keep(&self, name: &str, program: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), program);
    }

    /// Writes the programs of the chapters, each as a text that any browser shows.
    pub(crate) fn write(&self, site: &Path) -> Result<()> {
        for (name, program) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            write(site, name, program)?;
        }
        Ok(())
    }
}

/// Where the program of a name is, from the folder of the site.
pub(crate) fn path_of(name: &str) -> String {
    format!("{FOLDER}/{name}.txt")
}

fn write(site: &Path, name: &str, text: &str) -> Result<()> {
    let path = site.join(path_of(name));
    let folder = path.parent().unwrap_or(site);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a file of the repository beside the pages, without the marks that say which part a page shows.
pub(crate) fn copy(root: &Path, site: &Path, name: &str) -> Result<()> {
    let path = root.join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.contains("ANCHOR: ") && !line.contains("ANCHOR_END: "));
    write(site, name, &snippets::dedented(lines))
}

/// The chapter with other code in its blocks, and a mark above those that get a name.
fn rewritten(chapter: &str, mut change: impl FnMut(&Block) -> Option<(Option<String>, String)>) -> String {
    let mut text = String::with_capacity(chapter.len());
    let mut done = 0;
    for block in blocks(chapter) {
        let Some((name, code)) = change(&block) else { continue };
        let begin = chapter[..block.range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let margin = &chapter[begin..block.range.start];
        // In a quotation, or directly behind the mark of a list.
        if !margin.trim().is_empty() {
            continue;
        }
        text.push_str(&chapter[done..begin]);
        if let Some(name) = name {
            text.push_str(&format!("{margin}{MARK}{name} -->\n\n"));
        }
        let fence = "`".repeat(3.max(longest_fence(&code) + 1));
        text.push_str(&format!("{margin}{fence}{}\n", block.info));
        for line in code.lines() {
            let margin = if line.is_empty() { "" } else { margin };
            text.push_str(&format!("{margin}{line}\n"));
        }
        text.push_str(&format!("{margin}{fence}"));
        done = block.range.end;
        if chapter[..done].ends_with('\n') {
            text.push('\n');
        }
    }
    text.push_str(&chapter[done..]);
    text
}

fn longest_fence(code: &str) -> usize {
    code.lines().map(|line| line.trim_start().chars().take_while(|c| *c == '`').count()).max().unwrap_or(0)
}

/// The path without `..`, though nothing may be there.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_place_in_a_list() {
        let chapter = "- a\n\n  ```rust,no_run\n  # x();\n  y();\n  ```\n\n- b\n";
        let text = rewritten(chapter, |block| Some((Some("a/b-1.rs".into()), snippets::shown(&block.code))));
        assert_eq!(text, "- a\n\n  <!-- listing: a/b-1.rs -->\n\n  ```rust,no_run\n  y();\n  ```\n\n- b\n");
    }

    #[test]
    fn what_is_not_changed_stays_as_it_is() {
        let chapter = "a\n\n```text\nx\n```\n\n> ```rust\n> # x();\n> ```\n";
        assert_eq!(rewritten(chapter, |block| block.is_rust().then(|| (None, String::new()))), chapter);
    }

    #[test]
    fn a_fence_is_longer_than_those_inside() {
        let chapter = "````rust\n/// ```\n```\n````\n";
        assert_eq!(rewritten(chapter, |block| Some((None, block.code.clone()))), chapter);
    }

    #[test]
    fn dots_are_taken_out_of_a_path() {
        assert_eq!(without_dots(Path::new("/a/b/../../c/./d.rs")), Path::new("/c/d.rs"));
    }
}
