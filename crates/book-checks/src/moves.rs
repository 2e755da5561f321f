//! What changes in a program that moves to poolhouse: the difference between two programs that the tests of
//! `crates/real-services` run.

use std::fs;
use std::path::Path;

use similar::{Algorithm, ChangeTag, DiffOp, TextDiff};

const FOLDER: &str = "crates/real-services/examples";

/// The programs with a `_before.rs`.
pub(crate) fn names(root: &Path) -> Vec<String> {
    // A fixture has no such programs, and then no page has such a block.
    let Ok(entries) = fs::read_dir(root.join(FOLDER)) else { return Vec::new() };
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    files.filter_map(|file| Some(file.strip_suffix("_before.rs")?.to_owned())).collect()
}

/// The block with what changes between `NAME_before.rs` and `NAME_after.rs`.
pub(crate) fn block(root: &Path, name: &str) -> Result<String, String> {
    let read = |which: &str| {
        let file = format!("{FOLDER}/{name}_{which}.rs");
        fs::read_to_string(root.join(&file)).map_err(|error| format!("{file}: {error}"))
    };
    let lines = changes(&program(&read("before")?), &program(&read("after")?));
    Ok(format!("```diff\n{lines}```"))
}

/// Without the sentence at the head, which says which pool it uses.
fn program(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect()
}

/// Each change with a line before and after it, and a blank line between two that lie apart.
fn changes(before: &str, after: &str) -> String {
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_lines(before, after);
    let groups: Vec<Vec<DiffOp>> = diff.grouped_ops(1);
    let blocks: Vec<String> = groups
        .iter()
        .map(|group| {
            let changes = group.iter().flat_map(|op| diff.iter_changes(op)).map(|change| {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                format!("{}\n", format!("{sign}{}", change.value()).trim_end())
            });
            format!("{}\n", changes.collect::<String>().trim_matches('\n'))
        })
        .collect();
    blocks.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn the_changed_lines_are_shown_with_a_line_around_them() {
        let before = "//! With a.\nuse a;\n\nfn f() {\n    1;\n    2;\n    3;\n    a();\n}\n";
        let after = "//! With b.\nuse b;\n\nfn f() {\n    1;\n    2;\n    3;\n    b();\n    c();\n}\n";
        let fixture = Fixture::new(&[
            ("crates/real-services/examples/x_before.rs", before),
            ("crates/real-services/examples/x_after.rs", after),
        ]);
        let root = &fixture.book.root;
        assert_eq!(names(root), ["x"]);
        let expected = "```diff\n-use a;\n+use b;\n\n     3;\n-    a();\n+    b();\n+    c();\n }\n```";
        assert_eq!(block(root, "x").unwrap(), expected);
        assert!(block(root, "y").unwrap_err().starts_with("crates/real-services/examples/y_before.rs: "));
    }
}
