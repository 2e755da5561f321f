//! The public interface of each published crate, as a file beside the crate: `public-api.txt`.
//!
//! A change of the interface changes the file, so that a review sees it as a difference of its own. The file is made from
//! the source: what `lib.rs` exports, its public fields, variants and methods, which traits it implements, and the features.
//! What the compiler works out for itself is not in it: `Send`, `Sync`, and what a derive or a hidden type brings along.

use std::fs;
use std::io;
use std::path::Path;

use syn::Item;
use toml::Value;

use crate::api_text::{interface, is_public};
use crate::crate_source::{self, File};
use crate::packages::{PUBLISHED, Published};
use crate::{Finding, kept, tidy};

/// The folder that is inside, whatever its items are named, and not for users.
const PRIVATE: &str = "policy/";

/// How many lines of each kind a finding quotes.
const QUOTED: usize = 4;

/// Those that are there: a book of somebody else has none of them.
fn published(root: &Path) -> impl Iterator<Item = &'static Published> {
    PUBLISHED.iter().filter(|published| root.join(published.folder).is_dir())
}

pub fn check(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    for published in published(root) {
        let file = format!("{}/public-api.txt", published.folder);
        let made = match text(root, published.folder) {
            Ok(made) => made,
            Err(lack) => {
                found.push(Finding::new(format!("{}/src/lib.rs", published.folder), 1, lack));
                continue;
            }
        };
        let present = fs::read_to_string(root.join(&file)).unwrap_or_default();
        found.extend(kept::drift(root, &file, &made, |_| difference(&present, &made)));
    }
    found
}

/// Writes the files anew. Returns the names of those that changed.
///
/// # Errors
///
/// A source cannot be read, or a file cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    for published in published(root) {
        let made = text(root, published.folder).map_err(io::Error::other)?;
        let file = format!("{}/public-api.txt", published.folder);
        if kept::write(root, &file, &made)? {
            changed.push(file);
        }
    }
    Ok(changed)
}

/// What went, what came, and what both mean for the version.
fn difference(present: &str, made: &str) -> String {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for change in similar::TextDiff::from_lines(present, made).iter_all_changes() {
        let line = change.value().trim();
        match change.tag() {
            similar::ChangeTag::Delete if !line.is_empty() => gone.push(line.to_owned()),
            similar::ChangeTag::Insert if !line.is_empty() => new.push(line.to_owned()),
            _ => {}
        }
    }
    let says = if gone.is_empty() {
        "an addition is a minor change, so before 1.0 the last number of the version grows; a method that every \
         implementor has to write, or a variant of an enum that is not `non_exhaustive`, is a major one"
    } else {
        "what is removed or changed is a major change, so before 1.0 the middle number of the version grows"
    };
    let quoted = |lines: &[String]| {
        let mut text =
            lines.iter().take(QUOTED).map(|line| format!("`{line}`")).collect::<Vec<_>>().join(", ");
        if lines.len() > QUOTED {
            text.push_str(&format!(" and {} more lines", lines.len() - QUOTED));
        }
        if text.is_empty() { "nothing".to_owned() } else { text }
    };
    format!(
        "the public interface is another one. Gone: {}. New: {}. Semver: {says} (the table in Contributing has the rest). \
         If you mean it, run `cargo guide generate`, commit the file, and write it into CHANGELOG.md",
        quoted(&gone),
        quoted(&new)
    )
}

/// The public interface of the crate in `folder`.
fn text(root: &Path, folder: &str) -> Result<String, String> {
    let files = sources(root, &format!("{folder}/src"));
    let module_file = |name: &str| files.iter().find(|file| file.name == name).map(|file| &file.syntax);
    let library = module_file("lib.rs").ok_or("there is no lib.rs that parses")?;
    let modules: Vec<String> = library.items.iter().filter_map(public_module).collect();
    let owner = |file: &File| modules.iter().find(|module| is_of(file, module));
    let within = |module: Option<&String>| {
        files.iter().filter(|file| owner(file) == module).map(|file| &file.syntax).collect::<Vec<_>>()
    };
    let mut parts = vec![features(root, folder), interface(library, &within(None))?];
    for module in &modules {
        let name = format!("{module}.rs");
        let own = module_file(&name).ok_or_else(|| format!("the public module {module} is not in {name}"))?;
        parts.push(format!("mod {module} {{\n\n{}\n\n}}", interface(own, &within(Some(module)))?));
    }
    parts.retain(|part| !part.is_empty());
    Ok(format!("{}\n", parts.join("\n\n")))
}

/// Every file apart from the private ones and the program, with names relative to `folder`.
fn sources(root: &Path, folder: &str) -> Vec<File> {
    let relative = |file: File| {
        let is_program = file.name.ends_with("/main.rs");
        let name = file.name.strip_prefix(folder)?.trim_start_matches('/').to_owned();
        (!is_program && !name.starts_with(PRIVATE)).then_some(File { name, ..file })
    };
    crate_source::read(root, folder).into_iter().filter_map(relative).collect()
}

fn is_of(file: &File, module: &str) -> bool {
    file.name.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn public_module(item: &Item) -> Option<String> {
    match item {
        Item::Mod(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// The features, which users name too.
fn features(root: &Path, folder: &str) -> String {
    let features = tidy::table(root, &format!("{folder}/Cargo.toml"), &["features"]);
    let line = |(name, value): (&String, &Value)| match value.as_array() {
        Some(list) if name == "default" => {
            let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            format!("feature default = {}", names.join(", "))
        }
        _ => format!("feature {name}"),
    };
    features.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const MANIFEST: &str = "[features]\ndefault = [\"net\"]\nnet = [\"dep:a\"]\n";
    const LIB: &str = "mod a;\n#[cfg(feature = \"net\")]\npub use crate::a::{Pool, Manager};\n\
        #[doc(hidden)]\npub use crate::a::for_the_compiler;\npub mod blocking;\n\
        /// Doc.\npub const LIMIT: usize = 4;\n";
    const A: &str = "/// A pool.\n#[derive(Debug)]\n#[non_exhaustive]\npub struct Pool<M: Manager> {\n    /// How many.\n    \
        pub size: usize,\n    own: u8,\n}\nimpl<M: Manager> Pool<M> {\n    /// Waits.\n    #[inline]\n    \
        pub async fn acquire(mut self, mut limit: u8) -> u8 { 1 }\n    pub(crate) fn inner(&self) {}\n}\n\
        impl<M: Manager> Drop for Pool<M> { fn drop(&mut self) {} }\nstruct Own;\nimpl Manager for Own {}\n\
        pub trait Manager { type Error; fn connect(&self); fn target(&self) -> u8 { 1 } }\n";
    const BLOCKING: &str = "pub struct Pool;\nimpl Pool { pub fn new() -> Self { Pool } }\n";

    /// The three crates, of which only the pool has anything in it.
    fn fixture(a: &str) -> Fixture {
        Fixture::new(&[
            ("crates/poolhouse/Cargo.toml", MANIFEST),
            ("crates/poolhouse/src/lib.rs", LIB),
            ("crates/poolhouse/src/a.rs", a),
            ("crates/poolhouse/src/blocking.rs", BLOCKING),
            ("crates/poolhouse/src/policy/pool.rs", "impl Pool { pub fn hidden() {} }\n"),
            ("crates/echo-server/src/lib.rs", ""),
            ("crates/mdbook-externs/src/lib.rs", ""),
        ])
    }

    #[test]
    fn the_file_holds_what_users_can_name() {
        let fixture = fixture(A);
        let text = text(&fixture.book.root, "crates/poolhouse").unwrap();
        let expected = "feature default = net\nfeature net\n\n\
            pub const LIMIT: usize;\n\n\
            #[cfg(feature = \"net\")]\npub trait Manager {\n    type Error;\n    fn connect(&self);\n    \
            fn target(&self) -> u8 { .. }\n}\n\n\
            #[cfg(feature = \"net\")]\n#[derive(Debug)]\n#[non_exhaustive]\npub struct Pool<M: Manager> {\n    \
            pub size: usize,\n    // and private fields\n}\n\n\
            impl<M: Manager> Pool<M> {\n    pub async fn acquire(self, limit: u8) -> u8;\n}\n\n\
            pub mod blocking;\n\nimpl<M: Manager> Drop for Pool<M>;\n\n\
            mod blocking {\n\npub struct Pool;\n\nimpl Pool {\n    pub fn new() -> Self;\n}\n\n}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_addition_and_a_removal_are_told_apart_and_written() {
        let before = fixture(A);
        let root = &before.book.root;
        let file = "crates/poolhouse/public-api.txt";
        rewrite(root).unwrap();
        expect(check(root), &[]);

        let source = root.join("crates/poolhouse/src/a.rs");
        fs::write(&source, A.replace("    /// Waits.", "    pub fn more(&self) {}\n    /// Waits.")).unwrap();
        let found = check(root);
        expect(found.clone(), &[(file, 23, "Gone: nothing. New: `pub fn more(&self);`")]);
        assert!(found[0].message.contains("an addition is a minor change"), "{found:?}");

        fs::write(&source, A.replace("limit: u8", "limit: u16")).unwrap();
        let found = check(root);
        expect(found.clone(), &[(file, 22, "New: `pub async fn acquire(self, limit: u16) -> u8;`")]);
        assert!(found[0].message.contains("is a major change"), "{found:?}");
        assert_eq!(rewrite(root).unwrap(), [file]);
        expect(check(root), &[]);
    }

    #[test]
    fn what_hides_the_interface_is_an_error() {
        let fixture = Fixture::new(&[
            ("crates/poolhouse/src/lib.rs", "pub use crate::a::*;\n"),
            ("crates/echo-server/src/lib.rs", "pub use crate::a::Gone;\n"),
            ("crates/mdbook-externs/src/lib.rs", ""),
        ]);
        expect(
            check(&fixture.book.root),
            &[
                ("crates/echo-server/src/lib.rs", 1, "`Gone` is exported and defined nowhere"),
                ("crates/mdbook-externs/public-api.txt", 1, "does not exist"),
                ("crates/poolhouse/src/lib.rs", 1, "name each item"),
            ],
        );
    }
}
