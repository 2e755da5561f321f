//! Leaves out the blocks that only show other files: a book whose examples are programs of their own runs them as such.
//!
//! The source tells which blocks these are, and the chapter, in which mdBook has expanded the includes, is what is tested.
//! The fences of both correspond one to one. Where they do not, because an include brings fences with it, everything is
//! tested: rather too much than too little.

/// The chapter in which each block that has nothing but includes in its source is ignored.
pub(crate) fn ignore(source: &str, chapter: &str) -> String {
    let (of_source, of_chapter) = (blocks(source), blocks(chapter));
    let corresponds = of_source.len() == of_chapter.len()
        && of_source.iter().zip(&of_chapter).all(|(a, b)| a.info == b.info);
    if !corresponds {
        return chapter.to_owned();
    }
    let opened: Vec<usize> = of_source
        .iter()
        .zip(&of_chapter)
        .filter(|(source, _)| source.only_includes)
        .map(|(_, chapter)| chapter.line)
        .collect();
    let mut text = String::with_capacity(chapter.len() + 8 * opened.len());
    for (number, line) in chapter.split_inclusive('\n').enumerate() {
        match line.strip_suffix('\n') {
            Some(fence) if opened.contains(&number) => {
                text.push_str(fence.trim_end());
                text.push_str(",ignore\n");
            }
            _ => text.push_str(line),
        }
    }
    text
}

/// A fenced block that rustdoc would take for Rust.
#[derive(Debug, PartialEq)]
struct Block<'a> {
    /// Of the opening fence, counted from 0.
    line: usize,
    info: &'a str,
    only_includes: bool,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(&str, Block<'_>)> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        let length = trimmed.len() - trimmed.trim_start_matches('`').len();
        match &mut open {
            None if length >= 3 => {
                let (fence, info) = trimmed.split_at(length);
                open = Some((fence, Block { line: number, info: info.trim(), only_includes: false }));
            }
            None => {}
            Some((fence, _)) if trimmed.len() == length && trimmed.len() >= fence.len() => {
                found.extend(open.take().map(|(_, block)| block));
            }
            Some((_, block)) if trimmed.starts_with("{{#") && trimmed.ends_with("}}") => {
                // The first line decides, and any other kind of line decides against.
                block.only_includes |= number == block.line + 1;
            }
            Some((_, block)) => block.only_includes &= trimmed.is_empty(),
        }
    }
    found.retain(|block| block.info == "rust" || block.info.starts_with("rust,"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_includes_are_ignored_and_others_are_not() {
        let source = "```rust\n{{#rustdoc_include a.rs:x}}\n```\n\n```rust\n{{#include a.rs}}\nlet x = 1;\n```\n\n\
                      ```rust,no_run\n{{#include a.rs}}\n{{#include b.rs}}\n```\n\n```text\n{{#include a.txt}}\n```\n\n\
                      ```rust\nlet y = 2;\n```\n";
        let chapter = "```rust\n# fn a() {}\nfn x() {}\n```\n\n```rust\nfn a() {}\nlet x = 1;\n```\n\n\
                       ```rust,no_run\nfn a() {}\nfn b() {}\n```\n\n```text\nout\n```\n\n```rust\nlet y = 2;\n```\n";
        let expected = "```rust,ignore\n# fn a() {}\nfn x() {}\n```\n\n```rust\nfn a() {}\nlet x = 1;\n```\n\n\
                        ```rust,no_run,ignore\nfn a() {}\nfn b() {}\n```\n\n```text\nout\n```\n\n```rust\nlet y = 2;\n```\n";
        assert_eq!(ignore(source, chapter), expected);
    }

    #[test]
    fn everything_is_tested_where_fences_do_not_correspond() {
        let chapter = "```rust\nfn a() {}\n```\n\n```rust\nfn b() {}\n```\n";
        assert_eq!(ignore("{{#include c.md}}\n\n```rust\n{{#include b.rs}}\n```\n", chapter), chapter);
    }

    #[test]
    fn a_longer_fence_may_hold_a_shorter_one() {
        let text = "````rust\n{{#include a.rs}}\n```\n````\n\n```rust\n{{#include a.rs}}\n```\n";
        let only: Vec<bool> = blocks(text).iter().map(|block| block.only_includes).collect();
        assert_eq!(only, [false, true]);
    }
}
