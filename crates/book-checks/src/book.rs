//! The book as the checks see it: its chapters, its table of contents, and the READMEs around it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What kind of page a file is. Some rules hold for chapters only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Chapter,
    Summary,
    /// A file that is read on a code host: README.md, CONTRIBUTING.md and their like.
    Readme,
}

/// One Markdown file.
#[derive(Clone, Debug)]
pub struct Page {
    /// Relative to the repository, with forward slashes.
    pub name: String,
    pub kind: Kind,
    pub text: String,
    /// Where each line begins: the place of every word is asked for.
    lines: Vec<usize>,
}

impl Page {
    /// The folder of the page, relative to the repository: empty at its root.
    pub fn folder(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The line, counted from 1, in which the byte at `offset` stands.
    pub fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= offset)
    }

    pub fn blocks(&self) -> Vec<snippets::Block> {
        snippets::blocks(&self.text)
    }
}

/// All pages, and the folder of the repository.
#[derive(Clone, Debug)]
pub struct Book {
    pub root: PathBuf,
    pub pages: Vec<Page>,
}

impl Book {
    /// Reads the book of this repository.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn load(root: &Path) -> io::Result<Book> {
        let mut names: Vec<String> = snippets::sources(root)?.into_iter().map(|source| source.name).collect();
        names.push("book/src/SUMMARY.md".to_owned());
        names.extend(markdown_in(root, "")?);
        for entry in entries(root, "crates")? {
            names.extend(markdown_in(root, &format!("crates/{entry}"))?);
        }
        names.sort();
        names.dedup();
        let read = |name: String| {
            let text = fs::read_to_string(root.join(&name))
                .map_err(|error| io::Error::new(error.kind(), format!("cannot read {name}: {error}")))?;
            let kind = match name.as_str() {
                "book/src/SUMMARY.md" => Kind::Summary,
                name if name.starts_with("book/src/") => Kind::Chapter,
                _ => Kind::Readme,
            };
            let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            let lines = [0].into_iter().chain(breaks.map(|(offset, _)| offset + 1)).collect();
            Ok(Page { name, kind, text, lines })
        };
        let pages = names.into_iter().map(read).collect::<io::Result<_>>()?;
        Ok(Book { root: root.to_owned(), pages })
    }

    pub fn chapters(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(|page| page.kind == Kind::Chapter)
    }

    /// Chapters and READMEs: everything that holds prose.
    pub fn texts(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(|page| page.kind != Kind::Summary)
    }

    /// Pages whose snippets are run.
    pub fn run_pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(|page| page.kind == Kind::Chapter || page.name == "README.md")
    }

    pub fn page(&self, name: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.name == name)
    }

    /// Whether the repository has this file or folder.
    pub fn has(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }
}

fn entries(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn markdown_in(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let names = entries(root, folder)?.into_iter().filter(|name| name.ends_with(".md"));
    Ok(names.map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") }).collect())
}

/// Resolves `path` from `folder`, both relative to the repository. `None` if it leaves the repository.
pub fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn pages_know_their_kind() {
        let fixture = Fixture::new(&[
            ("book/src/SUMMARY.md", ""),
            ("book/src/a/b.md", ""),
            ("README.md", ""),
            ("crates/x/README.md", ""),
        ]);
        let kinds: Vec<_> = fixture.book.pages.iter().map(|p| (p.name.as_str(), p.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("README.md", Kind::Readme),
                ("book/src/SUMMARY.md", Kind::Summary),
                ("book/src/a/b.md", Kind::Chapter),
                ("crates/x/README.md", Kind::Readme),
            ]
        );
    }

    #[test]
    fn paths_resolve_within_the_repository() {
        assert_eq!(resolve("book/src/a", "../b.md").as_deref(), Some("book/src/b.md"));
        assert_eq!(resolve("", "./README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("book", "../../x"), None);
    }
}
