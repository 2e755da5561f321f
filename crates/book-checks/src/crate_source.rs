//! The companion crate as its source says it: its items, with their documentation and their lines.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Item, ItemEnum, Lit, Meta};

use crate::tidy;

const FOLDER: &str = "crates/poolhouse/src";

/// One file, relative to the repository.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) syntax: syn::File,
}

thread_local! {
    // Many blocks and links ask for the same crate. Syntax trees do not go from thread to thread.
    static READ: RefCell<HashMap<PathBuf, Rc<Vec<File>>>> = RefCell::default();
}

/// Every file of the companion crate, read once a thread.
pub(crate) fn files(root: &Path) -> Rc<Vec<File>> {
    if let Some(files) = READ.with_borrow(|read| read.get(root).cloned()) {
        return files;
    }
    let files = Rc::new(read(root, FOLDER));
    READ.with_borrow_mut(|read| read.insert(root.to_owned(), Rc::clone(&files)));
    files
}

/// Every Rust file in a folder that parses, in the order of the names. Those that do not fail the build.
pub(crate) fn read(root: &Path, folder: &str) -> Vec<File> {
    let mut names = Vec::new();
    tidy::walk(root, folder, &mut names);
    names.retain(|name| name.ends_with(".rs"));
    names.sort();
    let parse = |name: String| {
        let syntax = syn::parse_file(&fs::read_to_string(root.join(&name)).ok()?).ok()?;
        Some(File { name, syntax })
    };
    names.into_iter().filter_map(parse).collect()
}

impl File {
    pub(crate) fn enums(&self) -> impl Iterator<Item = &ItemEnum> {
        self.syntax.items.iter().filter_map(|item| match item {
            Item::Enum(item) => Some(item),
            _ => None,
        })
    }
}

/// The documentation comment, with a line for each of its lines.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(value) = &attribute.meta else { continue };
        if let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &value.value {
            let line = line.value();
            text.push_str(line.strip_prefix(' ').unwrap_or(&line));
            text.push('\n');
        }
    }
    text
}

/// The first paragraph of a documentation comment, on one line, as the book can show it.
pub(crate) fn summary(doc: &str) -> String {
    let lines: Vec<&str> = doc.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    without_targets(&lines.join(" "))
}

/// Rustdoc's links to items mean nothing in the book: their text stays.
pub(crate) fn without_targets(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        let after = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or(after, |(_, after)| after),
            None => after,
        };
        text.push_str(&format!("{before}`{name}`"));
        rest = after;
    }
    text + rest
}

/// Whether an item derives this trait.
pub(crate) fn derives(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.tokens.clone().into_iter().any(|token| token.to_string() == name)
    })
}

/// The line on which an item's name stands.
pub(crate) fn line(item: &impl Spanned) -> usize {
    item.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn items_have_their_docs_and_lines() {
        let text = "/// One\n/// [`Two`](crate::Two) and [`Three`].\n///\n/// Four.\n\
                    #[derive(Debug, Error)]\npub enum E {\n    /// A.\n    A,\n}\n";
        let fixture = Fixture::new(&[("crates/poolhouse/src/a.rs", text)]);
        let files = files(&fixture.book.root);
        let item = files[0].enums().next().unwrap();
        assert_eq!(summary(&doc(&item.attrs)), "One `Two` and `Three`.");
        assert!(derives(&item.attrs, "Error") && !derives(&item.attrs, "Clone"));
        assert_eq!(line(&item.variants[0].ident), 8);
    }

    #[test]
    fn links_to_items_become_their_text() {
        assert_eq!(
            without_targets("asks [`a`](crate::a), then [`b`](x) or [`c`]."),
            "asks `a`, then `b` or `c`."
        );
    }
}
