//! How much the snippets prove: the number of assertions of each page, in a file that is kept, so that a change of it is
//! seen in review. `cargo guide generate` counts anew.

use std::io;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, kept};

const FILE: &str = "book/data/assertions.txt";

static ASSERTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?:debug_)?assert(?:_eq|_ne)?!|(?-u:\b)unreachable!|(?-u:\b)panic!|\.unwrap_err\(\)|\.expect_err\(")
        .expect("a valid pattern")
});

fn counts(book: &Book) -> String {
    let mut text =
        String::from("# Assertions in the Rust snippets of each page. Written by `cargo guide generate`.\n");
    for page in book.texts() {
        let blocks = page.blocks();
        let code = blocks.iter().filter(|block| block.is_rust()).map(|block| &block.code);
        let count: usize = code.map(|code| ASSERTION.find_iter(code).count()).sum();
        if count > 0 {
            text.push_str(&format!("{} {count}\n", page.name));
        }
    }
    text
}

pub fn check(book: &Book) -> Vec<Finding> {
    let counts = counts(book);
    if is_without(book, &counts) {
        return Vec::new();
    }
    let differs = |line: usize| {
        let now = counts.lines().nth(line).unwrap_or("no more pages");
        format!(
            "the snippets have other assertions now: {now}. If they prove as much as before, run `cargo guide generate`"
        )
    };
    kept::drift(&book.root, FILE, &counts, differs).into_iter().collect()
}

/// A book without assertions needs no file of them.
fn is_without(book: &Book, counts: &str) -> bool {
    counts.lines().all(|line| line.starts_with('#')) && !book.root.join(FILE).exists()
}

/// Counts anew. Returns the name of the file if it changed.
///
/// # Errors
///
/// The file cannot be written.
pub fn rewrite(book: &Book) -> io::Result<Option<&'static str>> {
    let counts = counts(book);
    if is_without(book, &counts) {
        return Ok(None);
    }
    Ok(kept::write(&book.root, FILE, &counts)?.then_some(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "# A\n\n```rust\nassert_eq!(1, 1);\nassert!(true);\nlet e = f().unwrap_err();\n```\n\n```text\nassert!(no)\n```\n";
    const B: &str = "# B\n\n```rust\n# assert!(hidden);\n```\n";

    fn fixture(a: &str, b: &str) -> Fixture {
        let kept = Fixture::new(&[("book/src/a.md", A), ("book/src/b.md", B)]);
        let counts = counts(&kept.book);
        Fixture::new(&[("book/src/a.md", a), ("book/src/b.md", b), (FILE, &counts)])
    }

    #[test]
    fn an_assertion_that_goes_is_found_and_counted_anew() {
        expect(check(&fixture(A, B).book), &[]);
        let gone = [
            (A.replace("assert!(true);\n", ""), B.to_owned(), 2, "book/src/a.md 2"),
            (A.replace(".unwrap_err()", ""), B.to_owned(), 2, "book/src/a.md 2"),
            (A.to_owned(), B.replace("# assert!(hidden);\n", ""), 3, "no more pages"),
            (A.to_owned(), B.replace("```rust", "```text"), 3, "no more pages"),
        ];
        for (a, b, line, says) in gone {
            let fixture = fixture(&a, &b);
            expect(check(&fixture.book), &[(FILE, line, says)]);
            assert_eq!(rewrite(&fixture.book).unwrap(), Some(FILE));
            assert_eq!(rewrite(&fixture.book).unwrap(), None);
            expect(check(&fixture.book), &[]);
        }
    }
}
