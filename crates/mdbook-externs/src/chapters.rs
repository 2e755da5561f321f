//! Turns each chapter into an argument file for rustdoc, under a path that makes rustdoc read it as one.
//!
//! What rustdoc tests is a Markdown file with exactly the content that the chapter has by now. Where that is the
//! book's source, rustdoc is given the source. Otherwise it gets a copy, in a folder of the book's own: several books
//! may share a target folder. Two runs for one book write the same copies, each in one step (write, then rename), so
//! that neither reads half a chapter of the other's. A copy that is no longer wanted is removed.
//!
//! A chapter may lie outside of the book's source: mdBook allows `../../NOTES.md`, and an absolute path. Neither the
//! copies nor what mdBook writes follow such a path (see [`place`]), and no link leads out of the folder of the copies.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::process;

use anyhow::{Context, Result, ensure};
use mdbook_preprocessor::book::{Book, Chapter};

use crate::cargo::Externs;
use crate::included;

/// Seen by mdBook, which writes to it, as a way through the folder `@externs`; seen by rustdoc, which reads from it,
/// as an `@` and a way through the folder `externs`. Both end in `externs`.
const FOLDER: &str = "@externs/../externs";

/// The first line of each argument file: an argument that has no effect on tests, for a reader who meets the
/// file in an error message. Short, because the compiler cuts long lines.
const EXPLANATION: &str =
    "--crate-version=(Arguments for rustdoc. Error here? mdBook is not 0.5: look for a newer mdbook-externs)";

/// The extension of a copy that is still being written, by this run or another one.
const DRAFT: &str = "draft";

/// Rewrites all chapters of `book`, whose source files are in `source`.
pub(crate) fn rewrite(book: &mut Book, source: &Path, skip_included: bool, externs: &Externs) -> Result<()> {
    let copies = externs.target_dir.join("chapters").join(hash(source));

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
    let place = place(path);
    let original = chapter.source_path.as_ref().map(|path| source.join(path));
    let markdown = match original {
        Some(file) if fs::read(&file).is_ok_and(|text| text == chapter.content.as_bytes()) => file,
        _ => {
            let copy = copies.join(&place);
            unlink(copies, &place)
                .and_then(|()| write(&copy, &chapter.content))
                .with_context(|| format!("{} cannot be written", copy.display()))?;
            kept.insert(copy.clone());
            copy
        }
    };
    let mut name = place.into_os_string();
    name.push(".args");
    chapter.content = arguments(&markdown, externs)?;
    chapter.path = Some(Path::new(FOLDER).join(name));
    Ok(())
}

/// Where a chapter stands in the folder of the copies and in mdBook's: at its own path if that leads down and nowhere
/// else, or else in a folder for that path alone.
fn place(path: &Path) -> PathBuf {
    if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return path.to_path_buf();
    }
    let name = path.file_name().unwrap_or("chapter.md".as_ref());
    Path::new(&format!("outside-{}", hash(path))).join(name)
}

fn hash(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Removes links from the way to `place`, each of which could lead anywhere. The cache has none of its own.
fn unlink(copies: &Path, place: &Path) -> Result<()> {
    let mut way = copies.to_path_buf();
    for part in place.components() {
        way.push(part);
        if fs::symlink_metadata(&way).is_ok_and(|found| found.is_symlink()) {
            remove(&way)?;
        }
    }
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
        let entry = entry?;
        let path = entry.path();
        // Of a link to a folder this says that it is a link: it is removed, and the folder is somebody else's.
        if entry.file_type()?.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) && path.extension().is_none_or(|found| found != DRAFT) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a file, or a link and not what it points to.
fn remove(path: &Path) -> std::io::Result<()> {
    // Windows wants a link to a folder removed as a folder.
    match fs::remove_file(path).or_else(|error| fs::remove_dir(path).map_err(|_| error)) {
        // Another run was quicker.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mdbook_preprocessor::book::BookItem;

    use super::*;

    /// Rewrites a book of one chapter, which differs from its source, and returns what became of it.
    fn rewritten(source: &Path, target_dir: &Path, path: &Path, content: &str) -> Chapter {
        let chapter = Chapter::new("Notes", content.to_owned(), path, vec![]);
        let mut book = Book::new_with_items(vec![BookItem::Chapter(chapter)]);
        let externs = Externs {
            libraries: BTreeMap::new(),
            search: BTreeSet::new(),
            target_dir: target_dir.to_path_buf(),
        };
        rewrite(&mut book, source, false, &externs).unwrap();
        book.chapters().next().unwrap().clone()
    }

    /// The file that rustdoc is to test: the second line of the arguments.
    fn tested(chapter: &Chapter) -> &Path {
        Path::new(chapter.content.lines().nth(1).unwrap())
    }

    #[test]
    fn every_place_leads_down() {
        for inside in ["a.md", "part/a.md", "./a.md", "..a/b..md"] {
            assert_eq!(place(Path::new(inside)), Path::new(inside));
        }
        let outside = ["../a.md", "../../a.md", "part/../../a.md", "part/../a.md", "/tmp/a.md", "..", "/"];
        let places: BTreeSet<_> = outside.map(|path| place(Path::new(path))).into();
        assert_eq!(places.len(), outside.len(), "one each: {places:?}");
        for place in places {
            let parts: Vec<_> = place.components().collect();
            assert!(matches!(parts[..], [Component::Normal(_), Component::Normal(_)]), "{place:?}");
        }
    }

    /// mdBook reads no such chapter, but another preprocessor may make one.
    #[test]
    fn an_absolute_path_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, target) = (folder.path().join("NOTES.md"), folder.path().join("target"));
        fs::write(&file, "source").unwrap();
        let chapter = rewritten(folder.path(), &target, &file, "expanded");
        assert_eq!(fs::read_to_string(&file).unwrap(), "source");
        assert!(tested(&chapter).starts_with(&target), "{chapter:?}");
        assert_eq!(fs::read_to_string(tested(&chapter)).unwrap(), "expanded");
        let path = chapter.path.unwrap();
        assert!(path.starts_with(FOLDER) && path.is_relative(), "mdBook writes to {}", path.display());
    }

    /// They shared one, and a run for one book could test the text of the other.
    #[test]
    fn two_books_with_a_chapter_above_them_have_a_copy_each() {
        let folder = tempfile::tempdir().unwrap();
        let rewritten = |book: &str| {
            let source = folder.path().join(book).join("src");
            rewritten(&source, &folder.path().join("target"), Path::new("../../NOTES.md"), book)
        };
        for (chapter, text) in [(rewritten("one"), "one"), (rewritten("two"), "two")].iter().rev() {
            assert_eq!(fs::read_to_string(tested(chapter)).unwrap(), *text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_nowhere_when_copies_are_written_and_removed() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let (source, target, precious) =
            (folder.path().join("src"), folder.path().join("target"), folder.path().join("precious"));
        fs::create_dir_all(&precious).unwrap();
        for file in ["work.md", "chapter.md"] {
            fs::write(precious.join(file), "precious").unwrap();
        }
        let copies = target.join("chapters").join(hash(&source));
        fs::create_dir_all(copies.join("deep")).unwrap();
        for link in ["stray", "deep/stray", "part"] {
            symlink(&precious, copies.join(link)).unwrap();
        }
        symlink(precious.join("work.md"), copies.join("file.md")).unwrap();
        symlink(folder.path().join("nowhere"), copies.join("dangling")).unwrap();

        let chapter = rewritten(&source, &target, Path::new("part/chapter.md"), "expanded");
        assert_eq!(fs::read_to_string(tested(&chapter)).unwrap(), "expanded");
        for file in ["work.md", "chapter.md"] {
            assert_eq!(fs::read_to_string(precious.join(file)).unwrap(), "precious", "{file}");
        }
        let left: Vec<_> = fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.len() == 2 && left.iter().all(|name| name == "part" || name == "deep"), "{left:?}");
    }
}
