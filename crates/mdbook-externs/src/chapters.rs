//! Turns each chapter into an argument file for rustdoc, under a path that makes rustdoc read it as one.
//!
//! What rustdoc tests is a Markdown file with exactly the content that the chapter has by now. Where that is the
//! book's source, rustdoc is given the source. Otherwise it gets a copy, in a folder of the book's own: several books
//! may share a target folder. Two runs for one book write the same copies, each in one step (write, then rename), so
//! that neither reads half a chapter of the other's. A copy that is no longer wanted is removed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, ensure};
use mdbook_preprocessor::book::{Book, Chapter};

use crate::cargo::Externs;
use crate::included;

/// Seen by mdBook, which writes to it, as a way through the folder `@externs`; seen by rustdoc, which reads from it,
/// as an `@` and a way through the folder `externs`. Both end in `externs`.
const FOLDER: &str = "@externs/../externs";

/// The first line of each argument file: an argument that has no effect on tests, for the eyes of whoever meets the
/// file in an error message. Short, because the compiler cuts long lines.
const EXPLANATION: &str =
    "--crate-version=(Arguments for rustdoc. Error here? mdBook is not 0.5: look for a newer mdbook-externs)";

/// The extension of a copy that is still being written, by this run or another one.
const DRAFT: &str = "draft";

/// Rewrites all chapters of `book`, whose source files are in `source`.
pub(crate) fn rewrite(book: &mut Book, source: &Path, skip_included: bool, externs: &Externs) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let copies = externs.target_dir.join("chapters").join(format!("{:016x}", hasher.finish()));

    let mut kept = BTreeSet::new();
    let mut result = Ok(());
    book.for_each_chapter_mut(|chapter| {
        if result.is_ok() {
            if skip_included {
                ignore_included(chapter, source);
            }
            result = rewrite_chapter(chapter, source, &copies, externs, &mut kept);
        }
    });
    result?;
    remove_others(&copies, &kept).with_context(|| format!("{} cannot be cleaned", copies.display()))
}

fn rewrite_chapter(
    chapter: &mut Chapter,
    source: &Path,
    copies: &Path,
    externs: &Externs,
    kept: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let Some(path) = chapter.path.as_ref().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(());
    };
    let original = chapter.source_path.as_ref().map(|path| source.join(path));
    let markdown = match original {
        Some(file) if fs::read(&file).is_ok_and(|text| text == chapter.content.as_bytes()) => file,
        _ => {
            let copy = copies.join(path);
            write(&copy, &chapter.content)
                .with_context(|| format!("{} cannot be written", copy.display()))?;
            kept.insert(copy.clone());
            copy
        }
    };
    let mut name = path.clone().into_os_string();
    name.push(".args");
    chapter.content = arguments(&markdown, externs)?;
    chapter.path = Some(Path::new(FOLDER).join(name));
    Ok(())
}

/// What cannot be read is left as it is, and fails later if it has to be read.
fn ignore_included(chapter: &mut Chapter, source: &Path) {
    let file = chapter.source_path.as_ref().map(|path| source.join(path));
    if let Some(text) = file.and_then(|file| fs::read_to_string(file).ok()) {
        chapter.content = included::ignore(&text, &chapter.content);
    }
}

/// One argument a line, as rustdoc reads it: nothing is quoted, so a space needs no care, and a line break has no way.
fn arguments(markdown: &Path, externs: &Externs) -> Result<String> {
    let mut lines = vec![EXPLANATION.to_owned(), text(markdown)?];
    for (name, library) in &externs.libraries {
        lines.extend(["--extern".to_owned(), format!("{name}={}", text(library)?)]);
    }
    for folder in &externs.search {
        lines.extend(["-L".to_owned(), folder.clone()]);
    }
    ensure!(!lines.iter().any(|line| line.contains(['\n', '\r'])), "there is a line break in {lines:?}");
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn text(path: &Path) -> Result<String> {
    let text =
        path.to_str().with_context(|| format!("rustdoc's arguments must be UTF-8; rename {path:?}"))?;
    Ok(text.to_owned())
}

fn write(file: &Path, content: &str) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(());
    }
    fs::create_dir_all(file.parent().context("no folder")?)?;
    let mut draft = OsString::from(file);
    draft.push(format!(".{}.{DRAFT}", process::id()));
    fs::write(&draft, content)?;
    Ok(fs::rename(&draft, file)?)
}

fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) && path.extension().is_none_or(|found| found != DRAFT) {
            match fs::remove_file(&path) {
                // Another run was quicker.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result?,
            }
        }
    }
    Ok(())
}
