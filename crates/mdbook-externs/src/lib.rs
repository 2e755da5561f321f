//! An [mdBook] preprocessor that lets a bare `mdbook test` use crates.
//!
//! `mdbook test` runs `rustdoc CHAPTER --test` on each chapter, and has no setting for `--extern`. A folder given
//! with `-L` does not help for long: as soon as cargo has left two builds of one crate in it, every snippet fails
//! with E0464. What mdBook does do is to run preprocessors first, and to take the chapter's path from their answer.
//! And rustdoc, like rustc, reads further arguments from a file when it is given `@FILE`. That is enough:
//!
//! 1. Cargo builds the package that the book names, and says on its standard output which file each library became
//!    (module `cargo`). There is nothing to guess, so nothing goes stale: not after a change of features,
//!    of `RUSTFLAGS`, of the toolchain, or of the crate itself.
//! 2. Each chapter's content is replaced by an argument file: the chapter's Markdown file, an `--extern NAME=FILE`
//!    for each crate, and the folders that hold what those crates depend on.
//! 3. Each chapter's path becomes `@externs/../externs/CHAPTER.args`. mdBook writes the content to that path in a
//!    temporary folder, and so creates the folder `@externs`, steps out of it again, and writes
//!    `externs/CHAPTER.args`. Then it gives the same path to rustdoc, which drops the `@` and reads
//!    `externs/../externs/CHAPTER.args`: the same file. mdBook removes the folder at the end.
//!
//! The Markdown file is the book's own source where the other preprocessors left it as it was, so that a failure
//! names the file to edit. A chapter with expanded includes is tested from a copy below the target folder. A book that runs
//! its examples as programs may ask that blocks which only show them are left out (module `included`).
//!
//! The third step leans on what mdBook 0.5 happens to do. The tests of this crate run the real thing, and an mdBook
//! that does something else cannot pass by accident: an argument file is not Rust, and does not end in `.md`.
//!
//! [mdBook]: https://rust-lang.github.io/mdBook/
#![forbid(unsafe_code)]

mod cargo;
mod chapters;
mod included;
mod settings;

use std::path::Path;

use anyhow::{Context, Result};
use mdbook_preprocessor::PreprocessorContext;
use mdbook_preprocessor::book::Book;

/// The mdBook versions that are known to handle a chapter's path as this crate needs it.
const PROVEN: &str = "0.5.";

/// Whether there is anything to do for `renderer`: only for `test`, the one that mdBook uses in `mdbook test`.
pub fn supports(renderer: &str) -> bool {
    renderer == "test"
}

/// Prepares `book` for `mdbook test`; for any other renderer, returns it unchanged.
///
/// `root` is the folder of `book.toml`, where mdBook starts its preprocessors. It is not taken from `context`, whose
/// root may be relative to the folder that mdBook itself was started in.
///
/// # Errors
///
/// When the settings are wrong, when the package does not build (cargo has then said why on standard error), and
/// when a file cannot be read or written.
pub fn run(root: &Path, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
    if !supports(&context.renderer) {
        return Ok(book);
    }
    if let Some(warning) = version_warning(&context.mdbook_version) {
        eprintln!("{warning}");
    }
    let settings = settings::Settings::from_config(&context.config)?;
    let externs = cargo::build(root, &settings)?;
    let source = root.join(&context.config.book.src);
    chapters::rewrite(&mut book, &source, settings.skip_included, &externs)
        .context("could not prepare the chapters for `mdbook test`")?;
    Ok(book)
}

fn version_warning(version: &str) -> Option<String> {
    (!version.starts_with(PROVEN)).then(|| {
        format!(
            "mdbook-externs: warning: tested with mdBook {PROVEN}x, but this is {version}. \
             If `mdbook test` now fails in every chapter, look for a newer mdbook-externs."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{supports, version_warning};

    #[test]
    fn only_the_test_renderer_is_supported() {
        assert!(supports("test"));
        assert!(!supports("html"));
    }

    #[test]
    fn an_untested_mdbook_is_named() {
        assert_eq!(version_warning("0.5.4"), None);
        assert_eq!(version_warning(mdbook_preprocessor::MDBOOK_VERSION), None);
        assert!(version_warning("0.50.0").unwrap().contains("but this is 0.50.0"));
    }
}
